"""Which lines does a refund mean? One pure function over all messages of the order, so that all lines agree.

1. Refunds that together equal all captures mean every line, whole, whatever they allocate.
2. Allocated refunds go to their lines; what a person said is as good.
3. An unallocated refund that occurred before any line left the order, and fits the goods' money, stays with goods, whole.
4. Others fill, in lineId order, what the lines that left still lack.
5. Of what is left, as much as there is goods' money is for goods.
6. The rest must be certificate money of a line that lacks some.

What a line was charged beyond its price counts as goods' money here and goes back first, so the line stays paid.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from giftcert.domain.order.line_money import CapturedMoney, Claims, Filled, GivenBack, captured_for, fill
from giftcert.domain.order.lines import Bearers
from giftcert.domain.order.standing import CountedMoney
from giftcert.domain.order.state import KnownLine, Order, RefundPart

# Refunds ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Refund:
    """All parts under one refundId and currency.

    ``said`` is what they, or persons, give to which line; ``elsewhere`` what is for lineIds that no line ever bore.
    ``pinned`` was counted for lines already. ``occurred_at`` is that of the earliest part, ``newest`` the part that was
    told last, ``place`` that part's place in its topic.
    """

    refund_id: str
    currency: str
    occurred_at: datetime
    newest: RefundPart
    place: int
    payment_ids: set[str] = field(default_factory=set)
    amount: int = 0
    elsewhere: int = 0
    said: dict[int, int] = field(default_factory=dict)
    pinned: dict[int, int] = field(default_factory=dict)
    decided: dict[int, int] = field(default_factory=dict)
    given: dict[int, int] = field(default_factory=dict)
    rest: int = 0

    def add(self, part: RefundPart, place: int, parts: Mapping[int | None, int], amount: int) -> None:
        """Add a part of which so much gives money back, and what of that is for which lines."""
        self.newest, self.place = part, place
        self.occurred_at = min(self.occurred_at, part.cause.occurred_at)
        self.payment_ids.add(part.payment_id)
        self.amount += amount
        for key, allocated in parts.items():
            if key is None:
                self.elsewhere += allocated
            else:
                self.said[key] = self.said.get(key, 0) + allocated

    def give(self, key: int, amount: int) -> None:
        """Give so much of the refund to a line."""
        if amount > 0:
            self.given[key] = self.given.get(key, 0) + amount

    def give_said(self) -> int:
        """Give to each line what was counted, or said, of it; return what is left of the refund."""
        self.given = dict(self.pinned)
        left = self.amount - sum(self.pinned.values())
        for key, amount in self.said.items():
            more = max(0, min(left, amount - self.pinned.get(key, 0)))
            self.give(key, more)
            left -= more
        return max(0, left - self.elsewhere)


def refunds_of(
    order: Order,
    parts: Iterable[tuple[int, RefundPart, int]],
    bearers: Bearers,
    counted: Mapping[int, CountedMoney],
) -> list[Refund]:
    """Return the refunds that parts add up to, in the order in which they were first told.

    Args:
        order: the order.
        parts: the parts to look at: place in the topic, part, and how much of it gives money of the order back.
        bearers: which lines allocations mean.
        counted: what closed cases counted, by line key: it stays with those lines.
    """
    found: dict[tuple[str, str], Refund] = {}
    for place, part, amount in parts:
        of = (part.refund_id, part.currency)
        if of not in found:
            found[of] = Refund(*of, part.cause.occurred_at, part, place)
        allocated = _first(bearers.amounts(part.allocations, part.cause.occurred_at), amount)
        found[of].add(part, place, allocated, amount)
    for share in order.shares:
        refund = found.get((share.refund_id, share.currency))
        if refund is not None:
            refund.decided[share.line_key] = share.amount
            refund.said[share.line_key] = refund.said.get(share.line_key, 0) + share.amount
    for key, money in counted.items():
        for refund_id, currency, amount in money.refunds:
            refund = found.get((refund_id, currency))
            if refund is not None and amount > 0:
                refund.pinned[key] = refund.pinned.get(key, 0) + amount
    return list(found.values())


def _first(parts: Mapping[int | None, int], most: int) -> Mapping[int | None, int]:
    """Of allocations no more counts than the part gives back."""
    if sum(parts.values()) <= most:
        return parts
    limited: dict[int | None, int] = {}
    for key, amount in parts.items():
        limited[key] = min(amount, most)
        most -= limited[key]
    return limited


# The rules ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RefundedMoney:
    """How refunds in the order's currency spread over its lines.

    ``all_back``: together they equal all captures. ``candidates``: lines that the rest of a refund may mean, by place in
    ``refunds``.
    """

    refunds: list[Refund]
    filled: Filled
    back: GivenBack
    all_back: bool
    candidates: list[tuple[int, ...]]


def spread_refunds(order: Order, claims: Claims, refunds: list[Refund], back: GivenBack) -> RefundedMoney:
    """Apply the rules to all refunds in the order's currency, in the order of their topic."""
    total = sum(refund.amount for refund in refunds)
    all_back = total == claims.money.total > 0
    spread = _Spread(order, claims, back)
    for refund in refunds[:-1] if all_back else refunds:
        spread.add(refund)
    if all_back:
        spread.give_all_back(refunds)
    candidates = [spread.candidates(refund) for refund in refunds]
    return RefundedMoney(refunds, spread.filled, back, all_back, candidates)


class _Spread:
    """Rules 2 to 6, refund by refund."""

    def __init__(self, order: Order, claims: Claims, back: GivenBack) -> None:
        self._order, self._claims, self._back = order, claims, back
        self._left_lines = [line for line in order.lines if line.withdrawal is not None or line.absences]
        self._certificates = {line.key for line in claims.certificates}
        self._goods_back: dict[int, int] = {}
        self.filled = fill(claims, back)

    # One refund -------------------------------------------------------------------------------------

    def add(self, refund: Refund) -> None:
        left = refund.give_said()  # rule 2
        if left > 0:
            self._infer(refund, left)
        self._settle(refund)

    def _infer(self, refund: Refund, left: int) -> None:
        goods = self._goods_money(refund)
        out = [line for line in self._left_lines if line.is_out_at(refund.occurred_at)]
        if out or left > goods:  # else rule 3
            left -= self._fill_lines_that_left(refund, left, out)  # rule 4
            goods = self._goods_money(refund)
        for_goods = min(left, max(0, goods))  # rules 3 and 5
        self._back.goods += for_goods - self._give_excess(refund, for_goods)
        refund.rest = left - for_goods  # rule 6

    def _given(self, key: int, refund: Refund) -> int:
        return self._back.of.get(key, 0) + refund.given.get(key, 0)

    def _has(self, line: KnownLine) -> int:
        return captured_for(line, self._claims, self.filled)

    def _goods_money(self, refund: Refund) -> int:
        """What of the captures is neither the price of a certificate line nor, once it left the order, its money."""
        reserved = 0
        for line in self._claims.certificates:
            has = self._has(line)
            price = line.price + self._given(line.key, refund)
            reserved += has if line.withdrawal is not None else min(has, price)
        money = self._claims.money
        given = sum(amount for key, amount in refund.given.items() if key not in self._certificates)
        return money.total - money.allocated.get(None, 0) - reserved - self._back.goods - given

    def _give_excess(self, refund: Refund, amount: int) -> int:
        """Of money for goods, what lines in the order were charged beyond their price goes back first."""
        left = amount
        for line in self._claims.certificates:
            if left == 0 or line.withdrawal is not None:
                continue
            excess = self._has(line) - line.price - self._given(line.key, refund)
            part = max(0, min(left, excess))
            refund.give(line.key, part)
            left -= part
        return amount - left

    def _fill_lines_that_left(self, refund: Refund, amount: int, out: list[KnownLine]) -> int:
        """Fill what they lack: first those out of the order when the refund occurred, so that it stays with them."""
        left = amount
        first = {line.key for line in out}
        withdrawn = [line for line in self._left_lines if line.withdrawal is not None or line.key in first]
        for line in sorted(withdrawn, key=lambda line: (line.key not in first, line.line_id, line.key)):
            if left == 0:
                break
            if line.key in refund.decided:
                continue
            part = max(0, min(left, self._lack(line, refund)))
            refund.give(line.key, part)
            left -= part
        return amount - left

    def _lack(self, line: KnownLine, refund: Refund) -> int:
        given = self._given(line.key, refund)
        if line.naming is not None:
            return self._has(line) - given
        goods = sum(amount for key, amount in refund.given.items() if key not in self._certificates)
        given += self._goods_back.get(line.key, 0)
        return min(self._goods_has(line) - given, self._all_goods_have() - self._back.goods - goods)

    def _goods_has(self, line: KnownLine) -> int:
        """What goods have of the unallocated money is theirs in lineId order."""
        left = self.filled.goods_unallocated if line.is_in_total else self.filled.gone_goods_unallocated
        for one in self._claims.goods:
            if one.is_in_total == line.is_in_total:
                part = min(left, self._claims.lack(one))
                if one.key == line.key:
                    return self._claims.money.of(line) + part
                left -= part
        return 0

    def _all_goods_have(self) -> int:
        money = self._claims.money
        certificates = sum(self._has(line) for line in self._claims.certificates)
        return money.total - money.allocated.get(None, 0) - certificates

    def _settle(self, refund: Refund) -> None:
        """Add up what the refund gave; it may show that money was another line's, or that there is more of it."""
        is_short = False
        for key, amount in refund.given.items():
            if key not in self._certificates:
                self._back.goods += amount
                self._goods_back[key] = self._goods_back.get(key, 0) + amount
                continue
            said = min(amount, refund.said.get(key, 0))
            self._back.of[key] = self._back.of.get(key, 0) + amount
            self._back.said[key] = self._back.said.get(key, 0) + said
            if amount > said:
                self._back.inferred_at.setdefault(key, refund.newest.captures_before)
            is_short = is_short or self._back.of[key] > self._has(self._order.lines[key - 1])
        if self.filled.has_rest or is_short or self._back.goods > self._all_goods_have():
            self.filled = fill(self._claims, self._back)

    # All money is back (rule 1) ---------------------------------------------------------------------

    def give_all_back(self, refunds: list[Refund]) -> None:
        """Each line got back what was captured for it, however the refunds were allocated, and nothing counts twice."""
        last = refunds[-1]
        last.give_said()
        owed = {line.key: self._has(line) for line in self._claims.certificates}
        for refund in refunds:
            refund.given, refund.rest, planned = {}, 0, refund.given
            for key in owed:
                self._move(refund, key, refund.pinned.get(key, 0), owed)
            for key in owed:
                more = planned.get(key, 0) - refund.pinned.get(key, 0)
                self._move(refund, key, min(more, owed[key], _free(refund)), owed)
        for refund in reversed(refunds):
            for key in owed:
                self._move(refund, key, min(owed[key], _free(refund)), owed)
        self._sum_up(refunds)

    def _move(self, refund: Refund, key: int, amount: int, owed: dict[int, int]) -> None:
        refund.give(key, amount)
        owed[key] -= max(0, amount)

    def _sum_up(self, refunds: list[Refund]) -> None:
        self._back.of.clear()
        for refund in refunds:
            for key, amount in refund.given.items():
                self._back.of[key] = self._back.of.get(key, 0) + amount
        all_back = sum(refund.amount for refund in refunds)
        self._back.goods = all_back - sum(self._back.of.values())

    # Rule 6 -----------------------------------------------------------------------------------------

    def candidates(self, refund: Refund) -> tuple[int, ...]:
        """Return the lines that the rest of a refund may mean.

        Before its capture is known a refund may still mean a line, so the price counts until then. What no line can take
        is of the last one: that of which persons spoke last, else by lineId, which then has more back than was captured.
        """
        if refund.rest == 0:
            return ()
        lines = self._claims.certificates
        open_to = [line for line in lines if line.key not in refund.decided]
        lacking = [line for line in open_to if self._lacks_money(line)]
        if lacking:
            return tuple(line.key for line in lacking)
        if refund.decided:
            return (next(reversed(refund.decided)),)
        if open_to:
            last = open_to[-1].key
            refund.give(last, refund.rest)
            self._back.of[last] = self._back.of.get(last, 0) + refund.rest
            refund.rest = 0
        return ()

    def _lacks_money(self, line: KnownLine) -> bool:
        return max(line.price, self._has(line)) > self._back.of.get(line.key, 0)


def _free(refund: Refund) -> int:
    return max(0, refund.amount - sum(refund.given.values()))


# Other currencies ---------------------------------------------------------------------------------


def foreign_parts(order: Order) -> Iterator[tuple[int, RefundPart, int]]:
    """Yield refunds in another currency than the order's, less what gives back a foreign capture of that payment."""
    taken: dict[tuple[str, str], int] = {}
    for capture in order.captures:
        if capture.currency != order.currency:
            of = (capture.payment_id, capture.currency)
            taken[of] = taken.get(of, 0) + capture.amount
    for place, part in enumerate(order.refunds):
        if order.currency is None or part.currency == order.currency:
            continue
        of = (part.payment_id, part.currency)
        settled = min(part.amount, taken.get(of, 0))
        taken[of] = taken.get(of, 0) - settled
        if part.amount > settled:
            yield place, part, part.amount - settled


def spread_foreign(order: Order, refunds: list[Refund]) -> list[tuple[int, ...]]:
    """Give foreign refunds to the lines that they name or persons named; return what lines the rests may mean."""
    certificates = [line for line in order.lines if line.naming is not None]
    found: list[tuple[int, ...]] = []
    for refund in refunds:
        left = refund.give_said()
        if len(order.lines) == 1 and certificates and not refund.decided:
            refund.give(certificates[0].key, left)
            left = 0
        refund.rest = left
        open_to = tuple(line.key for line in certificates if line.key not in refund.decided)
        last = (next(reversed(refund.decided)),) if refund.decided else ()
        found.append((open_to or last) if left else ())
    return found


@dataclass(frozen=True, slots=True)
class OrderMoney:
    """All money of an order: what was captured for which line, and what of it is back."""

    claims: Claims
    bearers: Bearers
    refunded: RefundedMoney
    foreign: list[Refund]
    foreign_candidates: list[tuple[int, ...]]


def money_of(order: Order, counted: Mapping[int, CountedMoney]) -> OrderMoney:
    """Return how the money of an order stands; ``counted`` stays with the lines it was counted for."""
    bearers = Bearers(order)
    claims = Claims(order, CapturedMoney(order, bearers))
    foreign = refunds_of(order, foreign_parts(order), bearers, counted)
    foreign_candidates = spread_foreign(order, foreign)
    own = (
        (place, part, part.amount)
        for place, part in enumerate(order.refunds)
        if order.currency is None or part.currency == order.currency
    )
    back = GivenBack(unknown_worth=frozenset(key for refund in foreign for key in refund.given))
    refunded = spread_refunds(order, claims, refunds_of(order, own, bearers, counted), back)
    return OrderMoney(claims, bearers, refunded, foreign, foreign_candidates)
