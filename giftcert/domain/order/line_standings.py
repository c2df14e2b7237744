"""How the certificate lines of an order stand after all that was said of it."""

from collections.abc import Iterator, Mapping

from giftcert.domain.order.captures import Taken
from giftcert.domain.order.foreign_money import foreign_captures
from giftcert.domain.order.order_money import OrderMoney, money_of
from giftcert.domain.order.refunds import Refund
from giftcert.domain.order.standing import CountedMoney, LineRefund, LineStanding, Naming
from giftcert.domain.order.state import Capture, KnownLine, Order, PaidPrice


def line_standings(order: Order, counted: Mapping[int, CountedMoney]) -> dict[int, LineStanding]:
    """Return how each certificate line stands, by line key.

    Args:
        order: the order.
        counted: what closed refund cases have counted of the lines' money, by line key: it stays with those lines.
            Counting by itself changes no standing.
    """
    standings = _Standings(*money_of(order, counted))
    return dict(standings.all())


class _Standings:
    """What the standings of all lines share."""

    def __init__(self, order: Order, money: OrderMoney) -> None:
        self._order = order
        self._claims, self._refunded = money.claims, money.refunded
        self._captured = money.claims.money
        self._foreign_captures = foreign_captures(order, money.bearers)
        self._refunds = _refunds_by_line(order, money)
        self._other_kinds = any(line.naming is None for line in order.lines)
        self._payments_of_run: dict[int, tuple[str, ...]] = {}
        self._newest_allocated = {
            key: one.place for one in self._captured.taken for key in one.parts if key is not None
        }

    def all(self) -> Iterator[tuple[int, LineStanding]]:
        """Yield each certificate line's, by its key."""
        for line in self._order.lines:
            if line.naming is not None:
                yield line.key, self._of(line, line.naming)

    def _of(self, line: KnownLine, naming: Naming) -> LineStanding:
        order = self._order
        captured = self._refunded.filled.captured[line.key]
        left = captured - self._refunded.back.of.get(line.key, 0)
        price = _kept_price(line)
        paid = _first_paid(line, price, any_tender=False) if left >= price else None
        paid_by_any = _first_paid(line, price, any_tender=True) if left >= price else None
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
            order_cancelled=order.is_cancelled,
            captured=captured,
            excess=max(0, captured - price),
            is_paid=paid is not None,
            is_paid_by_any_tender=paid_by_any is not None,
            paying=self._payments(line, paid),
            paying_by_any_tender=self._payments(line, paid_by_any),
            missing=0 if paid is not None else self._missing(price - left),
            captured_at=newest.occurred_at if newest else None,
            captured_cause=newest.cause if newest else None,
            foreign_captures=self._foreign_captures.get(line.key, ()),
            refunds=self._refunds.get(line.key, ()),
            all_back=self._refunded.all_back,
            other_lines_money=self._other_kinds,
            earlier_payments_unknown=order.earlier_payments_unknown,
        )

    def _missing(self, of_price: int) -> int:
        """What the line lacks, or if that is nothing, what the order does."""
        return of_price if of_price > 0 else max(0, self._claims.total - self._claims.captured)

    def _newest_capture(self, line: KnownLine) -> Capture:
        """Return the capture with which the line's money last grew."""
        places = [self._newest_allocated.get(line.key, 0), *(paid.captures - 1 for paid in line.paid)]
        until = self._refunded.filled.until.get(line.key)
        if until is not None and self._captured.taken:
            places.append(self._captured.reaching(until))
        return self._order.captures[max(places)]

    # Payments ---------------------------------------------------------------------------------------

    def _payments(self, line: KnownLine, paid: PaidPrice | None) -> tuple[str, ...]:
        """Return the payments of a run of captures, each once."""
        if paid is None:
            return ()
        if paid.by_allocation:
            return self._ids(one for one in self._run(paid.captures) if one.parts.get(line.key, 0) > 0)
        if paid.captures not in self._payments_of_run:
            self._payments_of_run[paid.captures] = self._ids(self._run(paid.captures))
        return self._payments_of_run[paid.captures]

    def _run(self, captures: int) -> Iterator[Taken]:
        return (one for one in self._captured.taken if one.place < captures)

    def _ids(self, taken: Iterator[Taken]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._order.captures[one.place].payment_id for one in taken))


def _kept_price(line: KnownLine) -> int:
    """Return what the line costs; once it was paid under its certificate, what was paid."""
    named = line.certificates[-1]
    paid = [one.price for one in line.paid if one.certificate_id == named and not one.any_tender]
    return line.price if not paid or line.price in paid else paid[-1]


def _first_paid(line: KnownLine, price: int, *, any_tender: bool) -> PaidPrice | None:
    """Return how the line was first paid at a price; whoever it named then, the money is the line's."""
    found = [one for one in line.paid if one.price == price and (any_tender or not one.any_tender)]
    return min(found, key=lambda one: one.captures, default=None)


# Refunds ------------------------------------------------------------------------------------------


def _refunds_by_line(order: Order, money: OrderMoney) -> dict[int, tuple[LineRefund, ...]]:
    """Return what each refund gives back of each line, in the order in which the refunds were last told."""
    own = zip(money.refunded.refunds, money.refunded.candidates, strict=True)
    overdrawn = _overdrawn_payments(order) if order.refunds else set()
    found: dict[int, list[LineRefund]] = {}
    for refund, candidates in sorted([*own, *money.foreign], key=lambda one: one[0].place):
        is_overdrawn = refund.currency == order.currency and not overdrawn.isdisjoint(refund.payment_ids)
        unsaid = _line_refund(refund, 0, refund.rest, is_last=len(candidates) == 1, overdrawn=is_overdrawn)
        named = {key for key, amount in refund.given.items() if amount > 0} | set(refund.decided)
        for key in candidates:  # of an order of many lines they may be very many
            if key not in named:
                found.setdefault(key, []).append(unsaid)
        for key in named:
            possible = refund.rest if key in candidates else 0
            is_last = candidates == (key,)
            one = _line_refund(refund, key, possible, is_last=is_last, overdrawn=is_overdrawn)
            found.setdefault(key, []).append(one)
    return {key: tuple(refunds) for key, refunds in found.items()}


def _line_refund(refund: Refund, key: int, possible: int, *, is_last: bool, overdrawn: bool) -> LineRefund:
    """Return what a refund gives back of a line; key 0 stands for any of which nothing is said."""
    return LineRefund(
        refund_id=refund.refund_id,
        currency=refund.currency,
        certain=refund.given.get(key, 0),
        possible=possible,
        decided=refund.decided.get(key),
        last_candidate=is_last,
        overdrawn=overdrawn,
        added_at=refund.newest.applied_at,
        cause=refund.newest.cause,
    )


def _overdrawn_payments(order: Order) -> set[str]:
    """Payments that gave back more than they brought, in the order's currency."""
    left: dict[str, int] = {}
    for capture in order.captures:
        if capture.currency == order.currency:
            left[capture.payment_id] = left.get(capture.payment_id, 0) + capture.amount
    for part in order.refunds:
        if part.currency == order.currency:
            left[part.payment_id] = left.get(part.payment_id, 0) - part.amount
    return {payment_id for payment_id, money in left.items() if money < 0}
