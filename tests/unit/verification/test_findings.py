"""Findings name what they can and count all of it."""

from datetime import UTC, datetime, timedelta

from giftcert.verification.moment import Moment
from giftcert.verification.violations import KEPT, Findings, Violation

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def violation(number: int, invariant: int = 6, seen: str = "two") -> Violation:
    return Violation(
        invariant=invariant, rule="gap", kind="certificate", subject=str(number), expected="one", seen=seen
    )


def test_a_violation_that_is_found_again_counts_once() -> None:
    findings = Findings()
    findings.add_all([violation(1), violation(1, seen="three by now"), violation(2)])
    assert (findings.counts[6], len(findings.violations), findings.are_all_named) == (2, 2, True)


def test_more_than_can_be_named_are_counted() -> None:
    findings = Findings()
    findings.add_all(violation(number) for number in range(KEPT + 5))
    findings.add(violation(1, invariant=2))
    findings.add_uncounted(6, 10)
    assert (findings.counts[6], len(findings.violations)) == (KEPT + 15, KEPT + 1)
    assert findings.violations[0].invariant == 2
    assert not findings.are_all_named
    assert not findings.hold


def test_only_what_was_published_while_the_stream_was_read_must_be_there() -> None:
    moment = Moment(told_until=NOON, told_since=NOON - timedelta(hours=1), patient_until=NOON)
    ages = {0: False, 30: True, 61: False}
    for minutes, must in ages.items():
        assert moment.must_be_told(NOON - timedelta(minutes=minutes)) is must
    assert not moment.must_be_told(None)
