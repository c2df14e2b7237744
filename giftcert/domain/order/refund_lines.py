"""Which lines does a refund mean? One pure function over all messages of the order, so that all lines agree.

1. Refunds that together equal all captures mean every line, whole, whatever they allocate.
2. Allocated refunds go to their lines; what a person said is as good.
3. An unallocated refund that occurred before any line left the order, and fits the goods' money, is for goods, whole.
4. Others fill, in lineId order, what the lines that left still lack.
5. Of what is left, as much as there is goods' money is for goods.
6. The rest must be certificate money of a line that lacks some.

What a line was charged beyond its price counts as goods' money here and goes back first, so the line stays paid.
"""

from collections import Counter
from collections.abc import Mapping
from itertools import takewhile

from giftcert.domain.order.line_money import Captures, Claims, GivenBack, LineMoney
from giftcert.domain.order.refunds import Refund, refunds_of
from giftcert.domain.order.standing import CountedMoney
from giftcert.domain.order.state import KnownLine, Order


class OrderMoney:
    """All money of an order: captured for which line (``lines``), given back by which refund (foreign ones too)."""

    def __init__(
        self, order: Order, counted: Mapping[int, CountedMoney], captures: Captures | None = None
    ) -> None:
        """Spread captures, then refunds; ``counted`` money, by line key, stays with its line."""
        self.claims = Claims(order, captures)
        self.refunds = refunds_of(order, self.claims.captures.bearers, counted)
        own = [one for one in self.refunds if order.currency in {None, one.currency}]
        foreign = [one for one in self.refunds if order.currency not in {None, one.currency}]
        for refund in foreign:
            _spread_foreign(order, refund)
        self.back = GivenBack(frozenset(key for refund in foreign for key in refund.given))
        self._certificates = {line.key for line in self.claims.certificates}
        self._live = [(line.key, line.price) for line in self.claims.certificates if line.withdrawal is None]
        left = (line for line in order.lines if line.withdrawal is not None or line.absences)
        self._left_lines = sorted(left, key=lambda line: (line.line_id, line.key))
        self._spread(own)

    def left(self, line: KnownLine) -> int:
        """Return what was captured for a certificate line and is not back."""
        return self.lines.captured[line.key] - self.back.of[line.key]

    def _spread(self, refunds: list[Refund]) -> None:
        """Apply the rules to all refunds in the order's currency, in topic order."""
        for refund in refunds:  # rule 2
            for key in refund.said:
                self._add(key, refund.said_given(key))
                self.back.said[key] += refund.said_given(key)
        self._fill()
        all_back = sum(refund.amount for refund in refunds) == self.claims.captures.total
        for refund in refunds[:-1] if all_back else refunds:
            self._infer(refund)
        if all_back:
            self._give_all_back(refunds)
        self.back.of.clear()
        for refund in refunds:
            refund.keep_counted()
            self.back.of.update(refund.given)
        for refund in refunds:  # also what others took since it was looked at
            self._give_what_no_line_lacks(refund)
        for refund in refunds:
            refund.candidates = self._candidates(refund)

    def _add(self, key: int, amount: int) -> None:
        self.back.of[key] += amount
        self.back.goods += amount if key not in self._certificates else 0

    def _fill(self) -> None:
        self.lines = LineMoney(self.claims, self.back)
        captures = self.claims.captures
        self._goods_have = captures.total - captures.allocated[None] - sum(self.lines.captured.values())

    def _infer(self, refund: Refund) -> None:
        """Rules 3 to 6 for what nobody said of a refund; what was already counted stays."""
        counted = {key: amount - refund.said_given(key) for key, amount in refund.given.items()}
        fits_goods = refund.rest + sum(counted.values()) <= self._goods_money()
        for key, amount in counted.items():
            self._add(key, amount)
        if refund.rest > 0:
            out = [line for line in self._left_lines if line.is_out_at(refund.occurred_at)]
            if out or not fits_goods:
                self._fill_lines_that_left(refund, out)
            self._give_goods(refund, min(refund.rest, max(0, self._goods_money())))
            self._give_what_no_line_lacks(refund)
        inferred = [key for key, amount in refund.given.items() if amount > refund.said[key]]
        for key in inferred:
            self.back.inferred_at.setdefault(key, refund.newest.captures_before)
        # A line's money may then exceed its price, or goods may ask for theirs again.
        may_change = self.lines.has_rest or self.claims.replaced
        if may_change and any(map(self._came_again_since, inferred)):
            self._fill()

    def _came_again_since(self, key: int) -> bool:
        """Whether other money of a line may have come again than when captures were spread."""
        known = self.lines.came_again.get(key)
        return known is not None and known != self.back.may_have_come_again(key, self.claims.captures)

    def _give(self, refund: Refund, key: int, amount: int) -> int:
        amount = max(0, amount)
        refund.give(key, amount)
        self._add(key, amount)
        return amount

    def _goods_money(self) -> int:
        """Captured money neither reserved for certificate lines nor given back already."""
        return self._goods_have + sum(self._excess().values()) - self.back.goods - self.back.beyond_prices

    def _excess(self) -> dict[int, int]:
        """What is left of captures beyond a line's price; none on lines that left, whose money is all theirs."""
        captured, back = self.lines.captured, self.back.of
        return {
            key: more for key, price in self._live if (more := captured[key] - price - back.get(key, 0)) > 0
        }

    def _give_goods(self, refund: Refund, amount: int) -> None:
        """Give goods' money back: first the excess of a line, then what exceeds all prices."""
        refund.rest -= amount
        for key, excess in self._excess().items():
            amount -= self._give(refund, key, min(amount, excess))
        beyond = min(amount, self.lines.rest)
        self.lines.rest -= beyond
        self.back.beyond_prices += beyond
        self.back.goods += amount - beyond

    def _fill_lines_that_left(self, refund: Refund, out: list[KnownLine]) -> None:
        """First those out of the order when the refund occurred, so that it stays with them."""
        first = {line.key for line in out}
        others = [line for line in self._left_lines if line.withdrawal is not None and line.key not in first]
        for line in (*out, *others):
            if refund.rest > 0 and line.key not in refund.decided:
                refund.rest -= self._give(refund, line.key, min(refund.rest, self._lack(line)))

    def _lack(self, line: KnownLine) -> int:
        if line.naming is not None:
            return self.left(line)
        left = self._goods_have - self.back.goods - self.back.beyond_prices
        return min(self._captured_for_goods(line) - self.back.of[line.key], left)

    def _captured_for_goods(self, line: KnownLine) -> int:
        """Allocations of goods, and their share of the unallocated money, taken in lineId order."""
        left = self.lines.goods if line.is_in_total else self.lines.gone_goods
        for one in takewhile(lambda one: one.key != line.key, self.claims.goods):
            if one.is_in_total == line.is_in_total:
                left -= min(left, self._goods_lack(one))
        return self.claims.captures.allocated[line.key] + min(left, self._goods_lack(line))

    def _goods_lack(self, line: KnownLine) -> int:
        return self.claims.lack(line) - self.lines.inherited.get(line.key, 0)

    def _give_all_back(self, refunds: list[Refund]) -> None:
        """Rule 1: each line got back what was captured for it, and no unit counts twice."""
        # First what was counted, then what was said, as far as the line had so much; the newest refunds bring the rest.
        owed = Counter(self.lines.captured)
        for refund in refunds:
            meant, refund.given, refund.rest = refund.given, Counter(), 0
            for key, amount in refund.counted.items():
                refund.give(key, amount)
                owed[key] -= amount
            for key, amount in meant.items():
                _give_owed(refund, key, amount - refund.counted[key], owed)
        for refund in reversed(refunds):
            for key in owed:
                _give_owed(refund, key, refund.amount, owed)

    def _candidates(self, refund: Refund) -> tuple[int, ...]:
        """Rule 6; once persons have spoken of all lines that lack money, the rest is the last one's."""
        if refund.rest == 0:
            return ()
        lacking = tuple(line.key for line in self._open_to(refund) if self._lacks_money(line))
        return lacking or tuple(refund.decided)[-1:]

    def _give_what_no_line_lacks(self, refund: Refund) -> None:
        """What no line can take is the last line's: more than was captured for it."""
        lines = self._open_to(refund) if refund.rest > 0 and not refund.decided else []
        if lines and not any(map(self._lacks_money, lines)):
            refund.rest -= self._give(refund, lines[-1].key, refund.rest)

    def _open_to(self, refund: Refund) -> list[KnownLine]:
        return [line for line in self.claims.certificates if line.key not in refund.decided]

    def _lacks_money(self, line: KnownLine) -> bool:
        """Until its capture is known a line counts at its price, as a refund may already mean it."""
        return max(line.price, self.lines.captured[line.key]) > self.back.of[line.key]


def _give_owed(refund: Refund, key: int, amount: int, owed: Counter[int]) -> None:
    part = max(0, min(amount, owed[key], refund.amount - refund.given.total()))
    refund.give(key, part)
    owed[key] -= part


def _spread_foreign(order: Order, refund: Refund) -> None:
    """Give a foreign refund to the lines that its parts or persons name."""
    certificates = [line.key for line in order.lines if line.naming is not None]
    if len(order.lines) == 1 and not refund.decided:
        refund.give(certificates[0], refund.rest)
    elif refund.rest > 0:
        open_to = tuple(key for key in certificates if key not in refund.decided)
        # What persons left was for other kinds of lines; without any, it is of the line that they spoke of last.
        last = tuple(refund.decided)[-1:] if len(certificates) == len(order.lines) else ()
        refund.candidates = open_to or last
