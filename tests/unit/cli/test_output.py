"""Tables are as wide as the terminal, and nothing in them is cut."""

import pytest

from giftcert.cli import output

ID = "01936f5e-0000-7000-8000-000000000001"
COLUMNS = ("case", "decide", "what is back")
WORDS = "IM-1001, line 2: certificateRedeemed, 500,000 of 500,000 RUB; balance 400,000, held 0"


def test_the_last_column_is_wrapped_beside_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_width", lambda: 110)
    assert output.table(COLUMNS, [(ID, "approve or reject", WORDS)]).splitlines() == [
        "case                                  decide             what is back",
        f"{ID}  approve or reject  IM-1001, line 2: certificateRedeemed, 500,000 of",
        " " * 57 + "500,000 RUB; balance 400,000, held 0",
    ]


def test_where_it_would_be_narrow_it_stands_beneath_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_width", lambda: 80)
    assert output.table(COLUMNS, [(ID, "approve or reject", WORDS)]).splitlines() == [
        "case                                  decide",
        "    what is back",
        f"{ID}  approve or reject",
        "    IM-1001, line 2: certificateRedeemed, 500,000 of 500,000 RUB; balance",
        "    400,000, held 0",
    ]


def test_an_id_is_never_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_width", lambda: 30)
    text = output.table(("position", "detail"), [("All_SalesOrder/0/15", f"event {ID}")])
    assert "All_SalesOrder/0/15" in text
    assert ID in text
