"""The reverse of ``encode_event``: a record of ``GiftCertificates.Stream`` as the event that was stored."""

from datetime import datetime
from hashlib import blake2b

import msgspec

from giftcert.contracts.envelope import StoredEvent

DIGEST_BYTES = 16


class _Money(msgspec.Struct, frozen=True, gc=False):
    amount: int
    currency: str | None


class _Cause(msgspec.Struct, frozen=True, rename="camel", gc=False):
    topic: str
    event_id: str | None


class _Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Fields of later versions are left out, those of this one need not be there."""

    event_id: str
    event_type: str
    occurred_at: datetime
    recorded_at: datetime
    payload: msgspec.Raw
    channel: str | None = None
    sale_channel: str | None = None
    status: str | None = None
    refund_state: str | None = None
    certificate_id: str | None = None
    sequence: int | None = None
    product: str | None = None
    nominal: _Money | None = None
    balance: _Money | None = None
    held: _Money | None = None
    cause: _Cause | None = None


_DECODER: msgspec.json.Decoder[_Envelope] = msgspec.json.Decoder(_Envelope)
_PACK = msgspec.msgpack.Encoder()


def decode_event(key: bytes | None, value: bytes | None) -> StoredEvent:
    """Return the event that a record of the stream tells.

    Raises:
        msgspec.DecodeError: it is no event of ours.
        UnicodeDecodeError: its key is no text.
    """
    told = _DECODER.decode(value or b"")
    money = told.balance or told.held or told.nominal
    return StoredEvent(
        event_id=told.event_id,
        stream_key=(key or b"").decode(),
        certificate_id=told.certificate_id,
        sequence=told.sequence,
        event_type=told.event_type,
        occurred_at=told.occurred_at,
        recorded_at=told.recorded_at,
        channel=told.channel,
        sale_channel=told.sale_channel,
        status=told.status,
        refund_state=told.refund_state,
        product=told.product,
        nominal=told.nominal.amount if told.nominal else None,
        currency=money.currency if money else None,
        balance=told.balance.amount if told.balance else None,
        held=told.held.amount if told.held else None,
        cause_topic=told.cause.topic if told.cause else None,
        cause_event_id=told.cause.event_id if told.cause else None,
        payload=bytes(told.payload).decode(),
    )


def digest_of(event: StoredEvent) -> bytes:
    """Return a short digest of all that an event says, the same for what is stored and what is told of it.

    It is of the fields rather than of the record's bytes, so that a record of an earlier version, which lacks a field
    added since, still equals its row.
    """
    return blake2b(_PACK.encode(event), digest_size=DIGEST_BYTES).digest()
