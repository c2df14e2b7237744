"""``GiftCertificates.Stream``: what the domain decided, as the events that everyone else reads."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from giftcert.contracts.payload import payload_of
from giftcert.contracts.records import EventRecord
from giftcert.domain.cause import Cause
from giftcert.domain.certificate.decision import Recorded
from giftcert.domain.certificate.events import PublicEvent
from giftcert.domain.certificate.state import CertificateState

COMPONENT = "workflow"
"""The part of the service that decides over certificates, as ``error`` events name it."""


def stamp(
    before: CertificateState, recorded: Sequence[Recorded], *, at: datetime, channel: str | None = None
) -> list[EventRecord]:
    """Return the events of one decision, each with the certificate as it stood after it.

    Args:
        before: the state on which it was decided.
        recorded: what was decided, in order.
        at: the instant at which it was decided; business time of what no record caused.
        channel: where a request came from; what time alone caused happened where the certificate was sold.
    """
    states = (before, *(one.after for one in recorded))
    return [
        _record(one, known.sale_channel, at, channel) for known, one in zip(states, recorded, strict=False)
    ]


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


def _record(one: Recorded, sold_by: str | None, at: datetime, channel: str | None) -> EventRecord:
    said, cause = standing(one.after, sold_by), one.cause
    return EventRecord(
        event_type=one.event.type,
        occurred_at=cause.occurred_at if cause else at,
        channel=cause.channel if cause else channel or said["sale_channel"],
        payload=_payload(one.event, cause, one.after.currency),
        cause=cause,
        **said,
    )


def _payload(event: PublicEvent, cause: Cause | None, currency: str) -> dict[str, Any]:
    payload = payload_of(event, currency)
    if event.type.startswith("error."):  # every error says where its input stands, as far as that is known
        place = {"topic": cause and cause.topic, "eventId": cause and cause.event_id}
        payload = {**place, "partition": None, "offset": None, "component": COMPONENT} | payload
    return payload
