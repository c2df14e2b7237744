"""What is captured for a line: its allocations, and unallocated money that other lines cannot have taken.

What one line was given is never another's, whatever the order of arrival.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from giftcert.domain.order.lines import Bearers
from giftcert.domain.order.state import KnownLine, Order

_NOTHING: Mapping[int | None, int] = {}


class Taken(NamedTuple):
    """One capture: ``parts`` are its allocations by line key, ``None`` for lineIds that no line ever bore."""

    place: int
    by_certificate: bool
    unallocated: int
    parts: Mapping[int | None, int]


class Captures:
    """The captures in the order's currency, in topic order, and their sums; keys as in ``Taken.parts``."""

    def __init__(self, order: Order) -> None:
        self.bearers = Bearers(order)
        self.taken: list[Taken] = []
        self.of_line: dict[int | None, list[tuple[Taken, int]]] = {}
        self.total = 0
        for place, capture in enumerate(order.captures):
            if order.currency is not None and capture.currency != order.currency:
                continue
            parts, free = _NOTHING, capture.amount
            if capture.allocations:
                parts = self.bearers.amounts(capture.allocations, capture.occurred_at)
                free = max(0, free - sum(parts.values()))
            one = Taken(place, capture.by_certificate, free, parts)
            self.taken.append(one)
            self.total += capture.amount
            for key, amount in parts.items():
                self.of_line.setdefault(key, []).append((one, amount))
        self.allocated = Counter({key: sum(one[1] for one in of) for key, of in self.of_line.items()})
        self._unallocated_until = list(accumulate((one.unallocated for one in self.taken), initial=0))
        self.unallocated = self._unallocated_until[-1]

    def unallocated_since(self, place: int) -> int:
        """Return the unallocated money of the captures from a place in the topic on."""
        before = bisect_left(self.taken, place, key=lambda one: one.place)
        return self.unallocated - self._unallocated_until[before]

    def reaching(self, unallocated: int) -> int:
        """Return the place of the capture that brings unallocated money to an amount above 0, or the last."""
        count = bisect_left(self._unallocated_until, unallocated)
        return self.taken[min(count, len(self.taken)) - 1].place


class Claims:
    """What the lines of an order ask for; those in its total come first, then goods before certificates, by lineId."""

    def __init__(self, order: Order, captures: Captures | None = None) -> None:
        self.order = order
        self.captures = captures = captures or Captures(order)
        by_number = sorted(order.lines, key=lambda line: line.line_id)
        self.in_total = [line for line in by_number if line.naming is not None and line.is_in_total]
        self.gone = [line for line in by_number if line.naming is not None and not line.is_in_total]
        self.certificates = [*self.in_total, *self.gone]
        self.goods = [line for line in by_number if line.naming is None]
        self._bearer = {one.line_id: one.line_key for one in order.bearings}
        # Goods that left, by the key of those listed anew under their lineId: what was paid for it is not asked again.
        self.replaced: dict[int, list[KnownLine]] = {}
        for line in self.goods:
            if (now := self._bearer[line.line_id]) != line.key and order.lines[now - 1].naming is None:
                self.replaced.setdefault(now, []).append(line)
        self.total = order.total - sum(
            line.price for line in order.lines if line.listed and not line.is_in_total
        )
        self.goods_cost = max(0, self.total - sum(line.price for line in self.in_total))
        listed = [line for line in self.goods if line.is_in_total]
        self.captured = captures.unallocated + sum(map(self._counted, [*listed, *self.in_total]))
        self.is_total_reached = self.captured >= self.total
        # Allocations of goods may leave out a discount that the order has in a line of its own, or as a whole.
        too_much = sum(map(self._counted, listed)) - self.goods_cost
        self.surplus = max(0, too_much) if self.is_total_reached else 0
        self.goods_lack = max(0, self.goods_cost - sum(captures.allocated[line.key] for line in listed))
        gone = [line for line in self.goods if not line.is_in_total]
        discounts = sum(min(0, line.price) for line in gone if self._is_bearer(line))
        self.gone_goods_lack = max(0, discounts + sum(map(self.lack, gone)))

    def _counted(self, line: KnownLine) -> int:
        """What of a line's allocations counts for the order: up to its amount, as the rest is no other's."""
        return min(self.captures.allocated[line.key], max(0, line.amount))

    def lack(self, line: KnownLine) -> int:
        """Return what goods lack of their price beside their allocations; 0 once another line bears their number."""
        return max(0, line.price - self.captures.allocated[line.key]) if self._is_bearer(line) else 0

    def _is_bearer(self, line: KnownLine) -> bool:
        return self._bearer[line.line_id] == line.key


@dataclass(slots=True)
class GivenBack:
    """What certainly went back, by line key."""

    of_unknown_worth: frozenset[int]  # lines with money back in another currency
    of: Counter[int] = field(default_factory=Counter)
    said: Counter[int] = field(default_factory=Counter)  # part of it that refunds or persons gave
    goods: int = 0  # sum over goods
    beyond_prices: int = 0  # what no price had lacked
    # How many captures came before the line's first refund that only follows from the rules.
    inferred_at: Counter[int] = field(default_factory=Counter)

    def may_have_come_again(self, key: int, captures: Captures) -> int:
        """Return how much beyond its price may have been captured because the line's money went back."""
        if key in self.of_unknown_worth:
            return captures.total
        # A refund that names the line proves it for all captures; one that only the rules gave to it, for later ones.
        inferred = self.of[key] - self.said[key]
        return self.said[key] + min(inferred, captures.unallocated_since(self.inferred_at[key]))


class LineMoney:
    """How the captured money spreads over the lines.

    First what paid a line stays with it, and what went back was its own. Then each takes what its price lacks, then
    what may have come again. What is left is nobody's or, in an order without goods, of a buyer who was charged twice.
    """

    def __init__(self, claims: Claims, back: GivenBack) -> None:
        captures, lines = claims.captures, claims.certificates
        self.captured = {line.key: captures.allocated[line.key] + line.kept for line in lines}
        self.until: dict[int, int] = {}  # how much of all unallocated money was used when a line had its part
        self._all = captures.unallocated + claims.surplus
        self.rest = self._all - sum(line.kept for line in lines)  # in the end: what is nobody's and not back
        replaced = (line.key for lines_before in claims.replaced.values() for line in lines_before)
        keys = (*(line.key for line in lines), *replaced)
        self.came_again = {key: back.may_have_come_again(key, captures) for key in keys}
        self.inherited = {key: self._inherited(claims, key) for key in claims.replaced}
        goods_lack, gone_goods_lack = self._goods_lack(claims)
        goods_allocated = sum(captures.allocated[line.key] for line in claims.goods)
        goods_back = self._draw(min(back.goods - goods_allocated, goods_lack + gone_goods_lack))
        for line in lines:
            self._take(line, min(back.of[line.key], line.price))
        # Unallocated money for goods in the order's total, and for those that left it.
        self.goods = min(goods_back, goods_lack)
        self.gone_goods = goods_back - self.goods
        self.goods += self._draw(goods_lack - self.goods)
        for line in claims.in_total:
            self._take(line, line.price)
        self.gone_goods += self._draw(gone_goods_lack - self.gone_goods)
        for line in claims.gone:
            self._take(line, line.price)
        self.has_rest = self.rest > 0
        if self.has_rest:
            self._draw(back.beyond_prices)
            for line in lines:
                self._take(line, line.price + self.came_again[line.key])
            if claims.goods_cost == 0 and all(line.amount <= 0 for line in claims.goods):
                self._charge_again(lines)
        self.rest = max(0, self.rest)

    def _inherited(self, claims: Claims, key: int) -> int:
        """What goods still lack and the lines that they replaced have left: allocations that are not back."""
        allocated, before = claims.captures.allocated, claims.replaced[key]
        left = sum(max(0, allocated[line.key] - self.came_again[line.key]) for line in before)
        return min(claims.lack(claims.order.lines[key - 1]), left)

    def _goods_lack(self, claims: Claims) -> tuple[int, int]:
        """What is still lacking: by goods in the order's total, and by goods that left it."""
        lack, gone_lack = claims.goods_lack, claims.gone_goods_lack
        for key, amount in self.inherited.items():
            if claims.order.lines[key - 1].is_in_total:
                lack -= amount
            else:
                gone_lack -= amount
        return max(0, lack), max(0, gone_lack)

    def _take(self, line: KnownLine, amount: int) -> None:
        """Let a line take until it has an amount, as far as there is money."""
        if drawn := self._draw(amount - self.captured[line.key]):
            self.captured[line.key] += drawn
            self.until[line.key] = self._all - self.rest

    def _draw(self, wanted: int) -> int:
        amount = max(0, min(wanted, self.rest))
        self.rest -= amount
        return amount

    def _charge_again(self, lines: list[KnownLine]) -> None:
        """In an order of certificates alone, what is left is each line's price once more, and again."""
        each = sum(line.price for line in lines)
        rounds = self.rest // each if each else 0
        for more in (rounds, 1):
            for line in lines:
                self._take(line, self.captured[line.key] + more * line.price)
        if lines:
            self._take(lines[0], self.captured[lines[0].key] + self.rest)
