"""Which lines the captures of an order pay, at what price, and by which captures first.

A line is paid where its allocations reach its price, or the captures of the order reach its total and tenders that may
buy certificates cover the certificate lines.
"""

from bisect import bisect_left
from dataclasses import replace
from itertools import accumulate

from giftcert.domain.order.line_money import Claims
from giftcert.domain.order.refund_lines import OrderMoney
from giftcert.domain.order.state import KnownLine, Order, PaidPrice


def settled(order: Order) -> Order:
    """Record the prices that its captures have paid, before prices change or money goes back."""
    if order.size_exceeded or (not order.captures and all(line.price for line in order.lines)):
        return order
    claims = Claims(order)
    may_pay_more = any(
        claims.is_total_reached or claims.captures.allocated[line.key] >= line.price
        for line in claims.in_total
        if _is_asked(line)
    )
    return with_paid_prices(OrderMoney(order, {}, claims.captures)) if may_pay_more else order


def with_paid_prices(money: OrderMoney) -> Order:
    """Return the order with every price that its captures, less what went back, now pay."""
    order, claims = money.claims.order, money.claims
    unpaid = [line for line in claims.in_total if _is_asked(line) and money.left(line) >= line.price]
    if not unpaid:
        return order
    runs = _Runs(claims)
    free = claims.captures.unallocated + claims.surplus - sum(line.kept for line in claims.certificates)
    lines = list(order.lines)
    for line in unpaid:
        limit = line.kept + free
        found = [
            paid._replace(unallocated=min(paid.unallocated, limit))
            for paid in runs.paying(line, money.back.of[line.key])
        ]
        lines[line.key - 1] = replace(line, paid=(*line.paid, *found))
        free -= lines[line.key - 1].kept - line.kept
    return replace(order, lines=tuple(lines))


def _is_asked(line: KnownLine) -> bool:
    return line.withdrawal is None and not _is_known(line, any_tender=False)


def _is_known(line: KnownLine, *, any_tender: bool) -> bool:
    """Whether it is known how the line was first paid at its price under its certificate."""
    return any(
        (paid.certificate_id, paid.price, paid.any_tender) == (line.certificates[-1], line.price, any_tender)
        for paid in line.paid
    )


class _Runs:
    """Sums over ever longer runs of captures, to find the shortest that pays."""

    def __init__(self, claims: Claims) -> None:
        self._claims, order = claims, claims.order
        refunded = sum(part.amount for part in order.refunds if part.currency == order.currency)
        self._left = claims.captures.total - refunded
        self._cost = sum(line.price for line in claims.in_total) - claims.surplus
        total, covered = self._sums()
        self._total, self._covered = list(accumulate(total)), list(accumulate(covered))

    def _sums(self) -> tuple[list[int], list[int]]:
        """What each capture adds to the order's total, and to the certificates' part of it."""
        open_to = {line.key: max(0, line.amount) for line in self._claims.order.lines if line.is_in_total}
        certificates = {line.key for line in self._claims.in_total}
        total: list[int] = []
        covered: list[int] = []
        for one in self._claims.captures.taken:
            counted = for_certificates = one.unallocated
            for key, amount in one.parts.items():
                if key is None or key not in open_to:
                    continue
                part = min(amount, open_to[key])
                open_to[key] -= part
                counted += part
                for_certificates += part if key in certificates else 0
            total.append(counted)
            covered.append(0 if one.by_certificate else for_certificates)
        return total, covered

    def paying(self, line: KnownLine, back: int) -> list[PaidPrice]:
        """Return the shortest runs that pay a line and what went back of it: by any tender, by those that may."""
        if line.price == 0:
            return [PaidPrice(line.certificates[-1], line.price, 0)]
        total = self._reaching(self._total, self._claims.total + back)
        if self._left < line.price:
            total = None  # whatever it was for, what is left does not pay for this line
        covered = self._reaching(self._covered, self._cost + back)
        both = None if total is None or covered is None else max(total, covered)
        by_any = self._shorter(line, back, total, any_tender=True)
        allowed = self._shorter(line, back, both, any_tender=False)
        is_same = by_any is not None and by_any._replace(any_tender=False) == allowed
        if _is_known(line, any_tender=True) or is_same:
            by_any = None
        return [one for one in (by_any, allowed) if one is not None]

    def _reaching(self, sums: list[int], needed: int) -> int | None:
        place = bisect_left(sums, needed)
        return self._claims.captures.taken[place].place + 1 if place < len(sums) else None

    def _shorter(
        self, line: KnownLine, back: int, together: int | None, *, any_tender: bool
    ) -> PaidPrice | None:
        """Return the shorter of two runs: captures allocated to the line, and those of the whole order."""
        needed, named = line.price + back, line.certificates[-1]
        own = self._own(line, needed, any_tender=any_tender)
        if own is not None and (together is None or own <= together):
            return PaidPrice(named, line.price, own, any_tender=any_tender)
        if together is None:
            return None
        parts = self._claims.captures.of_line.get(line.key, ())
        kept = max(0, needed - sum(amount for one, amount in parts if one.place < together))
        return PaidPrice(
            named, line.price, together, by_allocation=False, unallocated=kept, any_tender=any_tender
        )

    def _own(self, line: KnownLine, needed: int, *, any_tender: bool) -> int | None:
        for one, amount in self._claims.captures.of_line.get(line.key, ()):
            needed -= amount if any_tender or not one.by_certificate else 0
            if needed <= 0:
                return one.place + 1
        return None
