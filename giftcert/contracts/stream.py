"""``GiftCertificates.Stream``: how a decision becomes events, and how a stored event becomes a record and back.

A record is a CloudEvent 1.0 in Kafka's binary mode.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any, TypeAlias

import msgspec

from giftcert.contracts.payload import Money, has_money, payload_of
from giftcert.domain.cause import Cause
from giftcert.domain.certificate.decision import Recorded
from giftcert.domain.certificate.events import PublicEvent
from giftcert.domain.certificate.state import CertificateState
from giftcert.domain.clients import Client, survivor_of

COMPONENT = "workflow"  # the part that decides over certificates, as ``error`` events name it
SCHEMA_VERSION = 1  # rises only when a reader of the version before would break
SOURCE = "/giftcert"

Header: TypeAlias = tuple[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFields:
    """What every event says: amounts in minor units of ``currency``, what does not apply is ``None``."""

    event_type: str
    occurred_at: datetime
    channel: str | None
    sale_channel: str | None = None
    status: str | None = None  # after the event, as are refund state and amounts
    refund_state: str | None = None
    product: str | None = None
    nominal: int | None = None
    currency: str | None = None
    balance: int | None = None
    held: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord(EventFields):
    """An event to be recorded."""

    payload: dict[str, Any]
    cause: Cause | None = None


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


def stamp(
    before: CertificateState,
    recorded: Sequence[Recorded],
    *,
    at: datetime,
    channel: str | None = None,
    clients: Collection[Client] = (),
) -> list[EventRecord]:
    """Return the events of one decision, each with the certificate as it stood after it.

    ``at`` is the instant of the decision, business time of what no record caused; ``channel`` is where a request came
    from, else what no record caused happened where the certificate was sold. Money has a customer, of ``clients`` the
    survivor of a merge.
    """
    sellers = (before.sale_channel, *(one.after.sale_channel for one in recorded))
    return [
        _record(one, seller, at, channel, clients) for seller, one in zip(sellers, recorded, strict=False)
    ]


def standing(state: CertificateState, sale_channel: str | None = None) -> Mapping[str, Any]:
    """Return what every event says of its certificate; ``sale_channel`` stands in for one just released."""
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


def _record(
    one: Recorded, sold_by: str | None, at: datetime, channel: str | None, clients: Collection[Client]
) -> EventRecord:
    said, cause = dict(standing(one.after, sold_by)), one.cause
    payload = payload_of(one.event, one.after.currency)
    kind: Any = type(one.event)
    if has_money(kind):  # it is counted by who bought and who sold, also of an earlier sale
        buyer, seller = _buyer_and_seller(one.after, one.event)
        payload["customerId"] = survivor_of(clients, buyer)
        said["sale_channel"] = seller or said["sale_channel"]
    if one.event.type.startswith(
        "error."
    ):  # every error says where its input stands, as far as that is known
        place = {"topic": cause and cause.topic, "eventId": cause and cause.event_id}
        payload = {**place, "partition": None, "offset": None, "component": COMPONENT} | payload
    return EventRecord(
        event_type=one.event.type,
        occurred_at=cause.occurred_at if cause else at,
        channel=cause.channel if cause else channel or said["sale_channel"],
        payload=payload,
        cause=cause,
        **said,
    )


def _buyer_and_seller(state: CertificateState, event: PublicEvent) -> tuple[str | None, str | None]:
    """Return the customer and the channel of the order that an event's money is about.

    That is the order that the event names where it is one of the certificate's, else the order of its sale: what is
    spent is counted by who bought the certificate.
    """
    order_id = getattr(event, "order_id", None)
    standing = next((line.standing for line in state.lines if line.ref.order_id == order_id), None)
    if standing is not None:
        return standing.customer_id, standing.channel
    sale = next((sale for sale in reversed(state.sales) if sale.order_id == order_id), state.sale)
    return (sale.customer_id, sale.channel) if sale else (None, None)


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


_MONEY = ("nominal", "balance", "held")
# The fields that are the same in both.
_AS_STORED = {*_Envelope.__struct_fields__} & {*StoredEvent.__dataclass_fields__} - {*_MONEY, "payload"}
_DECODER: msgspec.json.Decoder[_Envelope] = msgspec.json.Decoder(_Envelope)


def encode_event(event: StoredEvent) -> tuple[bytes, bytes, list[Header]]:
    """Return key, value and headers; the same stored event always gives the same bytes."""
    said: dict[str, Any] = {name: getattr(event, name) for name in _AS_STORED}
    for name in _MONEY:
        amount = getattr(event, name)
        said[name] = None if amount is None else Money(amount, event.currency)
    envelope = _Envelope(
        **said,
        cause=_Cause(event.cause_topic, event.cause_event_id) if event.cause_topic else None,
        payload=msgspec.Raw(event.payload.encode()),
    )
    return event.stream_key.encode(), msgspec.json.encode(envelope), _headers(event)


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
    """Return the event that a record of the stream holds: the reverse of ``encode_event``.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError: it is no event of ours.
    """
    envelope = _DECODER.decode(value or b"")
    said: dict[str, Any] = {name: getattr(envelope, name) for name in _AS_STORED}
    for name in _MONEY:
        money: Money | None = getattr(envelope, name)
        said |= {name: money.amount, "currency": money.currency} if money else {}
    return StoredEvent(
        **said,
        stream_key=(key or b"").decode(),
        cause_topic=envelope.cause.topic if envelope.cause else None,
        cause_event_id=envelope.cause.event_id if envelope.cause else None,
        payload=bytes(envelope.payload).decode(),
    )


def digest_of(event: StoredEvent) -> bytes:
    """Return a digest of an event's fields; a record from before a field was added still equals its row."""
    return blake2b(msgspec.msgpack.encode(event), digest_size=16).digest()
