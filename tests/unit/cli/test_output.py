"""Tables are as wide as the terminal, and nothing in them is cut."""

import json

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


OBEYED = "\x1b[2Jgone\x9b1A\u202e\r\nall invariants hold"
WRITTEN_OUT = "\\x1b[2Jgone\\x9b1A\\u202e\\r\\nall invariants hold"


def test_nothing_that_others_wrote_forges_a_line_of_a_table() -> None:
    [_, line] = output.table(("order", "what"), [(OBEYED, OBEYED)]).splitlines()
    assert line.startswith(WRITTEN_OUT)
    assert line.isprintable()


def test_no_terminal_obeys_what_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    output.say({}, f"order {OBEYED}", as_json=False)
    assert capsys.readouterr().out.replace("\n", "").isprintable()


def test_no_terminal_obeys_json_which_still_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    said = {"orderId": OBEYED, "note": "\u0437\u0430\u043a\u0430\u0437 \U000e0001"}
    output.say(said, "", as_json=True)
    out = capsys.readouterr().out
    assert out.rstrip("\n").isprintable()
    assert "\u0437\u0430\u043a\u0430\u0437" in out
    assert json.loads(out) == said
