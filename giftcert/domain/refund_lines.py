"""Which lines does a refund mean? Rules 1 to 6 of "Refunds" in the lifecycle, as one pure function.

Computed over all messages of the order and anew at each, so every certificate of the order gets the same answer.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from giftcert.domain import line_money, orders
from giftcert.domain.messages import Line
from giftcert.domain.state import OrderFacts, Payment


@dataclass(frozen=True, slots=True)
class Share:
    """What one refund gives back of one line; ``line_id`` is ``None`` while nobody can say which line it means."""

    refund_id: str
    line_id: str | None
    amount: int


@dataclass(frozen=True, slots=True)
class ForeignMoney:
    """Money that came back in another currency than the order's, in minor units of the newest such currency.

    ``doubtful`` are the refunds that may as well mean another line: not allocated, and nobody said so.
    """

    amount: int
    currency: str
    doubtful: tuple[Share, ...] = ()

    @property
    def is_of_line(self) -> bool:
        """Whether it can mean no other line."""
        return not self.doubtful


@dataclass(slots=True)
class RefundShares:
    """How the refunded money of an order spreads over its lines, in minor units of the order's currency.

    What has no line must be certificate money; it may be any of ``candidates``, but not a line of which a person has
    said how much of the refund is its money (``decided``, as refund and line). ``of_whole_order`` says that all
    captured money is back.
    """

    shares: list[Share] = field(default_factory=list)
    goods: int = 0
    candidates: tuple[str, ...] = ()
    decided: frozenset[tuple[str, str]] = frozenset()
    of_whole_order: bool = False

    def of(self, line_id: str | None, besides: Collection[str] = ()) -> int:
        """Return the money back that means a line, leaving some refunds out."""
        return sum(
            share.amount
            for share in self.shares
            if share.line_id == line_id and share.refund_id not in besides
        )

    def unassigned_for(self, line_id: str, besides: Collection[str] = ()) -> int:
        """Return the money back that may be that of a line, but nobody said so."""
        return sum(share.amount for share in self.unassigned(line_id) if share.refund_id not in besides)

    def unassigned(self, line_id: str) -> tuple[Share, ...]:
        """Return what of which refunds may mean a line, but nobody said so."""
        if line_id not in self.candidates:
            return ()
        return tuple(
            share
            for share in self.shares
            if share.line_id is None and (share.refund_id, line_id) not in self.decided
        )

    def paying(self, line_id: str) -> frozenset[str]:
        """Return the refunds that brought money of a line back."""
        return frozenset(one.refund_id for one in self.shares if one.line_id == line_id and one.amount > 0)

    def refund_ids(self, line_id: str, *, known: bool = False) -> tuple[str, ...]:
        """Return the refunds that mean a line, or may mean it unless only the ``known`` are asked for.

        They are in the order of their topic.
        """
        may_mean = () if known else self.unassigned(line_id)
        found = (share for share in self.shares if share.line_id == line_id or share in may_mean)
        return tuple(dict.fromkeys(share.refund_id for share in found))


def refund_shares(facts: OrderFacts) -> RefundShares:
    """Return which lines the order's refunds mean, refunds in another currency left out."""
    refunds = line_money.in_order_currency(facts, line_money.refunds(facts))
    if not refunds:  # as nearly always; the rest looks at each line in the light of all others
        return RefundShares()
    whole = _whole_order(facts, refunds)
    return whole or _Spread(facts, refunds).result()


def foreign_refund_ids(facts: OrderFacts, line_id: str) -> tuple[str, ...]:
    """Return refunds in another currency that may mean the line: allocated to it, or allocated to none."""
    return tuple(map(_id, _foreign_refunds(facts, line_id)))


def foreign_money(facts: OrderFacts, line_id: str, besides: Collection[str]) -> ForeignMoney | None:
    """Return what such refunds brought back, leaving some out; ``None`` if there is none."""
    told = tuple(one for one in _foreign_refunds(facts, line_id) if _id(one) not in besides)
    if not told:
        return None
    currency = told[-1].currency
    parts = (
        line_money.allocated_sum((one,), line_id) if one.allocations else one.amount
        for one in told
        if one.currency == currency
    )
    doubtful = tuple(
        Share(_id(one), None, one.amount) for one in told if not _means_only(facts, one, line_id)
    )
    return ForeignMoney(sum(parts), currency, doubtful)


def _foreign_refunds(facts: OrderFacts, line_id: str) -> tuple[Payment, ...]:
    known = line_money.in_order_currency(facts, line_money.refunds(facts))
    foreign = (one for one in line_money.refunds(facts) if one not in known)
    return tuple(one for one in foreign if _may_mean(facts, one, line_id))


def _may_mean(facts: OrderFacts, refund: Payment, line_id: str) -> bool:
    if refund.allocations:
        return any(part.line_id == line_id for part in refund.allocations)
    said = _said(facts, refund)
    is_elsewhere = any(amount > 0 for line, amount in said.items() if line != line_id)
    return said.get(line_id) != 0 and not is_elsewhere


def _means_only(facts: OrderFacts, refund: Payment, line_id: str) -> bool:
    """Of one that may mean the line: whether it can mean no other."""
    said = _said(facts, refund)
    others = (line.line_id for line in orders.all_lines(facts) if line.line_id != line_id)
    return bool(refund.allocations) or line_id in said or all(said.get(other) == 0 for other in others)


def _said(facts: OrderFacts, refund: Payment) -> dict[str, int]:
    """What persons said of a refund: for each line how much is its money."""
    return {one.line_id: one.amount for one in facts.assigned if one.refund_id == _id(refund)}


def _id(refund: Payment) -> str:
    return refund.refund_id or refund.key


def _whole_order(facts: OrderFacts, refunds: tuple[Payment, ...]) -> RefundShares | None:
    """Rule 2: refunds that together equal all captures mean every line, whole.

    Each line is told the latest refunds that may have brought its money; an allocation says more than the total.
    """
    captured = line_money.captured_sum(facts)
    if captured == 0 or sum(one.amount for one in refunds) != captured:
        return None
    shares: list[Share] = []
    for line in orders.all_lines(facts):
        shares += _whole_line(facts, refunds, line)
    goods = sum(share.amount for share in shares if _is_goods(facts, share.line_id))
    return RefundShares(shares=shares, goods=goods, of_whole_order=True)


def _whole_line(facts: OrderFacts, refunds: tuple[Payment, ...], line: Line) -> list[Share]:
    lacks = line_money.captured_for_line(facts, line.line_id)
    lacks -= line_money.allocated_sum(refunds, line.line_id)
    shares: list[Share] = []
    for refund in reversed(refunds):
        free, own = line_money.unallocated(refund), line_money.allocated_sum((refund,), line.line_id)
        part = min(max(0, lacks), free)
        lacks -= part
        if free or own:
            shares.insert(0, Share(_id(refund), line.line_id, part + own))
    return shares


def _is_goods(facts: OrderFacts, line_id: str | None) -> bool:
    return any(
        line.line_id == line_id and not line.is_certificate and line_id is not None
        for line in orders.all_lines(facts)
    )


class _Spread:
    """Rules 1 and 3 to 6, refund by refund in the order of their topic."""

    def __init__(self, facts: OrderFacts, refunds: tuple[Payment, ...]) -> None:
        self.facts = facts
        self.refunds = refunds
        self.answer = RefundShares(decided=frozenset((one.refund_id, one.line_id) for one in facts.assigned))
        self.lines = orders.all_lines(facts)
        self.withdrawn = {one.line.line_id: one for one in facts.withdrawn}
        self.goods_money = line_money.captured_sum(facts) - sum(
            self._certificate_money(line) for line in self.lines if line.is_certificate
        )

    def _certificate_money(self, line: Line) -> int:
        """What of the captures is not for goods: the price, or what was captured for a line that was withdrawn."""
        if line.line_id in self.withdrawn:
            return line_money.captured_for_line(self.facts, line.line_id)
        return line.amount

    def result(self) -> RefundShares:
        for refund in self.refunds:
            for part in refund.allocations:  # rule 1
                self._give(refund, part.line_id, part.amount)
        for refund in self.refunds:
            left = line_money.unallocated(refund) - self._give_assigned(refund)
            if left > 0:
                self._spread(refund, left)
        if any(share.line_id is None for share in self.answer.shares):
            self.answer.candidates = tuple(
                line.line_id for line in self.lines if self._lacks_certificate_money(line)
            )
        return self.answer

    def _give_assigned(self, refund: Payment) -> int:
        """What a person gave to lines is as good as allocated; return how much that is."""
        given = [one for one in self.facts.assigned if one.refund_id == _id(refund) and one.amount > 0]
        for one in given:
            self._give(refund, one.line_id, one.amount)
        return sum(one.amount for one in given)

    def _spread(self, refund: Payment, left: int) -> None:
        if not self._out_at(refund.occurred_at) and self._fits_goods(left):  # rule 3
            self.answer.goods += left
            return
        for line_id in self._withdrawn_in_turn(refund):  # rule 4
            share = min(left, self._lack_of_withdrawn(line_id))
            if share:
                self._give(refund, line_id, share)
                left -= share
        if self._fits_goods(left):  # rule 5
            self.answer.goods += left
        else:  # rule 6
            self.answer.shares.append(Share(_id(refund), None, left))

    def _out_at(self, at: datetime) -> set[str]:
        """Lines that were out of the order at an instant, also such as were put into it again."""
        withdrawn = {line_id for line_id, one in self.withdrawn.items() if one.at <= at}
        return withdrawn | {one.line_id for one in self.facts.absences if one.out_at <= at < one.back_at}

    def _withdrawn_in_turn(self, refund: Payment) -> list[str]:
        """Withdrawn lines in lineId order, but first those that were out of the order when the refund occurred.

        Otherwise a later return would take over the refund of an earlier one. What a person said of the refund and a
        line stands, also when the line is withdrawn afterwards.
        """
        out = self._out_at(refund.occurred_at)
        undecided = (
            line_id
            for line_id in {*self.withdrawn, *out}
            if (_id(refund), line_id) not in self.answer.decided
        )
        return sorted(undecided, key=lambda line_id: (line_id not in out, line_id))

    def _fits_goods(self, amount: int) -> bool:
        return amount == 0 or amount <= self.goods_money - self.answer.goods

    def _give(self, refund: Payment, line_id: str, amount: int) -> None:
        self.answer.shares.append(Share(_id(refund), line_id, amount))
        if _is_goods(self.facts, line_id):
            self.answer.goods += amount

    def _lack_of_withdrawn(self, line_id: str) -> int:
        owed = line_money.captured_for_line(self.facts, line_id)
        return max(0, owed - self.answer.of(line_id))

    def _lacks_certificate_money(self, line: Line) -> bool:
        """Before its capture is known a refund may still mean the line, so the price counts until then."""
        back = self.answer.of(line.line_id)
        return line.is_certificate and (
            line.amount > back or line_money.captured_for_line(self.facts, line.line_id) > back
        )
