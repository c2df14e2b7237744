"""``GiftCertificates.Stream``: what the domain decided, as the events that everyone else reads."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from giftcert.contracts.payload import payload_of
from giftcert.contracts.records import EventRecord
from giftcert.domain.events import Event, PublicEvent
from giftcert.domain.evolve import evolve
from giftcert.domain.messages import Cause
from giftcert.domain.state import CertificateState

COMPONENT = "workflow"
"""The part of the service that decides over certificates, as ``error`` events name it."""


def stamp(
    before: CertificateState,
    events: Sequence[Event],
    *,
    at: datetime,
    occurred_at: datetime,
    channel: str | None,
    cause: Cause | None,
) -> tuple[EventRecord, ...]:
    """Return the public events of one decision, each with the certificate as it stood after it.

    Args:
        before: the state on which it was decided.
        events: what was decided, public and private, in order.
        at: the instant at which it was decided.
        occurred_at: business time of the message or deadline.
        channel: where the cause happened.
        cause: the record that it came from, if one.
    """
    return tuple(
        EventRecord(
            event_type=event.type,
            occurred_at=occurred_at,
            channel=channel,
            payload=_payload(event, cause, after.currency),
            cause=cause,
            **standing(after, sold_by),
        )
        for event, sold_by, after in _told(before, events, at)
    )


def standing(state: CertificateState, sale_channel: str | None = None) -> Mapping[str, Any]:
    """Return what every event of a certificate says of it, as fields of ``EventRecord``.

    ``sale_channel`` stands in where the state no longer has one: who sold what has just been released.
    """
    return {
        "sale_channel": state.sale_channel or sale_channel,
        "status": state.shown_status,
        "refund_state": state.refund_state.value,
        "product": state.product,
        "nominal": state.nominal or None,  # 0: open value, not chosen yet
        "currency": state.currency,
        "balance": state.balance,
        "held": state.held,
    }


def _told(
    state: CertificateState, events: Sequence[Event], at: datetime
) -> Iterator[tuple[PublicEvent, str | None, CertificateState]]:
    """Pair each public event with who sold before it, and the state after it and the private ones that follow.

    Those complete it: the nominal and the channel of a sale stand in private events behind ``issue.ordered``.
    """
    told: PublicEvent | None = None
    sold_by: str | None = None
    for event in events:
        if isinstance(event, PublicEvent):
            if told is not None:
                yield told, sold_by, state
            told, sold_by = event, state.sale_channel
        state = evolve(state, event, at)
    if told is not None:
        yield told, sold_by, state


def _payload(event: PublicEvent, cause: Cause | None, currency: str) -> dict[str, Any]:
    payload = payload_of(event, currency)
    if event.type.startswith("error."):  # every error says where its input stands, as far as that is known
        place = {"topic": cause and cause.topic, "eventId": cause and cause.event_id}
        payload = {**place, "partition": None, "offset": None, "component": COMPONENT} | payload
    return payload
