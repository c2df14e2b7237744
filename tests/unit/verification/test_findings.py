"""Findings name what they can and count all of it."""

from dataclasses import replace
from datetime import timedelta

from giftcert.storage.verification.checks import Violation
from giftcert.storage.verification.session import RecordedEvent
from giftcert.verification.recorded_events import Cutoff
from giftcert.verification.violations import KEPT, Findings
from tests.unit.contracts.test_envelope import EVENT, NOON


def violation(number: int, invariant: int = 6, seen: str = "two") -> Violation:
    return Violation(
        invariant=invariant,
        rule="gap",
        kind="certificate",
        subject=str(number),
        about="",
        expected="one",
        seen=seen,
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


def event(*, minutes_ago: int, waits: bool = False, waited: bool = False) -> RecordedEvent:
    stored = replace(EVENT, recorded_at=NOON - timedelta(minutes=minutes_ago))
    return RecordedEvent(stored, waits, waited, [], unlinked=False, macs=[])


def test_what_left_the_outbox_while_the_stream_was_read_must_be_there() -> None:
    cutoff = Cutoff(read_until=NOON, read_since=NOON - timedelta(hours=1), patient_until=NOON)
    must = {minutes: cutoff.must_be_read(event(minutes_ago=minutes)) for minutes in (0, 1, 30, 61)}
    assert must == {0: False, 1: False, 30: True, 61: False}
    assert not cutoff.must_be_read(event(minutes_ago=30, waits=True))
    assert not cutoff.must_be_read(
        event(minutes_ago=30, waited=True)
    )  # it may have left after the stream was read
    ever = Cutoff(read_until=NOON, read_since=None, patient_until=NOON)
    assert ever.must_be_read(event(minutes_ago=61))
