"""The demo prints a summary first and tables after it, whole at any width, and no link into what has been stopped."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from simulators.demo.findings import Finding
from simulators.demo.report import Result, as_json, show

LINK = "http://127.0.0.1:30866/namespaces/default/workflows/certificate-01a2271d-d458-77b1-8a1e-fd99798750ec"
SOLD = Finding("Sold online", "3 x sold = issued", "3 x sold = issued", holds=True, times=3)
REVENUE = Finding("Revenue of this run", "4,500.00 RUB", "4,500.00 RUB", holds=True)
BROKEN = Finding("Spent in part", f"2 x sold, see {LINK}", "1 x nothing\n1 x sold", holds=False)
RESULT = Result(
    scenarios=[SOLD],
    checks=[REVENUE],
    seconds=47.4,
    issued={"im": 200, "pos": 102},
    goods_orders=3_000,
    figures={"revenue": 1_234_567_89, "liability": 5},
    latency={"reservation": [0.004, 0.012]},
    waiting_refunds=2,
    web_url=LINK,
)


def shown(result: Result, width: int = 80, *, stack_ends: bool = False) -> list[str]:
    out = io.StringIO()
    show(Console(file=out, width=width), result, stack_ends=stack_ends)
    return out.getvalue().splitlines()


def test_the_summary_comes_first_with_the_numbers_that_the_readme_promises() -> None:
    text = "\n".join(shown(RESULT, 120))
    summary, _, tables = text.partition("Scenarios;")
    for words in (
        "Everything is as expected.",
        "302 (200 by im, 102 by pos) in 47 s",
        "3,000",
        "refunds waiting",
        "1 of 1 as expected",
        "1,234,567.89 RUB",
        "p50 4 ms, p99 12 ms of 2",
        LINK,
    ):
        assert words in summary
    assert "Sold online" in tables
    assert "4,500.00 RUB" in tables


def test_no_column_repeats_another() -> None:
    [row] = [line for line in shown(RESULT) if "Sold online" in line]
    assert row.split() == ["✓", "Sold", "online", "3", "sold", "=", "issued"]
    many = Finding("Malformed bytes", "13 x error", "13 x error", holds=True, times=3)
    [row] = [line for line in shown(replace(RESULT, scenarios=[many])) if "Malformed" in line]
    assert row.split()[-3:] == ["13", "x", "error"]
    [row] = [line for line in shown(RESULT) if "Revenue" in line]
    assert row.count("4,500.00 RUB") == 1


def test_there_is_no_link_into_a_stack_that_ends_with_the_demo() -> None:
    text = "\n".join(shown(RESULT, stack_ends=True))
    assert "http" not in text
    assert as_json(RESULT, stack_ends=True)["webUrl"] is None
    assert "`make demo KEEP=1` leaves all running to look at the refunds that wait for a person." in text


@pytest.mark.parametrize("width", [40, 80, 120])
def test_what_is_not_as_expected_is_named_before_the_tables_and_its_link_is_whole(width: int) -> None:
    lines = shown(replace(RESULT, scenarios=[SOLD, BROKEN]), width)
    said = lines.index("Spent in part")
    assert lines[said + 1 : said + 4] == [
        f"  expected 2 x sold, see {LINK}",
        "  seen     1 x nothing",
        "           1 x sold",
    ]
    assert said < next(nth for nth, line in enumerate(lines) if line.startswith("Scenarios;"))
    assert "Not everything is as expected." in lines
    tables = lines[next(nth for nth, line in enumerate(lines) if "scenario" in line and "played" in line) :]
    assert [line for line in tables if len(line) > width] == []


def test_programs_get_the_same_as_json() -> None:
    said = json.loads(json.dumps(as_json(RESULT, stack_ends=False)))
    assert (said["asExpected"], said["issued"], said["webUrl"]) == (True, {"im": 200, "pos": 102}, LINK)
    assert said["figures"]["revenue"] == {"amount": 123_456_789, "currency": "RUB"}
    assert said["latencySeconds"]["reservation"] == {"p50": 0.004, "p99": 0.012}
    assert said["scenarios"][0]["subject"] == "Sold online"
