"""One certificate's life put in order of time: input, delivery, decision, event. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from giftcert.dispatch.positions import StreamPosition
from giftcert.storage.traces import (
    TracedCertificate,
    TracedDecision,
    TracedDelivery,
    TracedEvent,
    TracedInput,
)

_ORDER = ("input", "delivery", "decision", "event")


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """All that is kept of a certificate; ``positions`` by event id, ``stream_note`` says why some may be missing."""

    certificate: TracedCertificate
    inputs: Sequence[TracedInput]
    deliveries: Sequence[TracedDelivery]
    decisions: Sequence[TracedDecision]
    events: Sequence[TracedEvent]
    positions: Mapping[str, StreamPosition] = field(default_factory=dict)
    stream_note: str | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """One step of a life; ``at`` is ``None`` for what has still to come. ``data`` is its JSON, ``where`` its words."""

    at: datetime | None
    step: str
    what: str
    where: str
    data: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return the step as the command prints it for programs."""
        return {"at": stamp(self.at), "step": self.step, **self.data}


def timeline(life: Life) -> list[Moment]:
    """Return all steps in order of time, what waits last."""
    kinds = {delivery.key: delivery.kind for delivery in life.deliveries}
    decided = {decision.key for decision in life.decisions}
    moments = [
        *map(_input, life.inputs),
        *map(_delivery, life.deliveries),
        *(_decision(one, kinds) for one in life.decisions),
        *(_event(one, life.positions.get(one.event_id)) for one in life.events),
        *(_waiting(one) for one in life.deliveries if one.key not in decided),
    ]
    return sorted(moments, key=_place)


def stamp(at: datetime | None) -> str | None:
    """Return an instant as contracts write it, to the millisecond."""
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


def _place(moment: Moment) -> tuple[bool, float, int]:
    at = moment.at
    return at is None, at.timestamp() if at else 0.0, _ORDER.index(moment.step)


def _input(found: TracedInput) -> Moment:
    data = {
        "topic": found.topic,
        "partition": found.partition,
        "offset": found.offset,
        "eventId": found.event_id,
        "eventType": found.event_type,
        "key": found.identity,
    }
    where = f"{found.topic}/{found.partition}/{found.offset}, event {found.event_id}"
    return Moment(found.received_at, "input", found.event_type, where, data)


def _delivery(told: TracedDelivery) -> Moment:
    """A word of CRM is not in the inbox, so its record is named here."""
    data = {
        "kind": told.kind,
        "key": told.key,
        "cause": {"topic": told.topic, "eventId": told.event_id},
        "sentAt": stamp(told.sent_at),
    }
    sent = f"sent {stamp(told.sent_at)}" if told.sent_at else "not sent yet"
    return Moment(
        told.created_at, "delivery", told.kind, f"{sent}; from {told.topic}, event {told.event_id}", data
    )


def _decision(decision: TracedDecision, kinds: Mapping[str, str]) -> Moment:
    data = {"kind": kinds.get(decision.key), "key": decision.key}
    return Moment(
        decision.applied_at, "decision", kinds.get(decision.key, "an act"), f"applied {decision.key}", data
    )


def _waiting(told: TracedDelivery) -> Moment:
    data = {"kind": told.kind, "key": told.key}
    return Moment(None, "decision", told.kind, f"waits {told.key}", data)


def _event(event: TracedEvent, position: StreamPosition | None) -> Moment:
    data = {
        "eventId": event.event_id,
        "sequence": event.sequence,
        "eventType": event.event_type,
        "reason": event.reason,
        "status": event.status,
        "refundState": event.refund_state,
        "balance": event.balance,
        "held": event.held,
        "cause": {"topic": event.cause_topic, "eventId": event.cause_event_id} if event.cause_topic else None,
        "publishedAt": stamp(event.published_at),
        "stream": {"partition": position.partition, "offset": position.offset} if position else None,
    }
    what = f"{event.sequence} {event.event_type}" + (f" ({event.reason})" if event.reason else "")
    where = f"{event.status}, refund {event.refund_state}, balance {event.balance}, held {event.held}; "
    return Moment(event.recorded_at, "event", what, where + _published(event, position), data)


def _published(event: TracedEvent, position: StreamPosition | None) -> str:
    if position is not None:
        return f"stream {position.partition}/{position.offset}"
    return f"published {stamp(event.published_at)}" if event.published_at else "not published yet"
