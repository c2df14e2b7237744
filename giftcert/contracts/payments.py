"""``All_Payments``: our reading of the payments that channels write through Payments."""

import msgspec
from msgspec import structs

from giftcert.contracts.checks import in_utc, require_distinct, require_sound_text
from giftcert.contracts.fields import Amount, Currency, Identifier, Record, ShortText
from giftcert.contracts.malformed import MalformedRecord, read_known
from giftcert.domain.cause import Cause
from giftcert.domain.certificate.messages import SpendingKind, SpendingReported
from giftcert.domain.order import messages as m
from giftcert.domain.order.messages import GIFT_CERTIFICATE

AUTHORIZED, CAPTURED = "payment.authorized", "payment.captured"
VOIDED, REFUNDED = "payment.voided", "payment.refunded"
EVENT_TYPES = frozenset({AUTHORIZED, CAPTURED, VOIDED, REFUNDED})
_SPENDING_KINDS = {
    AUTHORIZED: SpendingKind.AUTHORIZED,
    CAPTURED: SpendingKind.CAPTURED,
    VOIDED: SpendingKind.VOIDED,
    REFUNDED: SpendingKind.REFUNDED,
}
_KINDS: dict[str, type[m.PaymentAuthorized | m.PaymentCaptured | m.PaymentVoided]] = {
    AUTHORIZED: m.PaymentAuthorized,
    CAPTURED: m.PaymentCaptured,
    VOIDED: m.PaymentVoided,
}


class PaymentAllocation(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """How much of a payment is meant for one line."""

    line_id: Identifier
    amount: Amount


class PaymentRecord(Record, frozen=True, kw_only=True, gc=False):
    """Any payment message. Every payment is decoded, so this is one flat struct."""

    channel: ShortText
    order_id: Identifier
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
_PACK = msgspec.msgpack.Encoder()
_UNPACK: msgspec.msgpack.Decoder[_StoredPayment] = msgspec.msgpack.Decoder(_StoredPayment)


def decode_payment(value: bytes | None) -> PaymentRecord:
    """Decode a payment message and hold it against the contract.

    Raises:
        UnknownEventTypeError: it is to be skipped.
        MalformedRecord: it breaks the contract.
    """
    record = read_known(_DECODER, value, EVENT_TYPES)
    require_sound_text(value or b"", record)  # a null is refused above
    return _checked(record)


def payment_message(record: PaymentRecord, topic: str) -> m.Payment:
    """Return what a payment record on ``topic`` says of its order."""
    cause = _cause(record, topic)
    allocations = tuple(m.Allocation(one.line_id, one.amount) for one in record.allocations or ())
    if record.event_type == REFUNDED:
        return m.PaymentRefunded(
            cause=cause,
            order_id=record.order_id,
            payment_id=record.payment_id,
            refund_id=record.refund_id or "",  # the decoder lets no refund pass without
            tender=record.tender,
            amount=record.amount,
            currency=record.currency,
            allocations=allocations,
        )
    return _KINDS[record.event_type](
        cause=cause,
        order_id=record.order_id,
        payment_id=record.payment_id,
        capture_id=record.capture_id,
        tender=record.tender,
        amount=record.amount,
        currency=record.currency,
        allocations=allocations if record.event_type == CAPTURED else (),  # else the whole order is meant
    )


def spending_message(record: PaymentRecord, topic: str) -> SpendingReported:
    """Return what a payment record on ``topic`` says to the certificate that pays."""
    return SpendingReported(
        cause=_cause(record, topic),
        kind=_SPENDING_KINDS[record.event_type],
        order_id=record.order_id,
        payment_id=record.payment_id,
        redemption_id=record.redemption_id,
        amount=record.amount,
        currency=record.currency,
        capture_id=record.capture_id,
        refund_id=record.refund_id,
    )


def encode_payment(record: PaymentRecord) -> bytes:
    """Return the record as compact msgpack, for the many payments whose order names no certificate (yet)."""
    return _PACK.encode(_StoredPayment(**structs.asdict(record)))


def decode_stored_payment(data: bytes) -> PaymentRecord:
    """Return the record that ``encode_payment`` stored.

    Raises:
        msgspec.ValidationError: the bytes are of another shape.
    """
    return PaymentRecord(**structs.asdict(_UNPACK.decode(data)))


def _cause(record: PaymentRecord, topic: str) -> Cause:
    return Cause(topic, record.event_id, record.occurred_at, record.channel)


def _checked(record: PaymentRecord) -> PaymentRecord:
    if record.tender == GIFT_CERTIFICATE:
        _check_spending(record)
    if record.event_type == REFUNDED and record.refund_id is None:
        raise MalformedRecord("refundIdMissing", "refundId: required in a refund")
    if record.allocations:
        _check_allocations(record.allocations, record.amount)
    occurred_at = in_utc(record.occurred_at, "occurredAt")
    # No allocations, an empty list and null are one content.
    if occurred_at is record.occurred_at and record.allocations != ():
        return record
    return structs.replace(record, occurred_at=occurred_at, allocations=record.allocations or None)


def _check_spending(record: PaymentRecord) -> None:
    if record.certificate_id is None:
        raise MalformedRecord("certificateMissing", "certificateId: required with this tender")
    if record.amount == 0:
        raise MalformedRecord("invalidField", "amount: expected above 0 with this tender")


def _check_allocations(allocations: tuple[PaymentAllocation, ...], amount: int) -> None:
    require_distinct((one.line_id for one in allocations), "duplicateLine", "allocations.lineId")
    if sum(one.amount for one in allocations) > amount:
        raise MalformedRecord("overAllocated", "allocations: expected no more than the amount together")
