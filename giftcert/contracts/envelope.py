"""A stored event as the record on ``GiftCertificates.Stream``, and back: CloudEvents 1.0, Kafka binary mode."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import TypeAlias

import msgspec

from giftcert.contracts.payload import Money
from giftcert.contracts.records import EventFields

SCHEMA_VERSION = 1
"""Rises only when a reader of the version before would break."""
SOURCE = "/giftcert"

Header: TypeAlias = tuple[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent(EventFields):
    """An event with the id, sequence number and commit time that storage gave it; ``payload`` is JSON text."""

    event_id: str
    stream_key: str
    certificate_id: str | None
    sequence: int | None
    recorded_at: datetime
    cause_topic: str | None
    cause_event_id: str | None
    payload: str


class _Cause(msgspec.Struct, frozen=True, rename="camel", gc=False):
    topic: str
    event_id: str | None


class _Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """The record's value. Of one that is read, fields of later versions are left out, others need not be there."""

    event_id: str
    event_type: str
    schema_version: int = SCHEMA_VERSION
    occurred_at: datetime
    recorded_at: datetime
    channel: str | None = None
    sale_channel: str | None = None
    status: str | None = None
    refund_state: str | None = None
    certificate_id: str | None = None
    sequence: int | None = None
    product: str | None = None
    nominal: Money | None = None
    balance: Money | None = None
    held: Money | None = None
    cause: _Cause | None = None
    payload: msgspec.Raw


_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[_Envelope] = msgspec.json.Decoder(_Envelope)
_PACK = msgspec.msgpack.Encoder()


def encode_event(event: StoredEvent) -> tuple[bytes, bytes, list[Header]]:
    """Return key, value and headers; the same stored event always gives the same bytes."""

    def money(amount: int | None) -> Money | None:
        return None if amount is None else Money(amount, event.currency)

    envelope = _Envelope(
        event_id=event.event_id,
        event_type=event.event_type,
        occurred_at=event.occurred_at,
        recorded_at=event.recorded_at,
        channel=event.channel,
        sale_channel=event.sale_channel,
        status=event.status,
        refund_state=event.refund_state,
        certificate_id=event.certificate_id,
        sequence=event.sequence,
        product=event.product,
        nominal=money(event.nominal),
        balance=money(event.balance),
        held=money(event.held),
        cause=_Cause(event.cause_topic, event.cause_event_id) if event.cause_topic else None,
        payload=msgspec.Raw(event.payload.encode()),
    )
    return event.stream_key.encode(), _ENCODER.encode(envelope), _headers(event)


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


def decode_event(key: bytes | None, value: bytes | None) -> StoredEvent:
    """Return the event that a record of the stream tells: the reverse of ``encode_event``.

    Raises:
        msgspec.DecodeError: it is no event of ours.
        UnicodeDecodeError: its key is no text.
    """
    envelope = _DECODER.decode(value or b"")
    money = envelope.balance or envelope.held or envelope.nominal
    return StoredEvent(
        event_id=envelope.event_id,
        stream_key=(key or b"").decode(),
        certificate_id=envelope.certificate_id,
        sequence=envelope.sequence,
        event_type=envelope.event_type,
        occurred_at=envelope.occurred_at,
        recorded_at=envelope.recorded_at,
        channel=envelope.channel,
        sale_channel=envelope.sale_channel,
        status=envelope.status,
        refund_state=envelope.refund_state,
        product=envelope.product,
        nominal=envelope.nominal.amount if envelope.nominal else None,
        currency=money.currency if money else None,
        balance=envelope.balance.amount if envelope.balance else None,
        held=envelope.held.amount if envelope.held else None,
        cause_topic=envelope.cause.topic if envelope.cause else None,
        cause_event_id=envelope.cause.event_id if envelope.cause else None,
        payload=bytes(envelope.payload).decode(),
    )


def digest_of(event: StoredEvent) -> bytes:
    """Return a short digest of all that an event says, the same for what is stored and what was published of it.

    It is of the fields rather than of the record's bytes, so that a record of an earlier version, which lacks a field
    added since, still equals its row.
    """
    return blake2b(_PACK.encode(event), digest_size=16).digest()
