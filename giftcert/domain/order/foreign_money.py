"""Money in another currency than the order's: it pays for nothing, and nobody knows what it is worth here."""

from giftcert.domain.order.lines import Bearers
from giftcert.domain.order.refunds import Parts, Refund
from giftcert.domain.order.standing import ForeignCapture
from giftcert.domain.order.state import Capture, Order, RefundPart

# Captures -----------------------------------------------------------------------------------------


def foreign_captures(order: Order, bearers: Bearers) -> dict[int, tuple[ForeignCapture, ...]]:
    """Return captures in other currencies, each on one line only, by line key, net of refunds of their payment.

    That is the first certificate line that it is allocated to, else the order's first, whatever becomes of it. What is
    allocated to goods alone is no certificate's.
    """
    found: dict[int, list[ForeignCapture]] = {}
    refunded = _sums(order.refunds, order) if order.currency is not None else {}
    for capture in order.captures:
        if order.currency is None or capture.currency == order.currency:
            continue
        of = (capture.payment_id, capture.currency)
        back = min(capture.amount, refunded.get(of, 0))
        refunded[of] = refunded.get(of, 0) - back
        key = _line_of(capture, order, bearers)
        if key is not None:
            found.setdefault(key, []).append(_foreign(capture, back))
    return {key: tuple(captures) for key, captures in found.items()}


def _foreign(capture: Capture, back: int) -> ForeignCapture:
    return ForeignCapture(
        identity=capture.identity,
        payment_id=capture.payment_id,
        amount=capture.amount,
        currency=capture.currency,
        refunded=back,
        cause=capture.cause,
    )


def _line_of(capture: Capture, order: Order, bearers: Bearers) -> int | None:
    keys = [line.key for line in order.lines if line.naming is not None]
    parts = bearers.amounts(capture.allocations, capture.occurred_at)
    allocated = next((key for key in keys if key in parts), None)
    may_be_anybody_s = None in parts or sum(parts.values()) < capture.amount
    return next(iter(keys), None) if allocated is None and may_be_anybody_s else allocated


def _sums(payments: tuple[Capture, ...] | tuple[RefundPart, ...], order: Order) -> dict[tuple[str, str], int]:
    """Sums of payments in other currencies, by payment and currency."""
    sums: dict[tuple[str, str], int] = {}
    for one in payments:
        if one.currency != order.currency:
            of = (one.payment_id, one.currency)
            sums[of] = sums.get(of, 0) + one.amount
    return sums


# Refunds ------------------------------------------------------------------------------------------


def foreign_parts(order: Order) -> Parts:
    """Return refunds in other currencies, less what gives back a capture of the same payment in that currency."""
    parts = [one for one in enumerate(order.refunds) if one[1].currency != order.currency]
    if order.currency is None or not parts:
        return []
    taken = _sums(order.captures, order)
    found: list[tuple[int, RefundPart, int]] = []
    for place, part in parts:
        of = (part.payment_id, part.currency)
        settled = min(part.amount, taken.get(of, 0))
        taken[of] = taken.get(of, 0) - settled
        if part.amount > settled:
            found.append((place, part, part.amount - settled))
    return found


def spread_foreign(order: Order, refunds: list[Refund]) -> list[tuple[int, ...]]:
    """Give refunds to the lines that they or persons name; return which lines the rest of each may mean.

    What persons left, when they have spoken of every certificate's line, was for lines of other kinds; where there are
    none, it is of the line that they spoke of last.
    """
    certificates = [line.key for line in order.lines if line.naming is not None]
    only_certificates = len(certificates) == len(order.lines)
    candidates: list[tuple[int, ...]] = []
    for refund in refunds:
        refund.rest = refund.give_what_is_said()
        if len(order.lines) == 1 and not refund.decided:
            refund.give(certificates[0], refund.rest)
            refund.rest = 0
        open_to = tuple(key for key in certificates if key not in refund.decided)
        last = tuple(refund.decided)[-1:] if only_certificates else ()
        candidates.append((open_to or last) if refund.rest else ())
    return candidates
