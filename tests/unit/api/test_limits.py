import time

import pytest

from api import limits
from api.limits import CallLimit
from api.problems import Problem, ProblemError


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def refused_for(limit: CallLimit, who: str = "crm") -> int | None:
    try:
        limit.hit(who)
    except ProblemError as error:
        return error.retry_after
    return None


def test_as_many_calls_as_allowed_pass_in_any_window_and_no_more(clock: list[float]) -> None:
    limit = CallLimit("2/minute", Problem.TOO_MANY_DISCLOSURES)
    assert refused_for(limit) is None
    clock[0] += 40
    assert refused_for(limit) is None
    assert refused_for(limit) == 20
    clock[0] += 20  # the first call leaves the window
    assert refused_for(limit) is None
    assert refused_for(limit) == 40


def test_callers_are_counted_apart(clock: list[float]) -> None:
    limit = CallLimit("1/minute", Problem.TOO_MANY_DISCLOSURES)
    assert [refused_for(limit, who) for who in ("a", "b", "a", "b")] == [None, None, 60, 60]
    assert clock


def test_callers_who_have_been_silent_for_a_window_are_forgotten(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FEWEST_REMEMBERED", 2)
    limit = CallLimit("1/minute", Problem.TOO_MANY_DISCLOSURES)
    for who in ("a", "b"):
        limit.hit(who)
    clock[0] += 61
    limit.hit("c")
    assert list(limit._calls) == ["c"]
