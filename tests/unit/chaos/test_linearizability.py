"""Porcupine with the model of a certificate: histories that can be, and that cannot. It takes Go."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from chaos.checker import CheckerMissingError, violations
from chaos.history import Operation
from chaos.recording import load

RECORDED = load(Path(__file__).parent / "recorded_run.json.gz").operations
FULL = 500


@pytest.fixture(scope="module", autouse=True)
def _checker() -> None:
    """Porcupine, which takes Go, and is fetched once."""
    try:
        violations([], FULL)
    except CheckerMissingError as missing:
        if "CI" in os.environ and shutil.which("go") is None:
            raise
        pytest.skip(str(missing))


def of_one_certificate(*calls: tuple[str, str, int, int | None, int, int]) -> list[Operation]:
    """Return a history: kind, subject, called, answered, amount, held."""
    return [
        Operation("c", kind, subject, *instants_and_amounts) for kind, subject, *instants_and_amounts in calls
    ]


POSSIBLE = {
    "two holds at once of which one is refused": [
        ("hold", "r-1", 1, 9, 400, 0),
        ("refuse", "o-2", 2, 3, 400, 0),
    ],
    "a hold that comes in between": [
        ("hold", "r-1", 1, 4, 100, 0),
        ("read", "", 2, 3, 500, 0),
        ("read", "", 5, 6, 400, 100),
    ],
    "a capture that is read before and after it": [
        ("hold", "r-1", 1, 2, 100, 0),
        ("capture", "r-1", 3, None, 80, 0),
        ("read", "", 4, 5, 400, 100),
        ("read", "", 6, 7, 420, 0),
    ],
    "a reservation after the one before it was given back": [
        ("reserve", "a", 1, 2, 0, 0),
        ("release", "a", 3, 6, 0, 0),
        ("reserve", "b", 4, 5, 0, 0),
    ],
    "what is spent without a hold, and comes back": [
        ("spend", "o-1", 1, None, 500, 0),
        ("restore", "", 2, None, 200, 0),
        ("read", "", 8, 9, 200, 0),
    ],
}
IMPOSSIBLE = {
    "two buyers got the same certificate": [("reserve", "a", 1, 2, 0, 0), ("reserve", "b", 3, 4, 0, 0)],
    "two holds of more than there is": [("hold", "r-1", 1, 9, 400, 0), ("hold", "r-2", 2, 8, 400, 0)],
    "a refusal of what there was enough for": [("refuse", "o-1", 1, 2, 500, 0)],
    "a look that misses a hold that was answered": [
        ("hold", "r-1", 1, 2, 100, 0),
        ("read", "", 3, 4, 500, 0),
    ],
    "a look back before what was seen": [
        ("hold", "r-1", 1, 9, 100, 0),
        ("read", "", 2, 3, 400, 100),
        ("read", "", 4, 5, 500, 0),
    ],
    "a void that gave nothing back": [
        ("hold", "r-1", 1, 2, 100, 0),
        ("void", "r-1", 3, 4, 0, 0),
        ("read", "", 5, 6, 400, 100),
    ],
    "a capture of a hold that was voided": [
        ("hold", "r-1", 1, 2, 100, 0),
        ("void", "r-1", 3, 4, 0, 0),
        ("capture", "r-1", 5, 6, 100, 0),
    ],
    "a certificate given back by who did not have it": [("release", "a", 1, 2, 0, 0)],
}


@pytest.mark.parametrize("name", POSSIBLE)
def test_a_history_that_can_be(name: str) -> None:
    assert violations(of_one_certificate(*POSSIBLE[name]), FULL) == []


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_a_history_that_cannot_be(name: str) -> None:
    (line,) = violations(of_one_certificate(*IMPOSSIBLE[name]), FULL)
    assert line.startswith("certificate c: its")


def test_a_recorded_run_is_linearizable_until_a_certificate_is_handed_out_twice() -> None:
    assert violations(RECORDED, 500_000) == []
    reserved = next(one for one in RECORDED if one.kind == "reserve" and one.answered is not None)
    end = max(one.answered or one.called for one in RECORDED)
    again = replace(reserved, subject="again", called=end + 1, answered=end + 2)
    (line,) = violations([*RECORDED, again], 500_000)
    assert reserved.certificate_id in line
