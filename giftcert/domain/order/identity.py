"""Which messages of an order are the same: identity and content, each as a short digest.

An order message is known by version and type; a payment by payment, type, and captureId or refundId, else by amount and
occurredAt. Content is every field that was decoded, lines and allocations sorted, without the event's id.
"""

from hashlib import blake2b
from typing import assert_never

from giftcert.domain.order import messages as m

_IDENTITY_BYTES, _CONTENT_BYTES = 12, 8


def identity_of(message: m.OrderMessage) -> bytes:
    """Return what all repeats of a message share."""
    return _digest(_identity(message), _IDENTITY_BYTES)


def content_of(message: m.OrderMessage) -> bytes:
    """Return what a message says; the same identity with another content contradicts."""
    return _digest(_content(message), _CONTENT_BYTES)


def _digest(what: object, size: int) -> bytes:
    return blake2b(repr(what).encode(), digest_size=size).digest()


def _identity(message: m.OrderMessage) -> tuple[object, ...]:  # noqa: PLR0911 - one kind of message each
    match message:
        case m.OrderStated():
            return message.event_type, message.version
        case m.OrderCancelled():
            return "order.cancelled", message.version
        case m.LinesReturned():
            return "order.returned", message.version
        case m.PaymentAuthorized():
            return "payment.authorized", message.payment_id, *_part(message)
        case m.PaymentCaptured():
            return "payment.captured", message.payment_id, *_part(message)
        case m.PaymentVoided():
            return "payment.voided", message.payment_id, *_part(message)
        case m.PaymentRefunded():
            return "payment.refunded", message.payment_id, message.refund_id
        case m.RefundShareDecided():
            return "share", message.refund_id, message.currency, message.line_key
        case _:
            assert_never(message)


def _part(message: m.PaymentAuthorized | m.PaymentCaptured | m.PaymentVoided) -> tuple[object, ...]:
    if message.capture_id is not None:
        return ("capture", message.capture_id)
    return message.amount, message.cause.occurred_at.isoformat()


def _content(message: m.OrderMessage) -> tuple[object, ...]:
    match message:
        case m.OrderStated():
            return _stated(message)
        case m.OrderCancelled() | m.LinesReturned():
            line_ids = message.line_ids
            named = None if line_ids is None else sorted(line_ids)
            return message.channel, named, sorted(message.certificates)
        case m.PaymentAuthorized() | m.PaymentVoided():
            return _payment(message)
        case m.PaymentCaptured() | m.PaymentRefunded():
            allocations = sorted((part.line_id, part.amount) for part in message.allocations)
            return *_payment(message), allocations
        case m.RefundShareDecided():
            return (message.amount,)
        case _:
            assert_never(message)


def _stated(message: m.OrderStated) -> tuple[object, ...]:
    lines = sorted(
        (
            line.line_id,
            line.kind,
            line.amount,
            line.certificate_id,
            line.reservation_id,
            line.nominal,
        )
        for line in message.lines
    )
    return (
        message.channel,
        message.customer_id,
        message.currency,
        message.total,
        lines,
        message.recipients_digest,
    )


def _payment(message: m.Payment) -> tuple[object, ...]:
    return message.cause.channel, message.tender, message.amount, message.currency
