"""How the certificate lines of an order stand after all that was said of it."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import accumulate

from giftcert.domain.order.line_money import Taken, captured_for, with_paid_prices
from giftcert.domain.order.refund_lines import OrderMoney, Refund, money_of
from giftcert.domain.order.standing import (
    CountedMoney,
    ForeignCapture,
    LineRefund,
    LineStanding,
    Naming,
)
from giftcert.domain.order.state import Capture, KnownLine, Order, PaidPrice


def line_standings(order: Order, counted: Mapping[int, CountedMoney]) -> dict[int, LineStanding]:
    """Return how each certificate line stands, by line key.

    Args:
        order: the order.
        counted: what closed refund cases have counted of the lines' money, by line key: it stays with those lines.
            Counting by itself changes no standing.
    """
    order, money = settled(order, counted)
    standings = _Standings(order, money)
    return {line.key: standings.of(line, line.naming) for line in order.lines if line.naming is not None}


def settled(order: Order, counted: Mapping[int, CountedMoney]) -> tuple[Order, OrderMoney]:
    """Return the order with the prices at which its captures by now have paid lines, and its money."""
    money = money_of(order, counted)
    paid = with_paid_prices(order, money.claims, money.refunded.filled, money.refunded.back)
    return (order, money) if paid is order else (paid, money_of(paid, counted))


class _Standings:
    """What the standings of all lines share."""

    def __init__(self, order: Order, money: OrderMoney) -> None:
        self._order, self._money = order, money
        self._claims, self._filled = money.claims, money.refunded.filled
        self._foreign_captures = _foreign_captures(order, money)
        self._refunds = _refunds_by_line(order, money)
        self._payments_of_run: dict[int, tuple[str, ...]] = {}
        taken = self._claims.money.taken
        self._unallocated = list(accumulate(one.unallocated for one in taken))
        self._newest_allocated = {key: one.place for one in taken for key in one.parts if key is not None}

    def of(self, line: KnownLine, naming: Naming) -> LineStanding:
        order = self._order
        captured = captured_for(line, self._claims, self._filled)
        has = captured - self._money.refunded.back.of.get(line.key, 0)
        price = _kept_price(line)
        paid = _payment(line, price, any_tender=False) if has >= price else None
        paid_by_any = _payment(line, price, any_tender=True) if has >= price else None
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
            missing=self._missing(price - has, is_paid=paid is not None),
            captured_at=newest.occurred_at if newest else None,
            captured_cause=newest.cause if newest else None,
            foreign_captures=self._foreign_captures.get(line.key, ()),
            refunds=self._refunds.get(line.key, ()),
            all_back=self._money.refunded.all_back,
            other_lines_money=len(order.lines) > 1,
            earlier_payments_unknown=order.earlier_payments_unknown,
        )

    def _missing(self, lacking: int, *, is_paid: bool) -> int:
        if is_paid or lacking > 0:
            return max(0, lacking)
        return max(0, self._claims.total - self._claims.money.total)

    def _newest_capture(self, line: KnownLine) -> Capture:
        """Return the capture with which the line's money last grew."""
        place = self._newest_allocated.get(line.key, 0)
        if line.paid:
            place = max(place, max(paid.captures for paid in line.paid) - 1)
        until = self._filled.until.get(line.key)
        taken = self._claims.money.taken
        if until is not None and taken:
            last = min(bisect_left(self._unallocated, until), len(taken) - 1)
            place = max(place, taken[last].place)
        return self._order.captures[place]

    # Payments ---------------------------------------------------------------------------------------

    def _payments(self, line: KnownLine, paid: PaidPrice | None) -> tuple[str, ...]:
        if paid is None or paid.captures == 0:
            return ()
        if paid.by_allocation:
            return tuple(dict.fromkeys(self._allocated_to(line, paid.captures)))
        if paid.captures not in self._payments_of_run:
            captures = self._order.captures
            run = (captures[one.place].payment_id for one in self._taken(paid.captures))
            self._payments_of_run[paid.captures] = tuple(dict.fromkeys(run))
        return self._payments_of_run[paid.captures]

    def _taken(self, captures: int) -> Iterator[Taken]:
        return (one for one in self._claims.money.taken if one.place < captures)

    def _allocated_to(self, line: KnownLine, captures: int) -> Iterator[str]:
        return (
            self._order.captures[one.place].payment_id
            for one in self._taken(captures)
            if one.parts.get(line.key, 0) > 0
        )


def _kept_price(line: KnownLine) -> int:
    """Return what the line costs; once it was paid under its certificate, what was paid."""
    named = line.naming.certificate_id if line.naming else ""
    paid = [one.price for one in line.paid if one.certificate_id == named and not one.any_tender]
    return line.price if not paid or line.price in paid else paid[-1]


def _payment(line: KnownLine, price: int, *, any_tender: bool) -> PaidPrice | None:
    """Return how the line was first paid at a price; whoever it then named, the money is the line's."""
    found = [one for one in line.paid if one.price == price and (any_tender or not one.any_tender)]
    return min(found, key=lambda one: one.captures, default=None)


# Refunds ------------------------------------------------------------------------------------------


def _refunds_by_line(order: Order, money: OrderMoney) -> dict[int, tuple[LineRefund, ...]]:
    """Return what each refund gives back of each line, in the order in which the refunds were last told."""
    overdrawn = _overdrawn_payments(order)
    own = zip(money.refunded.refunds, money.refunded.candidates, strict=True)
    foreign = zip(money.foreign, money.foreign_candidates, strict=True)
    found: dict[int, list[LineRefund]] = {}
    for refund, candidates in sorted([*own, *foreign], key=lambda one: one[0].place):
        is_overdrawn = not overdrawn.isdisjoint((one, refund.currency) for one in refund.payment_ids)
        for key in {**refund.given, **dict.fromkeys(candidates), **refund.decided}:
            found.setdefault(key, []).append(
                LineRefund(
                    refund_id=refund.refund_id,
                    currency=refund.currency,
                    certain=refund.given.get(key, 0),
                    possible=refund.rest if key in candidates else 0,
                    decided=refund.decided.get(key),
                    last_candidate=candidates == (key,),
                    overdrawn=is_overdrawn,
                    added_at=refund.newest.applied_at,
                    cause=refund.newest.cause,
                )
            )
    return {key: tuple(refunds) for key, refunds in found.items()}


def _overdrawn_payments(order: Order) -> set[tuple[str, str]]:
    """Payments that gave back more than they brought, with their currency; in others than the order's the rest counts."""
    sums: dict[tuple[str, str], int] = {}
    for capture in order.captures:
        of = (capture.payment_id, capture.currency)
        sums[of] = sums.get(of, 0) + capture.amount
    for part in order.refunds:
        of = (part.payment_id, part.currency)
        sums[of] = sums.get(of, 0) - part.amount
    return {of for of, left in sums.items() if left < 0 and of[1] == order.currency}


# Captures in other currencies ---------------------------------------------------------------------


def _foreign_captures(order: Order, money: OrderMoney) -> dict[int, tuple[ForeignCapture, ...]]:
    """Return them by line, each on one line only: the first that it is allocated to, else the order's first.

    What is allocated to goods alone is no certificate's.
    """
    foreign = [one for one in order.captures if order.currency is not None and one.currency != order.currency]
    if not foreign:
        return {}
    keys = [line.key for line in order.lines if line.naming is not None]
    refunded: dict[tuple[str, str], int] = {}
    for part in order.refunds:
        of = (part.payment_id, part.currency)
        refunded[of] = refunded.get(of, 0) + part.amount
    found: dict[int, list[ForeignCapture]] = {}
    for capture in foreign:
        of = (capture.payment_id, capture.currency)
        back = min(capture.amount, refunded.get(of, 0))
        refunded[of] = refunded.get(of, 0) - back
        parts = money.bearers.amounts(capture.allocations, capture.occurred_at)
        key = next(
            (key for key in keys if key in parts),
            keys[0] if capture.unallocated > 0 or None in parts else None,
        )
        if key is None:
            continue
        found.setdefault(key, []).append(
            ForeignCapture(
                identity=capture.identity,
                payment_id=capture.payment_id,
                amount=capture.amount,
                currency=capture.currency,
                refunded=back,
                cause=capture.cause,
            )
        )
    return {key: tuple(captures) for key, captures in found.items()}
