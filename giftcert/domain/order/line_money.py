"""Money of a line: what the captures of an order are for, and which lines they pay.

A line has what was allocated to it, and unallocated money that other lines cannot have taken. What one line was given is
never another's, whatever the order of arrival.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate

from giftcert.domain.order.lines import Bearers
from giftcert.domain.order.state import KnownLine, Order, PaidPrice

# Captures -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Taken:
    """One capture in the order's currency: ``parts`` by line key, ``None`` for lineIds that no line ever bore."""

    place: int
    by_certificate: bool
    unallocated: int
    parts: Mapping[int | None, int]


class CapturedMoney:
    """The captures of an order in its currency, in the order of their topic, and their sums."""

    def __init__(self, order: Order, bearers: Bearers) -> None:
        self.taken: list[Taken] = []
        self.total = self.unallocated = 0
        self.allocated: dict[int | None, int] = {}
        for place, capture in enumerate(order.captures):
            if order.currency is not None and capture.currency != order.currency:
                continue
            parts = bearers.amounts(capture.allocations, capture.occurred_at)
            free = max(0, capture.amount - sum(parts.values()))
            self.taken.append(Taken(place, capture.by_certificate, free, parts))
            self.total += capture.amount
            self.unallocated += free
            for key, amount in parts.items():
                self.allocated[key] = self.allocated.get(key, 0) + amount

    def of(self, line: KnownLine) -> int:
        """Return what is allocated to a line."""
        return self.allocated.get(line.key, 0)

    def unallocated_since(self, place: int) -> int:
        """Return the unallocated money of the captures from a place in their topic on."""
        return sum(one.unallocated for one in reversed(self.taken) if one.place >= place)


# Claims -------------------------------------------------------------------------------------------


class Claims:
    """What the lines of an order ask for, in the order in which they take unallocated money.

    Lines in the order's total come before those that left it, goods before certificates, then by lineId.
    """

    def __init__(self, order: Order, money: CapturedMoney) -> None:
        self.order, self.money = order, money
        by_number = sorted(order.lines, key=lambda line: line.line_id)
        certificates = [line for line in by_number if line.naming is not None]
        self.in_total = [line for line in certificates if line.is_in_total]
        self.gone = [line for line in certificates if not line.is_in_total]
        self.goods = [line for line in by_number if line.naming is None]
        self.total = order.total - sum(
            line.price for line in order.lines if line.listed and not line.is_in_total
        )
        self.goods_cost = max(0, self.total - sum(line.price for line in self.in_total))
        self.goods_allocated = sum(money.of(line) for line in self.goods)
        listed = [line for line in self.goods if line.is_in_total]
        self.goods_lack = max(0, self.goods_cost - sum(map(money.of, listed)))
        self.gone_goods_lack = sum(self.lack(line) for line in self.goods if not line.is_in_total)
        self.surplus = self._surplus(listed)

    def _surplus(self, goods: list[KnownLine]) -> int:
        """Where the captures reach the order's total, what goods were allocated beyond what they cost together.

        Their allocations may leave out a discount that the order has in a line of its own, or as a whole.
        """
        of_goods = sum(map(self._counted, goods))
        counted = self.money.unallocated + of_goods + sum(map(self._counted, self.in_total))
        return max(0, of_goods - self.goods_cost) if counted >= self.total else 0

    def _counted(self, line: KnownLine) -> int:
        """Of money allocated to a line no more counts for the order than the line's amount: the rest is no other's."""
        return min(self.money.of(line), max(0, line.amount))

    @property
    def certificates(self) -> list[KnownLine]:
        """All certificate lines, as they take money."""
        return [*self.in_total, *self.gone]

    @property
    def has_goods(self) -> bool:
        """Whether the order has, or had, anything besides certificates."""
        return self.goods_cost > 0 or any(line.amount > 0 for line in self.goods)

    def lack(self, line: KnownLine) -> int:
        """Return what the allocations of a line leave of its price."""
        return max(0, line.price - self.money.of(line))


@dataclass(slots=True)
class GivenBack:
    """What certainly went back, by line key; ``goods`` is the sum of goods.

    ``said``: what of it the refunds themselves, or persons, gave to the line. ``inferred_at``: how many captures came
    before the first refund of the line that only follows from the rules. ``unknown_worth``: lines with money back in
    another currency.
    """

    of: dict[int, int] = field(default_factory=dict)
    said: dict[int, int] = field(default_factory=dict)
    goods: int = 0
    inferred_at: dict[int, int] = field(default_factory=dict)
    unknown_worth: frozenset[int] = frozenset()


@dataclass(slots=True)
class Filled:
    """How the captured money spreads over the lines.

    ``unallocated``: what a line has of the unallocated money; ``until``: how much of all unallocated money was used when
    it had that. ``goods_unallocated`` and ``gone_goods_unallocated`` are for goods in the order's total and for those
    that left it. ``has_rest``: there was more than all prices lacked.
    """

    unallocated: dict[int, int]
    until: dict[int, int]
    goods_unallocated: int
    gone_goods_unallocated: int
    has_rest: bool


class _Pool:
    """Unallocated money, taken from by one line after another."""

    def __init__(self, money: int) -> None:
        self.left, self.all = money, money
        self.had: dict[int, int] = {}
        self.until: dict[int, int] = {}

    def keep(self, line: KnownLine, amount: int) -> None:
        """A line has what paid it, whatever there is by now."""
        if amount > 0:
            self.had[line.key] = amount
            self.left -= amount

    def take(self, line: KnownLine, wanted: int) -> None:
        """A line takes what it wants as far as there is."""
        amount = self.draw(wanted)
        if amount > 0:
            self.had[line.key] = self.had.get(line.key, 0) + amount
            self.until[line.key] = self.all - self.left

    def draw(self, wanted: int) -> int:
        """Return what there is of the wanted amount."""
        amount = max(0, min(wanted, self.left))
        self.left -= amount
        return amount


def fill(claims: Claims, back: GivenBack) -> Filled:
    """Spread the unallocated money over the lines.

    First what paid a line stays with it, and what went back was its own. Then each takes what its price lacks, then
    once more what went back. What is left is for goods, or where there are none, of a buyer who was charged twice.
    """
    pool, money = _Pool(claims.money.unallocated + claims.surplus), claims.money
    for line in claims.certificates:
        pool.keep(line, max((paid.unallocated for paid in line.paid), default=0))
    gone_back = pool.draw(back.goods - claims.goods_allocated)
    _take(pool, claims, lambda line: min(back.of.get(line.key, 0), line.price))
    goods = gone_back + pool.draw(claims.goods_lack - gone_back)
    _take(pool, claims, lambda line: line.price, claims.in_total)
    gone_goods = pool.draw(claims.gone_goods_lack)
    _take(pool, claims, lambda line: line.price, claims.gone)
    has_rest = pool.left > 0
    if has_rest:
        _take(pool, claims, lambda line: line.price + _claimed_again(line, back, money))
        _spread_rest(pool, claims)
    goods += max(0, pool.left)
    return Filled(pool.had, pool.until, goods, gone_goods, has_rest)


def _take(
    pool: _Pool, claims: Claims, wanted: Callable[[KnownLine], int], lines: Iterable[KnownLine] | None = None
) -> None:
    for line in claims.certificates if lines is None else lines:
        pool.take(line, wanted(line) - claims.money.of(line) - pool.had.get(line.key, 0))


def _claimed_again(line: KnownLine, back: GivenBack, money: CapturedMoney) -> int:
    """Money that went back of a line may have come again, or have come twice.

    A refund that names the line proves it; of one that only follows from the rules, no earlier capture does.
    """
    if line.key in back.unknown_worth:
        return money.total
    said = back.said.get(line.key, 0)
    inferred = back.of.get(line.key, 0) - said
    if inferred <= 0:
        return said
    return said + min(inferred, money.unallocated_since(back.inferred_at.get(line.key, 0)))


def _spread_rest(pool: _Pool, claims: Claims) -> None:
    """Of an order of certificates alone, what was charged again is each line's price once more."""
    lines = claims.certificates
    if claims.has_goods or not lines:
        return
    each = sum(line.price for line in lines)
    rounds = pool.left // each if each else 0
    for line in lines:
        pool.take(line, rounds * line.price)
    for line in lines:
        pool.take(line, line.price)
    pool.take(lines[0], pool.left)


def captured_for(line: KnownLine, claims: Claims, filled: Filled) -> int:
    """Return all that was captured for a certificate line."""
    return claims.money.of(line) + filled.unallocated.get(line.key, 0)


# Paid ---------------------------------------------------------------------------------------------


def with_paid_prices(order: Order, claims: Claims, filled: Filled, back: GivenBack) -> Order:
    """Return the order with every price at which its captures by now pay a line.

    A line is paid where what is allocated to it reaches its price, or the captures of the order reach its total, and
    tenders that may buy certificates cover the certificate lines.
    """
    unpaid = [line for line in claims.in_total if _may_be_paid(line, order, claims, filled, back)]
    if not unpaid:
        return order
    runs = _Runs(claims, {line.key for line in unpaid})
    lines = list(order.lines)
    for line in unpaid:
        lines[line.key - 1] = replace(line, paid=(*line.paid, *runs.paying(line, back.of.get(line.key, 0))))
    return replace(order, lines=tuple(lines))


def _may_be_paid(line: KnownLine, order: Order, claims: Claims, filled: Filled, back: GivenBack) -> bool:
    if line.withdrawal is not None or is_recorded(line, any_tender=False):
        return False
    refunded = sum(part.amount for part in order.refunds if part.currency == order.currency)
    has = captured_for(line, claims, filled) - back.of.get(line.key, 0)
    return has >= line.price and claims.money.total - refunded >= line.price


def is_recorded(line: KnownLine, *, any_tender: bool) -> bool:
    """Return whether the line is known to have been paid at its price, under its certificate."""
    named = line.naming.certificate_id if line.naming else ""
    return any(
        (paid.certificate_id, paid.price, paid.any_tender) == (named, line.price, any_tender)
        for paid in line.paid
    )


class _Runs:
    """Sums over ever longer runs of captures, to find the shortest that pays."""

    def __init__(self, claims: Claims, keys: set[int]) -> None:
        self._claims = claims
        self._places = [one.place + 1 for one in claims.money.taken]
        self._own: dict[int, list[tuple[int, int, int]]] = {key: [(0, 0, 0)] for key in keys}
        total, covered = self._sums()
        self._total, self._covered = list(accumulate(total)), list(accumulate(covered))
        self._cost = sum(line.price for line in claims.in_total) - claims.surplus

    def _sums(self) -> tuple[list[int], list[int]]:
        """For each capture, what it adds to the order's total and to the certificates' part of it.

        Of money allocated to a line no more counts than the line's amount: the rest is no other's.
        """
        counts_for = {line.key: max(0, line.amount) for line in self._claims.order.lines if line.is_in_total}
        certificates = {line.key for line in self._claims.in_total}
        total: list[int] = []
        covered: list[int] = []
        for one in self._claims.money.taken:
            counted, for_certificates = one.unallocated, one.unallocated
            for key, amount in one.parts.items():
                if key not in counts_for:
                    continue
                part = min(amount, counts_for[key])
                counts_for[key] -= part
                counted += part
                for_certificates += part if key in certificates else 0
                if key in self._own:
                    self._add_own(key, one, amount)
            total.append(counted)
            covered.append(0 if one.by_certificate else for_certificates)
        return total, covered

    def _add_own(self, key: int, one: Taken, amount: int) -> None:
        _, of_any, allowed = self._own[key][-1]
        self._own[key].append(
            (one.place + 1, of_any + amount, allowed + (0 if one.by_certificate else amount))
        )

    def paying(self, line: KnownLine, back: int) -> list[PaidPrice]:
        """Return the shortest runs that pay a line besides what went back: by any tender, by those that may."""
        if line.price == 0:
            return [self._paid(line, 0, by_allocation=True, unallocated=0, any_tender=False)]
        needed, order_needs = line.price + back, self._claims.total + back
        all_of_order = self._reaching(self._total, order_needs)
        covering = self._reaching(self._covered, self._cost + back)
        by_any = self._shorter(
            line, needed, self._own_reaching(line, needed, 1), all_of_order, any_tender=True
        )
        together = None if all_of_order is None or covering is None else max(all_of_order, covering)
        allowed = self._shorter(line, needed, self._own_reaching(line, needed, 2), together, any_tender=False)
        is_known = is_recorded(line, any_tender=True)
        is_same = by_any is not None and by_any._replace(any_tender=False) == allowed
        found = (None if is_known or is_same else by_any, allowed)
        return [one for one in found if one is not None]

    def _reaching(self, sums: list[int], needed: int) -> int | None:
        place = bisect_left(sums, needed)
        return self._places[place] if place < len(sums) else None

    def _own_reaching(self, line: KnownLine, needed: int, column: int) -> int | None:
        return next((own[0] for own in self._own[line.key] if own[column] >= needed), None)

    def _shorter(
        self, line: KnownLine, needed: int, own: int | None, together: int | None, *, any_tender: bool
    ) -> PaidPrice | None:
        if own is not None and (together is None or own <= together):
            return self._paid(line, own, by_allocation=True, unallocated=0, any_tender=any_tender)
        if together is None:
            return None
        allocated = max((sums[1] for sums in self._own[line.key] if sums[0] <= together), default=0)
        kept = max(0, needed - allocated)
        return self._paid(line, together, by_allocation=False, unallocated=kept, any_tender=any_tender)

    def _paid(
        self, line: KnownLine, captures: int, *, by_allocation: bool, unallocated: int, any_tender: bool
    ) -> PaidPrice:
        return PaidPrice(
            certificate_id=line.naming.certificate_id if line.naming else "",
            price=line.price,
            captures=captures,
            by_allocation=by_allocation,
            unallocated=unallocated,
            any_tender=any_tender,
        )
