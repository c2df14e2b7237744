"""Whatever the domain decides, and the stream tells of it, keeps the invariants that the fold checks."""

from dataclasses import fields, replace
from typing import Any

import msgspec
from hypothesis import given

from giftcert.contracts.stream import EventFields, EventRecord, StoredEvent, stamp
from giftcert.domain.certificate.state import CertificateState
from giftcert.storage.verification.session import CertificateRow
from giftcert.verification.recorded_events import FoldCheck
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate
from tests.unit.domain.certificate.lives import Move, led, lives
from tests.unit.domain.profiles import searched


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
    return StoredEvent(
        **{one.name: getattr(record, one.name) for one in fields(EventFields)},
        event_id=str(sequence),
        stream_key=certificate_id,
        certificate_id=certificate_id,
        sequence=sequence,
        recorded_at=record.occurred_at,
        cause_topic=record.cause.topic if record.cause else None,
        cause_event_id=record.cause.event_id if record.cause else None,
        payload=msgspec.json.encode(record.payload).decode(),
    )


def told_by(life: tuple[Move, ...]) -> tuple[CertificateState, list[StoredEvent]]:
    return events_of(led(life))


def events_of(found: Certificate) -> tuple[CertificateState, list[StoredEvent]]:
    records: list[EventRecord] = []
    for one in found.world.decided:
        if one.before.certificate_id == found.name:
            records += stamp(one.before, one.decision.recorded, at=one.decision.now, channel="im")
    events = [stored(one, found.name, nth) for nth, one in enumerate(records, 1)]
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
def test_no_life_that_the_domain_leads_has_money_without_a_cause(life: tuple[Move, ...]) -> None:
    _, events = told_by(life)
    follows = {"issue.ordered", "issue.completed", "redemption.captured", "redemption.restored"}
    assert [one.event_type for one in events if one.event_type in follows and one.cause_topic is None] == []


COUNTED = {
    *("issue.completed", "redemption.captured", "redemption.restored", "audit.expired"),
    *("refund.requested", "refund.pendingDetails", "refund.completed", "refund.resolved"),
}


@searched(200)
@given(lives)
def test_no_life_that_the_domain_leads_has_money_that_bi_cannot_count_by_where_and_whose(
    life: tuple[Move, ...],
) -> None:
    """Orders of these lives may name no customer; then there is none to say."""
    _, events = told_by(life)
    money = [one for one in events if one.event_type in COUNTED]

    assert [one.event_type for one in money if None in (one.channel, one.sale_channel, one.product)] == []
    assert [one.event_type for one in money if '"customerId"' not in one.payload] == []


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
    said = {
        "orderId": make.ORDER,
        "lineId": "2",
        "lineKey": 1,
        "amount": {"amount": 500_000, "currency": "RUB"},
    }
    events.append(told_again(events, "issue.ordered", **said))

    assert [one.partition(":")[0] for one in violations(state, events)] == ["2 heldTwice"]


def test_a_reservation_that_is_resolved_twice_is_named() -> None:
    state, events = told_by((make.reserve(), make.given_back(make.RESERVATION)))
    released = {"reservationId": make.RESERVATION, "orderId": None, "reason": "channelReleased"}
    events.append(told_again(events, "issue.released", **released))

    assert [one.partition(":")[0] for one in violations(state, events)] == ["2 resolvedTwice"]
