"""Which lines does a refund mean? One pure function over all messages of the order, so that all lines agree.

1. Refunds that together equal all captures mean every line, whole, whatever they allocate.
2. Allocated refunds go to their lines; what a person said is as good.
3. An unallocated refund that occurred before any line left the order, and fits the goods' money, is for goods, whole.
4. Others fill, in lineId order, what the lines that left still lack.
5. Of what is left, as much as there is goods' money is for goods.
6. The rest must be certificate money of a line that lacks some.

What a line was charged beyond its price counts as goods' money here and goes back first, so the line stays paid.
"""

from dataclasses import dataclass
from itertools import takewhile

from giftcert.domain.order.line_money import Claims, Filled, GivenBack, fill
from giftcert.domain.order.refunds import Refund
from giftcert.domain.order.state import KnownLine, Order


@dataclass(frozen=True, slots=True)
class RefundedMoney:
    """How refunds in the order's currency spread over its lines, by line key.

    ``all_back``: together they equal all captures. ``candidates``: for each refund, which lines its rest may mean.
    """

    refunds: list[Refund]
    candidates: list[tuple[int, ...]]
    filled: Filled
    back: GivenBack
    all_back: bool


def spread_refunds(order: Order, claims: Claims, refunds: list[Refund], back: GivenBack) -> RefundedMoney:
    """Apply the rules to all refunds in the order's currency, in the order of their topic."""
    all_back = sum(refund.amount for refund in refunds) == claims.money.total > 0
    spread = _Spread(order, claims, back, refunds)
    for refund in refunds[:-1] if all_back else refunds:
        spread.infer(refund)
    if all_back:
        spread.give_all_back(refunds)
    spread.sum_up(refunds)
    spread.give_what_no_line_lacks(refunds)
    candidates = [spread.candidates(refund) for refund in refunds]
    return RefundedMoney(refunds, candidates, spread.filled, back, all_back)


class _Spread:
    """The rules: first what is said of all refunds, then refund by refund what follows for the rest."""

    def __init__(self, order: Order, claims: Claims, back: GivenBack, refunds: list[Refund]) -> None:
        self._claims, self._back = claims, back
        self._certificates = {line.key: line for line in claims.certificates}
        left = (line for line in order.lines if line.withdrawal is not None or line.absences)
        self._left_lines = sorted(left, key=lambda line: (line.line_id, line.key))
        self._goods_back: dict[int, int] = {}
        self._inferred: dict[int, int] = {}
        for refund in refunds:  # rule 2
            refund.rest = refund.give_what_is_said()
            for key in refund.said:
                self._add(key, refund.said_given(key))
                if key in self._certificates:
                    back.said[key] = back.said.get(key, 0) + refund.said_given(key)
        self._fill()

    def _add(self, key: int, amount: int) -> None:
        of = self._back.of if key in self._certificates else self._goods_back
        of[key] = of.get(key, 0) + amount
        if key not in self._certificates:
            self._back.goods += amount

    def _fill(self) -> None:
        self.filled = fill(self._claims, self._back)
        money = self._claims.money
        self._goods_have = money.total - money.for_nobody - sum(self.filled.captured.values())
        of = self._back.of
        self._reserved = sum(self._reserve(line, of.get(line.key, 0)) for line in self._claims.certificates)

    def _reserve(self, line: KnownLine, back: int) -> int:
        """What of a line's money is not for goods: what paid its price or went back; once it left the order, all."""
        has = self.filled.captured[line.key]
        return has if line.withdrawal is not None else min(has, line.price + back)

    # One refund -------------------------------------------------------------------------------------

    def infer(self, refund: Refund) -> None:
        """Rules 3 to 6 for what nobody said of a refund; what was counted of it already stays."""
        counted = {key: amount - refund.said_given(key) for key, amount in refund.given.items()}
        unassigned, goods_money = refund.rest + sum(counted.values()), self._goods_money()
        self._inferred = {key: amount for key, amount in counted.items() if amount > 0}
        if refund.rest > 0:
            out = [line for line in self._left_lines if line.is_out_at(refund.occurred_at)]
            if out or unassigned > goods_money:
                self._fill_lines_that_left(refund, out)
            self._give_goods(refund, min(refund.rest, max(0, self._goods_money())))
            self._give_what_no_line_lacks(refund)
        if self._inferred:
            self._settle(refund)
            self._inferred = {}

    def _give(self, refund: Refund, key: int, amount: int) -> int:
        if amount > 0:
            refund.give(key, amount)
            self._inferred[key] = self._inferred.get(key, 0) + amount
        return max(0, amount)

    def _given(self, key: int) -> int:
        of = self._back.of if key in self._certificates else self._goods_back
        return of.get(key, 0) + self._inferred.get(key, 0)

    def _goods_money(self) -> int:
        """What of the captures is goods' money: neither reserved for certificate lines nor given back already."""
        money = self._claims.money
        back = self._back.goods + self._back.beyond_prices + self._goods_inferred()
        return money.total - money.for_nobody - self._reserved_now() - back

    def _reserved_now(self) -> int:
        more = 0
        for key in self._inferred:
            line = self._certificates.get(key)
            if line is not None:
                more += self._reserve(line, self._given(key)) - self._reserve(line, self._back.of.get(key, 0))
        return self._reserved + more

    def _goods_inferred(self) -> int:
        return sum(amount for key, amount in self._inferred.items() if key not in self._certificates)

    def _give_goods(self, refund: Refund, amount: int) -> None:
        """Give goods' money back; what was too much goes first: beyond a line's price, then beyond all prices."""
        refund.rest -= amount
        for line in self._claims.certificates:
            if amount == 0:
                return
            if line.withdrawal is None:
                excess = self.filled.captured[line.key] - line.price - self._given(line.key)
                amount -= self._give(refund, line.key, min(amount, excess))
        beyond = min(amount, self.filled.rest)
        self.filled.rest -= beyond
        self._back.beyond_prices += beyond
        self._back.goods += amount - beyond

    def _fill_lines_that_left(self, refund: Refund, out: list[KnownLine]) -> None:
        """Fill what they lack: first those out of the order when the refund occurred, so that it stays with them."""
        first = {line.key for line in out}
        others = [line for line in self._left_lines if line.withdrawal is not None and line.key not in first]
        for line in (*out, *others):
            if refund.rest == 0:
                break
            if line.key not in refund.decided:
                refund.rest -= self._give(refund, line.key, min(refund.rest, self._lack(line)))

    def _lack(self, line: KnownLine) -> int:
        if line.naming is not None:
            return self.filled.captured[line.key] - self._given(line.key)
        left = self._goods_have - self._back.goods - self._back.beyond_prices - self._goods_inferred()
        return min(self._captured_for_goods(line) - self._given(line.key), left)

    def _captured_for_goods(self, line: KnownLine) -> int:
        """What goods have of the unallocated money is theirs in lineId order."""
        left = self.filled.goods_unallocated if line.is_in_total else self.filled.gone_goods_unallocated
        for one in takewhile(lambda one: one.key != line.key, self._claims.goods):
            if one.is_in_total == line.is_in_total:
                left -= min(left, self._claims.lack(one))
        return self._claims.money.of(line) + min(left, self._claims.lack(line))

    def _settle(self, refund: Refund) -> None:
        """Add up what followed for the refund; it may show that there is more of a line's money than its price."""
        self._reserved = self._reserved_now()
        came_again = self._claims.money.unallocated_since(refund.newest.captures_before) > 0
        for key, amount in self._inferred.items():
            self._add(key, amount)
            if key in self._certificates:
                self._back.inferred_at.setdefault(key, refund.newest.captures_before)
        if self.filled.has_rest and came_again:
            self._fill()

    # All money is back ------------------------------------------------------------------------------

    def give_all_back(self, refunds: list[Refund]) -> None:
        """Rule 1: each line got back what was captured for it, and no unit counts twice.

        What was counted, then what was said, stays as far as the line had so much; the newest refunds bring the rest.
        """
        owed = dict(self.filled.captured)
        for refund in refunds:
            meant, refund.given, refund.rest = refund.given, {}, 0
            for key, amount in refund.counted.items():
                refund.give(key, amount)
                owed[key] -= amount
            for key, amount in meant.items():
                more = amount - refund.counted.get(key, 0)
                _move(refund, key, more, owed)
        for refund in reversed(refunds):
            for key in owed:
                _move(refund, key, refund.amount, owed)

    def sum_up(self, refunds: list[Refund]) -> None:
        """Let what was counted stay, and add up what is back of each certificate line."""
        self._back.of, self._inferred = dict.fromkeys(self._certificates, 0), {}
        for refund in refunds:
            if refund.counted:
                refund.keep_counted()
            for key, amount in refund.given.items():
                if key in self._certificates:
                    self._back.of[key] += amount

    # The rest ---------------------------------------------------------------------------------------

    def candidates(self, refund: Refund) -> tuple[int, ...]:
        """Rule 6: return the lines that the rest of a refund may mean.

        Where persons have spoken of all that lack money, what they left is of the one that they spoke of last.
        """
        if refund.rest == 0:
            return ()
        lacking = tuple(line.key for line in self._open_to(refund) if self._lacks_money(line))
        return lacking or tuple(refund.decided)[-1:]

    def give_what_no_line_lacks(self, refunds: list[Refund]) -> None:
        """Also what others took since a refund was looked at."""
        for refund in refunds:
            self._inferred = {}
            self._give_what_no_line_lacks(refund)
            for key, amount in self._inferred.items():
                self._add(key, amount)
        self._inferred = {}

    def _give_what_no_line_lacks(self, refund: Refund) -> None:
        """What no line can take is back of the last one: more than was captured for it."""
        lines = self._open_to(refund) if refund.rest > 0 and not refund.decided else []
        if lines and not any(map(self._lacks_money, lines)):
            refund.rest -= self._give(refund, lines[-1].key, refund.rest)

    def _open_to(self, refund: Refund) -> list[KnownLine]:
        return [line for line in self._claims.certificates if line.key not in refund.decided]

    def _lacks_money(self, line: KnownLine) -> bool:
        """Before its capture is known a refund may still mean a line, so the price counts until then."""
        return max(line.price, self.filled.captured[line.key]) > self._given(line.key)


def _move(refund: Refund, key: int, amount: int, owed: dict[int, int]) -> None:
    """Give to a certificate line what it is still owed of an amount."""
    part = min(amount, owed.get(key, 0), refund.unassigned)
    if part > 0:
        refund.give(key, part)
        owed[key] -= part
