"""The order as one aggregate: ``apply`` folds a message that is new to it."""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from giftcert.domain.order import messages as m
from giftcert.domain.order.lines import state_whole, withdraw
from giftcert.domain.order.novelty import Novelty, novelty
from giftcert.domain.order.paid import settled
from giftcert.domain.order.state import Capture, Order, RefundPart

__all__ = ["Order", "apply", "settled"]


def apply(
    order: Order | None, message: m.OrderMessage, now: datetime, *, earlier_payments_unknown: bool = False
) -> Order:
    """Return the order with a message folded, if it is new; ``now`` is our clock."""
    if order is None:
        # It may be heard of so late that earlier payments have been dropped.
        order = Order(order_id=message.order_id, earlier_payments_unknown=earlier_payments_unknown)
    elif novelty(order, message) is not Novelty.NEW:
        return order
    order = replace(order, revision=order.revision + 1)
    if isinstance(message, m.Payment):
        order = replace(order, payment_count=order.payment_count + 1)
        if order.size_exceeded:
            return order
    contents = {**order.contents, m.identity_of(message): m.content_of(message)}
    if isinstance(message, m.PaymentAuthorized | m.PaymentCaptured | m.PaymentVoided):
        return replace(_folded(order, message, now), contents=contents)
    # What captures have paid, and at which price, must not depend on what else came in the same batch.
    return settled(replace(_folded(settled(order), message, now), contents=contents))


def _folded(order: Order, message: m.OrderMessage, now: datetime) -> Order:  # noqa: PLR0911 - one kind of message each
    match message:
        case m.OrderStated():
            return state_whole(order, message, now)
        case m.OrderCancelled() | m.LinesReturned():
            return withdraw(order, message, now)
        case m.PaymentCaptured():
            return replace(order, captures=(*order.captures, _capture(message)))
        case m.PaymentRefunded():
            refund = _refund(message, len(order.captures), now)
            return replace(order, refunds=(*order.refunds, refund))
        case m.PaymentAuthorized():
            return replace(order, authorizations={**order.authorizations, message.payment_id: now})
        case m.PaymentVoided():
            left = {key: at for key, at in order.authorizations.items() if key != message.payment_id}
            return replace(order, authorizations=left, voided_at=now)
        case m.RefundShareDecided():
            of = (message.refund_id, message.currency, message.line_key)
            others = (one for one in order.shares if (one.refund_id, one.currency, one.line_key) != of)
            return replace(order, shares=(*others, message))
        case _:
            assert_never(message)


def _capture(message: m.PaymentCaptured) -> Capture:
    return Capture(
        payment_id=message.payment_id,
        capture_id=message.capture_id,
        by_certificate=message.tender == m.GIFT_CERTIFICATE,
        amount=message.amount,
        currency=message.currency,
        allocations=message.allocations,
        occurred_at=message.cause.occurred_at,
        topic=message.cause.topic,
        event_id=message.cause.event_id,
        channel=message.cause.channel,
    )


def _refund(message: m.PaymentRefunded, captures_before: int, now: datetime) -> RefundPart:
    return RefundPart(
        payment_id=message.payment_id,
        refund_id=message.refund_id,
        amount=message.amount,
        currency=message.currency,
        allocations=message.allocations,
        captures_before=captures_before,
        applied_at=now,
        cause=message.cause,
    )
