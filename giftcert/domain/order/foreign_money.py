"""Money in another currency than the order's: it pays for nothing, and nobody knows what it is worth here."""

from collections import Counter
from collections.abc import Iterable, Sequence

from giftcert.domain.order.lines import Bearers
from giftcert.domain.order.standing import ForeignCapture
from giftcert.domain.order.state import Capture, Order, RefundPart


def settled_amounts(
    order: Order, payments: Sequence[Capture | RefundPart], others: Iterable[Capture | RefundPart]
) -> dict[int, int]:
    """Return how much of each foreign payment its opposites under the same paymentId settle, by topic place."""
    settled: dict[int, int] = {}
    if order.currency is None or all(one.currency == order.currency for one in payments):
        return settled
    left = Counter[tuple[str, str]]()
    for one in others:
        left[one.payment_id, one.currency] += one.amount
    for place, one in enumerate(payments):
        if one.currency != order.currency:
            settled[place] = min(one.amount, left[one.payment_id, one.currency])
            left[one.payment_id, one.currency] -= settled[place]
    return settled


def foreign_captures(order: Order, bearers: Bearers) -> dict[int, tuple[ForeignCapture, ...]]:
    """Return foreign captures by line key, net of refunds of their payment, each on one line only."""
    found: dict[int, tuple[ForeignCapture, ...]] = {}
    keys = [line.key for line in order.lines if line.naming is not None]
    for place, refunded in settled_amounts(order, order.captures, order.refunds).items():
        capture = order.captures[place]
        parts = bearers.amounts(capture.allocations, capture.occurred_at)
        # The first certificate line that it is allocated to, else the order's first; allocated to goods alone, none.
        named = [key for key in keys if key in parts]
        may_be_anybody_s = None in parts or sum(parts.values()) < capture.amount
        for key in (named or keys if may_be_anybody_s else named)[:1]:
            known_by = capture.capture_id or f"{capture.amount} {capture.occurred_at.isoformat()}"
            foreign = ForeignCapture(
                identity=f"{capture.payment_id} {known_by}",
                payment_id=capture.payment_id,
                amount=capture.amount,
                currency=capture.currency,
                refunded=refunded,
                cause=capture.cause,
            )
            found[key] = (*found.get(key, ()), foreign)
    return found
