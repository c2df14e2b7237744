"""How the certificate lines of an order stand after all that was said of it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from giftcert.domain.order.foreign_money import foreign_captures
from giftcert.domain.order.line_money import Taken
from giftcert.domain.order.paid import with_paid_prices
from giftcert.domain.order.refund_lines import OrderMoney
from giftcert.domain.order.refunds import Refund
from giftcert.domain.order.standing import CountedMoney, LineRefund, LineStanding, Naming
from giftcert.domain.order.state import Capture, KnownLine, Order, PaidPrice


def line_standings(order: Order, counted: Mapping[int, CountedMoney]) -> dict[int, LineStanding]:
    """Return the certificate lines' standings by line key; counting money for a line changes none of them."""
    money = OrderMoney(order, counted)
    paid = with_paid_prices(money)
    standings = _Standings(paid, money if paid is order else OrderMoney(paid, counted, money.claims.captures))
    return {line.key: standings.of(line, line.naming) for line in paid.lines if line.naming is not None}


class _Standings:
    def __init__(self, order: Order, money: OrderMoney) -> None:
        self._order, self._money = order, money
        self._foreign_captures = foreign_captures(order, money.claims.captures.bearers)
        self._refunds = _refunds_by_line(order, money)
        self._other_kinds = any(line.naming is None for line in order.lines)
        self._payments_of_run: dict[int, tuple[str, ...]] = {}

    def of(self, line: KnownLine, naming: Naming) -> LineStanding:
        order, money = self._order, self._money
        captured, left, price = money.lines.captured[line.key], money.left(line), _kept_price(line)
        paid = _first_paid(line, price, any_tender=False) if left >= price else None
        paid_by_any = _first_paid(line, price, any_tender=True) if left >= price else None
        lacks = price - left if left < price else max(0, money.claims.total - money.claims.captured)
        newest = self._newest_capture(line) if captured > 0 else None
        return LineStanding(
            order_id=order.order_id,
            line_key=line.key,
            line_id=line.line_id,
            revision=order.revision,
            currency=order.currency or "",
            channel=order.channel,
            customer_id=order.customer_id,
            naming=naming,
            amount=line.amount,
            nominal=line.nominal,
            price=price,
            listed=line.listed,
            listed_in=line.listed_in,
            withdrawal=line.withdrawal,
            captured=captured,
            is_paid=paid is not None,
            is_paid_by_any_tender=paid_by_any is not None,
            paying=self._payments(line, paid),
            paying_by_any_tender=self._payments(line, paid_by_any),
            missing=0 if paid is not None else lacks,
            captured_cause=newest.cause if newest else None,
            foreign_captures=self._foreign_captures.get(line.key, ()),
            refunds=self._refunds.get(line.key, ()),
            other_lines_money=self._other_kinds,
            earlier_payments_unknown=order.earlier_payments_unknown,
        )

    def _newest_capture(self, line: KnownLine) -> Capture:
        """Return the capture with which the line's money last grew."""
        captures = self._money.claims.captures
        places = [0, *(one.place for one, _ in captures.of_line.get(line.key, ())[-1:])]
        places += (paid.captures - 1 for paid in line.paid)
        if line.key in self._money.lines.until:
            places.append(captures.reaching(self._money.lines.until[line.key]))
        return self._order.captures[max(places)]

    def _payments(self, line: KnownLine, paid: PaidPrice | None) -> tuple[str, ...]:
        captures = self._money.claims.captures
        if paid is None:
            return ()
        if paid.by_allocation:
            return self._ids((one for one, amount in captures.of_line.get(line.key, ()) if amount > 0), paid)
        if paid.captures not in self._payments_of_run:
            self._payments_of_run[paid.captures] = self._ids(captures.taken, paid)
        return self._payments_of_run[paid.captures]

    def _ids(self, taken: Iterable[Taken], paid: PaidPrice) -> tuple[str, ...]:
        run = (self._order.captures[one.place] for one in taken if one.place < paid.captures)
        return tuple(dict.fromkeys(capture.payment_id for capture in run))


def _kept_price(line: KnownLine) -> int:
    """Return what the line costs; once it was paid under its certificate, what was paid."""
    named = line.certificates[-1]
    paid = [one.price for one in line.paid if one.certificate_id == named and not one.any_tender]
    return line.price if not paid or line.price in paid else paid[-1]


def _first_paid(line: KnownLine, price: int, *, any_tender: bool) -> PaidPrice | None:
    """Return how the line was first paid at a price; whoever it named then, the money is the line's."""
    found = [one for one in line.paid if one.price == price and (any_tender or not one.any_tender)]
    return min(found, key=lambda one: one.captures, default=None)


def _refunds_by_line(order: Order, money: OrderMoney) -> dict[int, tuple[LineRefund, ...]]:
    """Return what each refund gives back of each line, in the order in which refunds last grew."""
    overdrawn = _overdrawn_payments(order)
    found = defaultdict[int, list[LineRefund]](list)
    for refund in sorted(money.refunds, key=lambda one: one.place):
        is_overdrawn = refund.currency == order.currency and not overdrawn.isdisjoint(refund.payment_ids)
        unsaid = _line_refund(refund, None, overdrawn=is_overdrawn)
        named = {key for key, amount in refund.given.items() if amount > 0} | set(refund.decided)
        for key in refund.candidates:  # of an order of many lines they may be very many
            if key not in named:
                found[key].append(unsaid)
        for key in named:
            found[key].append(_line_refund(refund, key, overdrawn=is_overdrawn))
    return {key: tuple(refunds) for key, refunds in found.items()}


def _line_refund(refund: Refund, key: int | None, *, overdrawn: bool) -> LineRefund:
    """What a refund gives back of a line; a key of ``None`` is any candidate of which nothing was said."""
    return LineRefund(
        refund_id=refund.refund_id,
        currency=refund.currency,
        certain=refund.given[key] if key else 0,
        possible=refund.rest if key is None or key in refund.candidates else 0,
        decided=refund.decided.get(key) if key else None,
        last_candidate=len(refund.candidates) == 1 and key in {None, *refund.candidates},
        overdrawn=overdrawn,
        added_at=refund.newest.applied_at,
        cause=refund.newest.cause,
    )


def _overdrawn_payments(order: Order) -> set[str]:
    """Payments that gave back more than they brought, in the order's currency."""
    left = Counter[str]()
    for capture in order.captures:
        left[capture.payment_id] += capture.amount if capture.currency == order.currency else 0
    for part in order.refunds:
        left[part.payment_id] -= part.amount if part.currency == order.currency else 0
    return {payment_id for payment_id, money in left.items() if money < 0}
