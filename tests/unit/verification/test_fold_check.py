"""Whatever the domain decides, and the stream tells of it, keeps the invariants that the fold checks."""

from dataclasses import replace
from typing import Any, get_args

import msgspec
from hypothesis import given

from giftcert.contracts.envelope import StoredEvent
from giftcert.contracts.records import EventRecord
from giftcert.contracts.stream import stamp
from giftcert.domain import messages as m
from giftcert.domain.state import CertificateState
from giftcert.storage.verification.pages import CertificateRow
from giftcert.verification.folding import FoldCheck
from giftcert.verification.refunded import refunded_too_much
from tests.unit.domain import factories as make
from tests.unit.domain.certificates import Certificate
from tests.unit.domain.lives import DeadlineTold, Move, Waited, lives, message_of
from tests.unit.domain.profiles import searched

BLOCKED_IN_THE_POOL: dict[str, Any] = {
    "certificate_id": "C-1",
    "product": "GC-5000",
    "currency": "RUB",
    "nominal": 500_000,
    "blocked": True,
}
DECIDED = (*get_args(m.Message), Waited, DeadlineTold)


def row_of(state: CertificateState, sequence: int) -> CertificateRow:
    """The certificate as the database has it."""
    return CertificateRow(
        certificate_id=state.certificate_id,
        product=state.product,
        currency=state.currency,
        nominal=state.nominal,
        status=state.status.value,
        blocked=state.blocked,
        balance=state.balance,
        held=state.held,
        refund_state=state.refund_state.value,
        sequence=sequence,
    )


def stored(record: EventRecord, certificate_id: str, sequence: int) -> StoredEvent:
    """The event as the database has it."""
    told = {name: getattr(record, name) for name in EventRecord.__slots__ if name not in {"cause", "payload"}}
    return StoredEvent(
        **told,
        event_id=str(sequence),
        stream_key=certificate_id,
        certificate_id=certificate_id,
        sequence=sequence,
        recorded_at=record.occurred_at,
        cause_topic=None,
        cause_event_id=None,
        payload=msgspec.json.encode(record.payload).decode(),
    )


def tell(found: Certificate, message: m.Message) -> list[EventRecord]:
    before = found.state
    found.tell(message)
    return list(stamp(before, found.last, at=found.clock, occurred_at=found.clock, channel="im", cause=None))


def told_by(life: tuple[Move, ...]) -> tuple[CertificateState, list[StoredEvent]]:
    found, records = Certificate(), list[EventRecord]()
    for step in life:
        message = message_of(found, step) if isinstance(step, DECIDED) else None
        if message is not None:
            records += tell(found, message)
    events = [stored(one, found.state.certificate_id, nth) for nth, one in enumerate(records, 1)]
    return found.state, events


def violations(state: CertificateState, events: list[StoredEvent]) -> list[str]:
    check = FoldCheck(row_of(state, len(events)))
    found = [one for event in events for one in check.take(event)]
    return [f"{one.invariant} {one.rule}: {one}" for one in (*found, *check.end())]


@searched(200)
@given(lives)
def test_no_life_that_the_domain_leads_is_taken_for_a_violation(life: tuple[Move, ...]) -> None:
    assert violations(*told_by(life)) == []


@searched(200)
@given(lives)
def test_no_life_that_the_domain_leads_has_refunded_what_nobody_speaks_of(life: tuple[Move, ...]) -> None:
    state, _ = told_by(life)
    assert [str(one) for one in refunded_too_much(state)] == []


def sale() -> tuple[CertificateState, list[StoredEvent]]:
    return told_by((make.reserve(), make.ordered(), make.captured()))


def test_a_payload_that_is_not_of_its_type_is_named_without_its_value() -> None:
    state, events = sale()
    events[1] = replace(events[1], payload='{"orderId": 4111111111111111}')

    found = violations(state, events)

    assert found[0].startswith("5 unreadable:")
    assert "4111111111111111" not in found[0]


def test_only_the_first_event_that_differs_is_named() -> None:
    state, events = sale()
    events = [replace(one, held=7) for one in events]

    assert [one.partition(":")[0] for one in violations(state, events)] == ["5 eventDiffers"]


def told_again(events: list[StoredEvent], event_type: str, **payload: Any) -> StoredEvent:
    """The last event told once more as one of another type: nothing else of the certificate changes."""
    said = msgspec.json.encode(payload).decode()
    return replace(events[-1], sequence=len(events) + 1, event_type=event_type, payload=said)


def test_a_certificate_that_is_ordered_while_it_is_held_is_named() -> None:
    state, events = told_by((make.reserve(), make.ordered()))
    money = {"amount": 500_000, "currency": "RUB"}
    events.append(told_again(events, "issue.ordered", orderId=make.ORDER, lineId="2", amount=money))

    assert [one.partition(":")[0] for one in violations(state, events)] == ["2 heldTwice"]


def test_a_reservation_that_is_resolved_twice_is_named() -> None:
    state, events = told_by((make.reserve(), make.given_back(make.RESERVATION)))
    released = {"reservationId": make.RESERVATION, "orderId": None, "reason": "channelReleased"}
    events.append(told_again(events, "issue.released", **released))

    assert [one.partition(":")[0] for one in violations(state, events)] == ["2 resolvedTwice"]


def test_a_first_event_that_changes_the_certificate_itself_is_no_word_on_what_was_before() -> None:
    state, events = sale()
    events[0] = replace(events[0], status="blocked")

    assert [one.partition(":")[0] for one in violations(state, events)] == ["5 eventDiffers"]


def test_a_life_that_begins_with_a_refusal_begins_as_that_says() -> None:
    _, events = told_by((make.ordered(),))
    assert [one.event_type for one in events] == ["error.orderConflict"]
    events = [replace(events[0], status="blocked")]
    assert violations(CertificateState(**BLOCKED_IN_THE_POOL), events) == []
    unlike = violations(CertificateState(**BLOCKED_IN_THE_POOL | {"blocked": False}), events)
    assert [one.partition(":")[0] for one in unlike] == ["5 foldDiffers"]
