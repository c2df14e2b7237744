"""``All_Payments``: our reading of the payments that channels write through Payments."""

import msgspec
from msgspec import structs

from giftcert.contracts.checks import in_utc, require_distinct, require_sound_text
from giftcert.contracts.fields import Amount, Currency, Identifier, Record, ShortText
from giftcert.contracts.identity import join
from giftcert.contracts.malformed import MalformedRecord, UnknownEventType, present, read, unknown_type

AUTHORIZED, CAPTURED = "payment.authorized", "payment.captured"
VOIDED, REFUNDED = "payment.voided", "payment.refunded"
EVENT_TYPES = frozenset({AUTHORIZED, CAPTURED, VOIDED, REFUNDED})
CERTIFICATE_TENDER = "giftCertificate"


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
        return self.certificate_id if self.tender == CERTIFICATE_TENDER else None


class _StoredPayment(
    PaymentRecord, frozen=True, kw_only=True, array_like=True, omit_defaults=False, gc=False
):
    """The same fields by position: add new ones at the end, with a default, and never take one away."""


_DECODER: msgspec.json.Decoder[PaymentRecord] = msgspec.json.Decoder(PaymentRecord)
_PACK = msgspec.msgpack.Encoder()
_UNPACK: msgspec.msgpack.Decoder[_StoredPayment] = msgspec.msgpack.Decoder(_StoredPayment)


def decode_payment(value: bytes | None) -> PaymentRecord | UnknownEventType:
    """Decode a payment message and hold it against the contract.

    Raises:
        MalformedRecord: it breaks the contract.
    """
    value = present(value)
    try:
        record = read(_DECODER, value)
    except MalformedRecord:
        unknown = unknown_type(value, EVENT_TYPES)
        if unknown is None:
            raise
        return unknown
    if record.event_type not in EVENT_TYPES:
        return UnknownEventType(record.event_type)
    require_sound_text(value, record)
    return _checked(record)


def identity(record: PaymentRecord) -> str:
    """Return what all repeats of a payment message share: payment, type, and what of the payment it is about."""
    if record.event_type == REFUNDED and record.refund_id:
        return join(record.event_type, record.payment_id, "refund", record.refund_id)
    if record.capture_id:
        return join(record.event_type, record.payment_id, "capture", record.capture_id)
    moment = record.occurred_at.strftime("%Y%m%dT%H%M%S.%fZ")
    return join(record.event_type, record.payment_id, str(record.amount), moment)


def encode_payment(record: PaymentRecord) -> bytes:
    """Return the record as compact msgpack, for the many payments whose order names no certificate (yet)."""
    return _PACK.encode(_StoredPayment(**structs.asdict(record)))


def decode_stored_payment(data: bytes) -> PaymentRecord:
    """Return the record that ``encode_payment`` stored.

    Raises:
        msgspec.ValidationError: the bytes are of another shape.
    """
    return PaymentRecord(**structs.asdict(_UNPACK.decode(data)))


def _checked(record: PaymentRecord) -> PaymentRecord:
    if record.tender == CERTIFICATE_TENDER and record.certificate_id is None:
        raise MalformedRecord("certificateMissing", "certificateId: required with this tender")
    if record.event_type == REFUNDED and record.refund_id is None:
        raise MalformedRecord("refundIdMissing", "refundId: required in a refund")
    if record.allocations:
        _check_allocations(record.allocations, record.amount)
    moment = in_utc(record.occurred_at, "occurredAt")
    # No allocations, an empty list and null are one content.
    if moment is record.occurred_at and record.allocations != ():
        return record
    return structs.replace(record, occurred_at=moment, allocations=record.allocations or None)


def _check_allocations(allocations: tuple[PaymentAllocation, ...], amount: int) -> None:
    require_distinct((one.line_id for one in allocations), "duplicateLine", "allocations.lineId")
    if sum(one.amount for one in allocations) > amount:
        raise MalformedRecord("overAllocated", "allocations: expected no more than the amount together")
