"""``All_Payments``: our reading of the payments that channels write through Payments."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import structs

from giftcert.contracts.inputs import (
    Amount,
    ChannelRecord,
    Currency,
    Identifier,
    MalformedRecord,
    ShortText,
    read_record,
    require_distinct,
)
from giftcert.domain.certificate.messages import SpendingKind, SpendingReported
from giftcert.domain.order import messages as m
from giftcert.domain.order.messages import GIFT_CERTIFICATE

AUTHORIZED, CAPTURED = "payment.authorized", "payment.captured"
VOIDED, REFUNDED = "payment.voided", "payment.refunded"
EVENT_TYPES = frozenset({AUTHORIZED, CAPTURED, VOIDED, REFUNDED})


class PaymentAllocation(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """How much of a payment is meant for one line."""

    line_id: Identifier
    amount: Amount


class PaymentRecord(ChannelRecord, frozen=True, kw_only=True, gc=False):
    """Any payment message. Every payment is decoded, so this is one flat struct."""

    payment_id: Identifier
    capture_id: Identifier | None = None
    refund_id: Identifier | None = None
    tender: ShortText
    amount: Amount
    currency: Currency
    allocations: tuple[PaymentAllocation, ...] | None = None
    certificate_id: Identifier | None = None
    redemption_id: Identifier | None = None

    @property
    def spent_certificate_id(self) -> str | None:
        """The certificate that pays, if one does; other tenders name none."""
        return self.certificate_id if self.tender == GIFT_CERTIFICATE else None


class _StoredPayment(
    PaymentRecord, frozen=True, kw_only=True, array_like=True, omit_defaults=False, gc=False
):
    """The same fields by position: add new ones at the end, with a default, and never take one away."""


_DECODER: msgspec.json.Decoder[PaymentRecord] = msgspec.json.Decoder(PaymentRecord)
_STORED: msgspec.msgpack.Decoder[_StoredPayment] = msgspec.msgpack.Decoder(_StoredPayment)


def decode_payment(value: bytes | None) -> PaymentRecord:
    """Decode a payment message and check it against the contract; raises as ``read_known``."""
    return checked(read_record(_DECODER, value, EVENT_TYPES))


def checked(record: PaymentRecord) -> PaymentRecord:
    """Return a decoded payment in which all fits together, whatever its owner's format; raises ``MalformedRecord``."""
    if record.tender == GIFT_CERTIFICATE and record.certificate_id is None:
        raise MalformedRecord("certificateMissing", "certificateId: required with this tender")
    if record.tender == GIFT_CERTIFICATE and record.amount == 0:
        raise MalformedRecord("invalidField", "amount: expected above 0 with this tender")
    if record.event_type == REFUNDED and record.refund_id is None:
        raise MalformedRecord("refundIdMissing", "refundId: required in a refund")
    if record.allocations == ():  # no allocations, an empty list and null are one content
        return structs.replace(record, allocations=None)
    allocations = record.allocations or ()
    require_distinct((one.line_id for one in allocations), "duplicateLine", "allocations.lineId")
    if sum(one.amount for one in allocations) > record.amount:
        raise MalformedRecord("overAllocated", "allocations: expected no more than the amount together")
    return record


def payment_message(record: PaymentRecord, topic: str) -> m.Payment:
    """Return what a payment record on ``topic`` says of its order."""
    said: dict[str, Any] = {
        "cause": record.cause(topic),
        "order_id": record.order_id,
        "payment_id": record.payment_id,
        "tender": record.tender,
        "amount": record.amount,
        "currency": record.currency,
    }
    allocations = tuple(m.Allocation(one.line_id, one.amount) for one in record.allocations or ())
    if record.event_type == REFUNDED:  # which the decoder lets pass only with a refundId
        return m.PaymentRefunded(**said, refund_id=record.refund_id or "", allocations=allocations)
    if record.event_type == CAPTURED:
        return m.PaymentCaptured(**said, capture_id=record.capture_id, allocations=allocations)
    kind = m.PaymentAuthorized if record.event_type == AUTHORIZED else m.PaymentVoided
    return kind(**said, capture_id=record.capture_id)


def spending_message(record: PaymentRecord, topic: str) -> SpendingReported:
    """Return what a payment record on ``topic`` says to the certificate that pays."""
    return SpendingReported(
        cause=record.cause(topic),
        kind=SpendingKind(record.event_type.removeprefix("payment.")),
        order_id=record.order_id,
        payment_id=record.payment_id,
        redemption_id=record.redemption_id,
        amount=record.amount,
        currency=record.currency,
        capture_id=record.capture_id,
        refund_id=record.refund_id,
    )


def spending_identity(record: PaymentRecord) -> str:
    """Return what all repeats share: payment, type, and captureId or refundId, else amount and instant."""
    if record.event_type == REFUNDED and record.refund_id:
        parts = ("refund", record.refund_id)
    elif record.capture_id:
        parts = ("capture", record.capture_id)
    else:
        parts = (str(record.amount), record.occurred_at.strftime("%Y%m%dT%H%M%S.%fZ"))
    whole = (record.event_type, record.payment_id, *parts)
    return ":".join(part.replace("%", "%25").replace(":", "%3A") for part in whole)


def spending_content(record: PaymentRecord) -> bytes:
    """Return the SHA-256 of the fields that we decode, without event id and ``occurredAt``.

    Fields at their default are left out: one decoded in a later version must not make old messages contradict repeats.
    """
    allocations = tuple(sorted(record.allocations or (), key=lambda one: one.line_id)) or None
    said = structs.replace(
        record, event_id="", occurred_at=datetime(1970, 1, 1, tzinfo=UTC), allocations=allocations
    )
    return sha256(msgspec.json.encode(said)).digest()


def encode_payment(record: PaymentRecord) -> bytes:
    """Return the record as compact msgpack: many payments wait for an order that names a certificate."""
    return msgspec.msgpack.encode(_StoredPayment(**structs.asdict(record)))


def decode_stored_payment(data: bytes) -> PaymentRecord:
    """Return the record that ``encode_payment`` stored; ``msgspec.ValidationError`` for bytes of another shape."""
    return PaymentRecord(**structs.asdict(_STORED.decode(data)))
