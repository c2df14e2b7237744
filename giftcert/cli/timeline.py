"""One certificate's life put in order of time: records of the topics, events, and what still waits. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from giftcert.contracts.envelope import StoredEvent
from giftcert.dispatch.positions import StreamPosition
from giftcert.storage.certificates import ParkedWork, StoredCertificate
from giftcert.storage.traces import TracedInput, TracedPending

_ORDER = ("input", "event", "pending", "parked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """All that is kept of a certificate; ``positions`` by event id, ``stream_note`` says why some may be missing."""

    certificate: StoredCertificate
    inputs: Sequence[TracedInput]
    pending: Sequence[TracedPending]
    events: Sequence[StoredEvent]
    unpublished: Collection[str]
    positions: Mapping[str, StreamPosition] = field(default_factory=dict)
    stream_note: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a life. ``data`` is its JSON, ``where`` its words."""

    at: datetime
    step: str
    what: str
    where: str
    data: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return the step as the command prints it for programs."""
        return {"at": stamp(self.at), "step": self.step, **self.data}


def timeline(life: Life) -> list[Step]:
    """Return all steps in order of time, what waits last."""
    steps = [
        *map(_input, life.inputs),
        *(_event(one, life) for one in life.events),
        *map(_pending, life.pending),
        *map(_parked, life.certificate.parked),
    ]
    return sorted(
        steps, key=lambda step: (step.step in {"pending", "parked"}, step.at, _ORDER.index(step.step))
    )


def stamp(at: datetime | None) -> str | None:
    """Return an instant as contracts write it, to the millisecond."""
    return None if at is None else at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


def _input(found: TracedInput) -> Step:
    data = {
        "topic": found.topic,
        "partition": found.partition,
        "offset": found.offset,
        "eventId": found.event_id,
        "eventType": found.event_type,
        "orderId": found.order_id,
    }
    place = found.topic if found.offset is None else f"{found.topic}/{found.partition}/{found.offset}"
    where = f"{place}, event {found.event_id}, order {found.order_id}"
    return Step(found.received_at, "input", found.event_type, where, data)


def _pending(waiting: TracedPending) -> Step:
    data = {
        "kind": waiting.kind,
        "orderId": waiting.order_id or None,
        "signalledAt": stamp(waiting.signalled_at),
    }
    signalled = f"signalled {stamp(waiting.signalled_at)}" if waiting.signalled_at else "not signalled yet"
    of = f", order {waiting.order_id}" if waiting.order_id else ""
    return Step(waiting.since, "pending", waiting.kind, f"not decided yet, {signalled}{of}", data)


def _parked(work: ParkedWork) -> Step:
    data = {"kind": work.kind, "error": work.error}
    where = f"could not be decided: {work.error}; `giftcert verify --repair` tries again"
    return Step(work.since, "parked", work.kind, where, data)


def _event(event: StoredEvent, life: Life) -> Step:
    position, is_published = life.positions.get(event.event_id), event.event_id not in life.unpublished
    reason = _reason(event)
    cause = {"topic": event.cause_topic, "eventId": event.cause_event_id} if event.cause_topic else None
    data = {
        "eventId": event.event_id,
        "sequence": event.sequence,
        "eventType": event.event_type,
        "reason": reason,
        "status": event.status,
        "refundState": event.refund_state,
        "balance": event.balance,
        "held": event.held,
        "cause": cause,
        "published": is_published,
        "stream": {"partition": position.partition, "offset": position.offset} if position else None,
    }
    what = f"{event.sequence} {event.event_type}" + (f" ({reason})" if reason else "")
    stands = f"{event.status}, refund {event.refund_state}, balance {event.balance or 0:,}, held {event.held or 0:,}"
    place = "published" if is_published else "not published yet"
    if position is not None:
        place = f"stream {position.partition}/{position.offset}"
    because = f"; from {event.cause_topic}, event {event.cause_event_id}" if event.cause_topic else ""
    return Step(event.recorded_at, "event", what, f"{stands}; {place}{because}", data)


def _reason(event: StoredEvent) -> str | None:
    """Return why it happened; the reason of a person's act is free text and may hold anything."""
    if event.event_type.startswith("audit."):
        return None
    reason: str | None = msgspec.json.decode(event.payload).get("reason")
    return reason
