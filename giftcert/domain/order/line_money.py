"""What is captured for a line: its allocations, and unallocated money that other lines cannot have taken.

What one line was given is never another's, whatever the order of arrival.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from giftcert.domain.order.captures import CapturedMoney
from giftcert.domain.order.state import KnownLine, Order

# Claims -------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Claim:
    """What a certificate line asks for; ``kept`` is unallocated money that has paid it."""

    key: int
    price: int
    allocated: int
    kept: int


class Claims:
    """What the lines of an order ask for, in the order in which they take unallocated money.

    Lines in the order's total come before those that left it, goods before certificates, then by lineId.
    """

    def __init__(self, order: Order, money: CapturedMoney) -> None:
        self.order, self.money = order, money
        by_number = sorted(order.lines, key=lambda line: line.line_id)
        self.in_total = [line for line in by_number if line.naming is not None and line.is_in_total]
        gone = [line for line in by_number if line.naming is not None and not line.is_in_total]
        self.certificates = [*self.in_total, *gone]
        self._numbers_in_total = {line.line_id for line in order.lines if line.is_in_total}
        self.goods = [line for line in by_number if line.naming is None]
        self.asked = list(map(self._claim, self.in_total))
        self.asked_by_gone = list(map(self._claim, gone))
        cancelled = (line.price for line in order.lines if line.listed and not line.is_in_total)
        self.total = order.total - sum(cancelled)
        self.goods_cost = max(0, self.total - sum(line.price for line in self.in_total))
        self.has_goods = self.goods_cost > 0 or any(line.amount > 0 for line in self.goods)
        self.goods_allocated = sum(map(money.of, self.goods))
        listed = [line for line in self.goods if line.is_in_total]
        self.goods_lack = max(0, self.goods_cost - sum(map(money.of, listed)))
        self.gone_goods_lack = sum(self.lack(line) for line in self.goods if not line.is_in_total)
        self.captured = money.unallocated + sum(map(self.counted, [*listed, *self.in_total]))
        self.surplus = self._surplus(listed)

    @property
    def is_total_reached(self) -> bool:
        """Whether the captures that may pay for what is in the order reach its total."""
        return self.captured >= self.total

    def _claim(self, line: KnownLine) -> Claim:
        kept = max((paid.unallocated for paid in line.paid), default=0)
        return Claim(line.key, line.price, self.money.of(line), kept)

    def _surplus(self, goods: list[KnownLine]) -> int:
        """Where the total is reached, what goods were allocated beyond what they cost together.

        Their allocations may leave out a discount that the order has in a line of its own, or as a whole.
        """
        return max(0, sum(map(self.counted, goods)) - self.goods_cost) if self.is_total_reached else 0

    def counted(self, line: KnownLine) -> int:
        """Return what of a line's allocations counts for the order: up to its amount, as the rest is no other's."""
        return min(self.money.of(line), max(0, line.amount))

    def lack(self, line: KnownLine) -> int:
        """Return what the allocations of goods leave of their price, unless others are sold under the number now."""
        replaced = not line.is_in_total and line.line_id in self._numbers_in_total
        return 0 if replaced else max(0, line.price - self.money.of(line))


# What went back -----------------------------------------------------------------------------------


@dataclass(slots=True)
class GivenBack:
    """What certainly went back, by line key; ``goods`` is the sum of goods, ``beyond_prices`` what no price had lacked.

    ``said``: what of it the refunds themselves, or persons, gave to the line. ``inferred_at``: how many captures came
    before the first refund of the line that only follows from the rules. ``of_unknown_worth``: lines with money back in
    another currency.
    """

    of: dict[int, int] = field(default_factory=dict)
    said: dict[int, int] = field(default_factory=dict)
    goods: int = 0
    beyond_prices: int = 0
    inferred_at: dict[int, int] = field(default_factory=dict)
    of_unknown_worth: frozenset[int] = frozenset()

    def may_have_come_again(self, key: int, money: CapturedMoney) -> int:
        """Return how much beyond its price may have been captured for a line, because money of it went back.

        A refund that names the line proves it; of one that only follows from the rules, no earlier capture does.
        """
        if key in self.of_unknown_worth:
            return money.total
        said = self.said.get(key, 0)
        inferred = self.of.get(key, 0) - said
        if inferred <= 0:
            return said
        return said + min(inferred, money.unallocated_since(self.inferred_at.get(key, 0)))


# Spreading ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Filled:
    """How the captured money spreads over the lines.

    ``captured`` is by line key; ``until``: how much of all unallocated money was used when the line had its part of it.
    ``goods_unallocated`` and ``gone_goods_unallocated`` are for goods in the order's total and for those that left it.
    ``has_rest``: there was more than all prices lacked; ``rest`` is what of it is nobody's and not back.
    """

    captured: dict[int, int]
    until: dict[int, int]
    goods_unallocated: int
    gone_goods_unallocated: int
    has_rest: bool
    rest: int


class _Pool:
    """Unallocated money, taken from by one line after another."""

    def __init__(self, money: int, claims: Iterable[Claim]) -> None:
        self.all = self.left = money
        self.has: dict[int, int] = {}
        self.until: dict[int, int] = {}
        for claim in claims:  # what paid a line stays with it, whatever there is by now
            self.has[claim.key] = claim.allocated + claim.kept
            self.left -= claim.kept

    def take(self, key: int, amount: int) -> None:
        """A line takes until it has an amount, as far as there is."""
        wanted = amount - self.has[key]
        if wanted > 0 and self.left > 0:
            self.has[key] += self.draw(wanted)
            self.until[key] = self.all - self.left

    def draw(self, wanted: int) -> int:
        """Return what there is of the wanted amount."""
        amount = max(0, min(wanted, self.left))
        self.left -= amount
        return amount


def fill(claims: Claims, back: GivenBack) -> Filled:
    """Spread the unallocated money over the lines.

    First what paid a line stays with it, and what went back was its own. Then each takes what its price lacks, then
    what may have come again. What is left is nobody's, or where there are no goods, of a buyer who was charged twice.
    """
    money, everybody = claims.money, [*claims.asked, *claims.asked_by_gone]
    pool = _Pool(money.unallocated + claims.surplus, everybody)
    goods_back = min(back.goods - claims.goods_allocated, claims.goods_lack + claims.gone_goods_lack)
    goods = pool.draw(goods_back)
    if back.of:
        for claim in everybody:
            pool.take(claim.key, min(back.of.get(claim.key, 0), claim.price))
    goods += pool.draw(claims.goods_lack - goods)
    for claim in claims.asked:
        pool.take(claim.key, claim.price)
    gone_goods = pool.draw(claims.gone_goods_lack)
    for claim in claims.asked_by_gone:
        pool.take(claim.key, claim.price)
    has_rest = pool.left > 0
    if has_rest:
        pool.draw(back.beyond_prices)
        for claim in everybody:
            pool.take(claim.key, claim.price + back.may_have_come_again(claim.key, money))
        if not claims.has_goods:
            _charge_again(pool, everybody)
    return Filled(pool.has, pool.until, goods, gone_goods, has_rest, max(0, pool.left))


def _charge_again(pool: _Pool, claims: list[Claim]) -> None:
    """Of an order of certificates alone, what is left is each line's price once more, and again."""
    each = sum(claim.price for claim in claims)
    rounds = pool.left // each if each else 0
    for more in (rounds, 1):
        for claim in claims if more else ():
            pool.take(claim.key, pool.has[claim.key] + more * claim.price)
    if claims:
        pool.take(claims[0].key, pool.has[claims[0].key] + pool.left)
