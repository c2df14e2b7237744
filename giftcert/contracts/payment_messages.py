"""From a payment record to what the certificates of its order, and the certificate that pays, are told."""

from giftcert.contracts.identity import join, split
from giftcert.contracts.payments import PaymentRecord, identity
from giftcert.domain.messages import (
    Allocation,
    Cause,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentMessage,
    PaymentRefunded,
    PaymentVoided,
    SpendingReported,
)

_SPENDING = "spending"


def identity_of_key(key: str) -> str:
    """Return the identity of the record that a message with this key was made from."""
    parts = split(key)
    return parts[1] if len(parts) == 2 and parts[0] == _SPENDING else key


def payment_message(record: PaymentRecord, topic: str) -> PaymentMessage:
    """Return what every certificate of the payment's order is told of a record that stood on ``topic``."""
    match record.event_type:
        case "payment.authorized":
            return _authorized(record, topic)
        case "payment.captured":
            return _captured(record, topic)
        case "payment.voided":
            return _voided(record, topic)
        case _:
            return _refunded(record, topic)


def spending_message(record: PaymentRecord, topic: str) -> SpendingReported:
    """Return what the certificate that pays is told.

    Its key is another than that of ``payment_message``: one certificate may be told both.
    """
    return SpendingReported(
        key=join(_SPENDING, identity(record)),
        cause=Cause(topic, record.event_id),
        occurred_at=record.occurred_at,
        channel=record.channel,
        event_type=record.event_type,
        order_id=record.order_id,
        payment_id=record.payment_id,
        redemption_id=record.redemption_id,
        amount=record.amount,
        currency=record.currency,
        capture_id=record.capture_id,
        refund_id=record.refund_id,
    )


def _authorized(record: PaymentRecord, topic: str) -> PaymentAuthorized:
    return PaymentAuthorized(
        key=identity(record),
        cause=Cause(topic, record.event_id),
        occurred_at=record.occurred_at,
        channel=record.channel,
        order_id=record.order_id,
        payment_id=record.payment_id,
        tender=record.tender,
        amount=record.amount,
        currency=record.currency,
        allocations=_allocations(record),
    )


def _captured(record: PaymentRecord, topic: str) -> PaymentCaptured:
    return PaymentCaptured(
        key=identity(record),
        cause=Cause(topic, record.event_id),
        occurred_at=record.occurred_at,
        channel=record.channel,
        order_id=record.order_id,
        payment_id=record.payment_id,
        capture_id=record.capture_id,
        tender=record.tender,
        amount=record.amount,
        currency=record.currency,
        allocations=_allocations(record),
    )


def _voided(record: PaymentRecord, topic: str) -> PaymentVoided:
    return PaymentVoided(
        key=identity(record),
        cause=Cause(topic, record.event_id),
        occurred_at=record.occurred_at,
        channel=record.channel,
        order_id=record.order_id,
        payment_id=record.payment_id,
        tender=record.tender,
        amount=record.amount,
        currency=record.currency,
    )


def _refunded(record: PaymentRecord, topic: str) -> PaymentRefunded:
    return PaymentRefunded(
        key=identity(record),
        cause=Cause(topic, record.event_id),
        occurred_at=record.occurred_at,
        channel=record.channel,
        order_id=record.order_id,
        payment_id=record.payment_id,
        refund_id=record.refund_id or "",  # the decoder lets no refund pass without
        tender=record.tender,
        amount=record.amount,
        currency=record.currency,
        allocations=_allocations(record),
    )


def _allocations(record: PaymentRecord) -> tuple[Allocation, ...]:
    return tuple(Allocation(one.line_id, one.amount) for one in record.allocations or ())
