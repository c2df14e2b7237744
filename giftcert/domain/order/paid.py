"""Which lines the captures of an order pay, at what price, and by which captures first.

A line is paid where what is allocated to it reaches its price, or the captures of the order reach its total, and
tenders that may buy certificates cover the certificate lines.
"""

from bisect import bisect_left
from dataclasses import replace
from itertools import accumulate

from giftcert.domain.order.captures import Taken
from giftcert.domain.order.line_money import Claims, Filled, GivenBack
from giftcert.domain.order.state import KnownLine, Order, PaidPrice


def may_pay_more(claims: Claims) -> bool:
    """Return whether captures may pay a line by now that is not known to be paid, all refunds left aside."""
    return any(
        claims.is_total_reached or claims.money.of(line) >= line.price
        for line in claims.in_total
        if _is_asked(line)
    )


def with_paid_prices(order: Order, claims: Claims, filled: Filled, back: GivenBack) -> Order:
    """Return the order with every price at which its captures, less what went back, by now pay a line."""
    unpaid = [
        line
        for line in claims.in_total
        if _is_asked(line) and filled.captured[line.key] - back.of.get(line.key, 0) >= line.price
    ]
    if not unpaid:
        return order
    runs = _Runs(claims, {line.key for line in unpaid})
    free = claims.money.unallocated + claims.surplus
    free -= sum(claim.kept for claim in (*claims.asked, *claims.asked_by_gone))
    lines = list(order.lines)
    for line in unpaid:
        kept = max((paid.unallocated for paid in line.paid), default=0)
        found = [
            paid._replace(unallocated=min(paid.unallocated, kept + free))
            for paid in runs.paying(line, back.of.get(line.key, 0))
        ]
        free -= max(0, max((paid.unallocated for paid in found), default=0) - kept)
        lines[line.key - 1] = replace(line, paid=(*line.paid, *found))
    return replace(order, lines=tuple(lines))


def _is_asked(line: KnownLine) -> bool:
    return line.withdrawal is None and not _is_known(line, any_tender=False)


def _is_known(line: KnownLine, *, any_tender: bool) -> bool:
    """Whether it is known how the line was first paid at its price, under its certificate."""
    return any(
        (paid.certificate_id, paid.price, paid.any_tender) == (line.certificates[-1], line.price, any_tender)
        for paid in line.paid
    )


class _Runs:
    """Sums over ever longer runs of captures, to find the shortest that pays."""

    def __init__(self, claims: Claims, keys: set[int]) -> None:
        self._claims, order = claims, claims.order
        refunded = sum(part.amount for part in order.refunds if part.currency == order.currency)
        self._left = claims.money.total - refunded
        self._own: dict[int, list[tuple[int, int, int]]] = {key: [(0, 0, 0)] for key in keys}
        total, covered = self._sums()
        self._total, self._covered = list(accumulate(total)), list(accumulate(covered))
        self._cost = sum(line.price for line in claims.in_total) - claims.surplus

    def _sums(self) -> tuple[list[int], list[int]]:
        """For each capture, what it adds to the order's total and to the certificates' part of it."""
        open_to = {line.key: max(0, line.amount) for line in self._claims.order.lines if line.is_in_total}
        certificates = {line.key for line in self._claims.in_total}
        total: list[int] = []
        covered: list[int] = []
        for one in self._claims.money.taken:
            counted = for_certificates = one.unallocated
            for key, amount in one.parts.items():
                if key is None or key not in open_to:
                    continue
                part = min(amount, open_to[key])
                open_to[key] -= part
                counted += part
                for_certificates += part if key in certificates else 0
                if key in self._own:
                    self._add_own(key, one, amount)
            total.append(counted)
            covered.append(0 if one.by_certificate else for_certificates)
        return total, covered

    def _add_own(self, key: int, one: Taken, amount: int) -> None:
        _, by_any, allowed = self._own[key][-1]
        self._own[key].append(
            (one.place + 1, by_any + amount, allowed + (0 if one.by_certificate else amount))
        )

    def paying(self, line: KnownLine, back: int) -> list[PaidPrice]:
        """Return the shortest runs that pay a line besides what went back: by any tender, by those that may."""
        needed = line.price + back
        if line.price == 0:
            return [_paid(line, 0, by_allocation=True, unallocated=0, any_tender=False)]
        together = self._reaching(self._total, self._claims.total + back)
        if self._left < line.price:
            together = None  # whatever it was for, what is left does not pay for this line
        covering = self._reaching(self._covered, self._cost + back)
        both = None if together is None or covering is None else max(together, covering)
        by_any = self._shorter(line, needed, 1, together)
        allowed = self._shorter(line, needed, 2, both)
        is_same = by_any is not None and by_any._replace(any_tender=False) == allowed
        if _is_known(line, any_tender=True) or is_same:
            by_any = None
        return [one for one in (by_any, allowed) if one is not None]

    def _reaching(self, sums: list[int], needed: int) -> int | None:
        place = bisect_left(sums, needed)
        return self._claims.money.taken[place].place + 1 if place < len(sums) else None

    def _shorter(self, line: KnownLine, needed: int, column: int, together: int | None) -> PaidPrice | None:
        """Return the shorter of the line's own run and the order's; ``column`` 1 is any tender, 2 those that may."""
        any_tender = column == 1
        own = next((sums[0] for sums in self._own[line.key] if sums[column] >= needed), None)
        if own is not None and (together is None or own <= together):
            return _paid(line, own, by_allocation=True, unallocated=0, any_tender=any_tender)
        if together is None:
            return None
        allocated = max((sums[1] for sums in self._own[line.key] if sums[0] <= together), default=0)
        kept = max(0, needed - allocated)
        return _paid(line, together, by_allocation=False, unallocated=kept, any_tender=any_tender)


def _paid(
    line: KnownLine, captures: int, *, by_allocation: bool, unallocated: int, any_tender: bool
) -> PaidPrice:
    return PaidPrice(
        certificate_id=line.certificates[-1],
        price=line.price,
        captures=captures,
        by_allocation=by_allocation,
        unallocated=unallocated,
        any_tender=any_tender,
    )
