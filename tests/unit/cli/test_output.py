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


def test_where_it_would_be_narrow_each_row_is_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_width", lambda: 80)
    rows = [(ID, "approve or reject", WORDS), (ID, "", "nothing")]
    assert output.table(COLUMNS, rows).splitlines() == [
        f"case          {ID}",
        "decide        approve or reject",
        "what is back  IM-1001, line 2: certificateRedeemed, 500,000 of 500,000 RUB;",
        "              balance 400,000, held 0",
        "",
        f"case          {ID}",
        "what is back  nothing",
    ]


@pytest.mark.parametrize("width", [1, 20, 30, 44, 60, 80, 120, 240])
def test_ids_positions_and_links_are_whole_at_any_width(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr(output, "_width", lambda: width)
    link = f"http://127.0.0.1:8233/namespaces/default/workflows/certificate-{ID}"
    whole = ("All_SalesOrder/0/15", ID, link)
    text = output.table(
        ("position", "event", "detail"), [("All_SalesOrder/0/15", ID, f"see {link} for more")]
    )
    assert [one for one in whole if one not in text.split()] == []
    wide = [line for line in text.splitlines() if len(line) > max(width, len(link))]
    assert wide == []


def test_a_value_that_does_not_fit_beside_its_name_is_beneath_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_width", lambda: 40)
    assert (
        output.fields([("certificate", ID), ("status", "issued")])
        == f"certificate\n{ID}\nstatus       issued"
    )


def test_the_width_is_that_of_the_terminal_and_nothing_is_wrapped_for_a_pipe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("sys.__stdout__", None)
    assert output._width() == 240
    monkeypatch.setenv("COLUMNS", "80")
    assert output._width() == 80


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
