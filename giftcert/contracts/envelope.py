"""A stored event as the record on ``GiftCertificates.Stream``: CloudEvents 1.0, Kafka binary mode."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

SCHEMA_VERSION = 1
"""Rises only when a reader of the version before would break."""
SOURCE = "/giftcert"

Header: TypeAlias = tuple[str, bytes]
_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An event with the id, sequence number and commit time that storage gave it; ``payload`` is JSON text."""

    event_id: str
    stream_key: str
    certificate_id: str | None
    sequence: int | None
    event_type: str
    occurred_at: datetime
    recorded_at: datetime
    channel: str | None
    sale_channel: str | None
    status: str | None
    refund_state: str | None
    product: str | None
    nominal: int | None
    currency: str | None
    balance: int | None
    held: int | None
    cause_topic: str | None
    cause_event_id: str | None
    payload: str


def encode_event(event: StoredEvent) -> tuple[bytes, bytes, list[Header]]:
    """Return key, value and headers; the same stored event always gives the same bytes."""
    value = _ENCODER.encode(_envelope(event))
    return event.stream_key.encode(), value, _headers(event)


def _envelope(event: StoredEvent) -> dict[str, Any]:
    cause = {"topic": event.cause_topic, "eventId": event.cause_event_id} if event.cause_topic else None
    return {
        "eventId": event.event_id,
        "eventType": event.event_type,
        "schemaVersion": SCHEMA_VERSION,
        "occurredAt": event.occurred_at,
        "recordedAt": event.recorded_at,
        "channel": event.channel,
        "saleChannel": event.sale_channel,
        "status": event.status,
        "refundState": event.refund_state,
        "certificateId": event.certificate_id,
        "sequence": event.sequence,
        "product": event.product,
        "nominal": _money(event.nominal, event.currency),
        "balance": _money(event.balance, event.currency),
        "held": _money(event.held, event.currency),
        "cause": cause,
        "payload": msgspec.Raw(event.payload.encode()),
    }


def _money(amount: int | None, currency: str | None) -> dict[str, Any] | None:
    return None if amount is None else {"amount": amount, "currency": currency}


def _headers(event: StoredEvent) -> list[Header]:
    """What does not apply has no header: a CloudEvents attribute may be absent but not empty."""
    texts = (
        ("ce_specversion", "1.0"),
        ("ce_id", event.event_id),
        ("ce_source", SOURCE),
        ("ce_type", event.event_type),
        ("ce_time", msgspec.to_builtins(event.occurred_at)),
        ("ce_subject", event.certificate_id),
        ("ce_channel", event.channel),
        ("content-type", "application/json"),
    )
    return [(name, text.encode()) for name, text in texts if text is not None]
