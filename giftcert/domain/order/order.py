"""The order as one aggregate: what each message adds to it.

Pure: ``novelty`` says whether a message is new, ``apply`` folds it, ``settled`` ends a batch of them before the order
is stored, and ``line_standings`` says what follows.
"""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from giftcert.domain.order.identity import content_of, identity_of
from giftcert.domain.order.lines import state_whole, withdraw
from giftcert.domain.order.messages import (
    GIFT_CERTIFICATE,
    LinesReturned,
    OrderCancelled,
    OrderMessage,
    OrderStated,
    OrderVersion,
    Payment,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentRefunded,
    PaymentVoided,
    RefundShareDecided,
)
from giftcert.domain.order.order_money import with_newly_paid
from giftcert.domain.order.state import Authorization, Capture, Order, RefundPart

__all__ = ["Novelty", "Order", "apply", "novelty", "settled"]


class Novelty(StrEnum):
    """What a message is to an order that may have heard it."""

    NEW = "new"
    REPEAT = "repeat"
    STALE = "stale"
    CONTRADICTION = "contradiction"


def novelty(order: Order | None, message: OrderMessage) -> Novelty:
    """Return whether a message is new to an order: known from the order alone.

    A version no newer than the newest full one is stale, but for an equal one of another type. What cancellations and
    returns alone overtook, as when it was mended and replayed, is news.
    """
    if order is None:
        return Novelty.NEW
    known = order.contents.get(identity_of(message))
    if known is not None:
        return _known(known, message)
    if isinstance(message, OrderVersion) and message.version < order.stated_version:
        return Novelty.STALE
    return Novelty.NEW


def _known(content: bytes, message: OrderMessage) -> Novelty:
    if content == content_of(message):
        return Novelty.REPEAT
    newest_word_stands = isinstance(message, RefundShareDecided)
    return Novelty.NEW if newest_word_stands else Novelty.CONTRADICTION


def apply(
    order: Order | None, message: OrderMessage, now: datetime, *, earlier_payments_unknown: bool = False
) -> Order:
    """Return the order with a message folded; one that is not new to it changes nothing.

    Args:
        order: the order, ``None`` for its first message.
        message: what was said.
        now: our clock.
        earlier_payments_unknown: the order is heard of so late that payments before may have been dropped.
    """
    if order is None:
        order = Order(order_id=message.order_id, earlier_payments_unknown=earlier_payments_unknown)
    elif novelty(order, message) is not Novelty.NEW:
        return order
    folded = _folded(order, message, now)
    if folded.size_exceeded and isinstance(message, Payment):
        return replace(folded, revision=order.revision + 1)
    contents = {**order.contents, identity_of(message): content_of(message)}
    return replace(folded, revision=order.revision + 1, contents=contents)


def _folded(order: Order, message: OrderMessage, now: datetime) -> Order:
    match message:
        case OrderStated():
            return state_whole(settled(order), message, now)
        case OrderCancelled() | LinesReturned():
            return withdraw(settled(order), message, now)
        case PaymentAuthorized() | PaymentCaptured() | PaymentVoided() | PaymentRefunded():
            counted = replace(order, payment_count=order.payment_count + 1)
            return counted if counted.size_exceeded else _with_payment(counted, message, now)
        case RefundShareDecided():
            return _with_share(settled(order), message)
        case _:
            assert_never(message)


def settled(order: Order) -> Order:
    """Return the order with the prices that its captures have paid by now, before they change or money goes back.

    Captures are not looked at one by one: whatever run of them first paid a line, it is found here.
    """
    return order if order.size_exceeded else with_newly_paid(order)


def _with_share(order: Order, share: RefundShareDecided) -> Order:
    """The newest word of persons on a refund and a line stands."""
    of = (share.refund_id, share.currency, share.line_key)
    others = (one for one in order.shares if (one.refund_id, one.currency, one.line_key) != of)
    return replace(order, shares=(*others, share))


# Payments -----------------------------------------------------------------------------------------


def _with_payment(order: Order, message: Payment, now: datetime) -> Order:
    match message:
        case PaymentAuthorized():
            promised = Authorization(message.payment_id, now)
            return replace(order, authorizations=(*_not_of(order, message.payment_id), promised))
        case PaymentVoided():
            return replace(order, authorizations=_not_of(order, message.payment_id), voided_at=now)
        case PaymentCaptured():
            return replace(order, captures=(*order.captures, _capture(message)))
        case PaymentRefunded():
            before = settled(order)
            return replace(before, refunds=(*before.refunds, _refund(before, message, now)))
        case _:
            assert_never(message)


def _not_of(order: Order, payment_id: str) -> tuple[Authorization, ...]:
    return tuple(one for one in order.authorizations if one.payment_id != payment_id)


def _capture(message: PaymentCaptured) -> Capture:
    return Capture(
        payment_id=message.payment_id,
        capture_id=message.capture_id,
        by_certificate=message.tender == GIFT_CERTIFICATE,
        amount=message.amount,
        currency=message.currency,
        allocations=tuple((part.line_id, part.amount) for part in message.allocations),
        occurred_at=message.cause.occurred_at,
        topic=message.cause.topic,
        event_id=message.cause.event_id,
        channel=message.cause.channel,
    )


def _refund(order: Order, message: PaymentRefunded, now: datetime) -> RefundPart:
    return RefundPart(
        payment_id=message.payment_id,
        refund_id=message.refund_id,
        amount=message.amount,
        currency=message.currency,
        allocations=tuple((part.line_id, part.amount) for part in message.allocations),
        captures_before=len(order.captures),
        applied_at=now,
        cause=message.cause,
    )
