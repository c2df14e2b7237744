"""Which lines does a refund mean? Rules 1 to 6 of "Refunds" in the lifecycle, as one pure function.

Computed over all messages of the order and anew at each, so every certificate of the order gets the same answer.
"""

from dataclasses import dataclass, field
from datetime import datetime

from giftcert.domain import orders
from giftcert.domain.messages import Line
from giftcert.domain.state import OrderFacts, Payment


@dataclass(slots=True)
class RefundShares:
    """How the refunded money of an order spreads over its lines, in minor units of the order's currency.

    ``unassigned`` must be certificate money, but of which line nobody said; it may be any of ``candidates``.
    """

    by_line: dict[str, int] = field(default_factory=dict)
    goods: int = 0
    unassigned: int = 0
    candidates: tuple[str, ...] = ()

    def of(self, line_id: str) -> int:
        """Return the money back that means a line."""
        return self.by_line.get(line_id, 0)

    def may_mean(self, line_id: str) -> bool:
        """Return whether unassigned money may be that of a line."""
        return self.unassigned > 0 and line_id in self.candidates


def refund_shares(facts: OrderFacts) -> RefundShares:
    """Return which lines the order's refunds mean, refunds in another currency left out."""
    refunds = orders.in_order_currency(facts, orders.refunds(facts))
    whole = _whole_order(facts, refunds)
    return whole or _Spread(facts, refunds).result()


def has_foreign_refund(facts: OrderFacts, line_id: str) -> bool:
    """Return whether a refund in another currency may mean the line: allocated to it, or allocated to none."""
    known = orders.in_order_currency(facts, orders.refunds(facts))
    foreign = (one for one in orders.refunds(facts) if one not in known)
    return any(
        not one.allocations or any(part.line_id == line_id for part in one.allocations) for one in foreign
    )


def refund_ids(facts: OrderFacts, line_id: str) -> tuple[str, ...]:
    """Return the refunds that may mean a line: those allocated to it and those allocated to no line."""
    return tuple(
        one.refund_id or ""
        for one in orders.refunds(facts)
        if not one.allocations or any(part.line_id == line_id for part in one.allocations)
    )


def _whole_order(facts: OrderFacts, refunds: tuple[Payment, ...]) -> RefundShares | None:
    """Rule 2: refunds that together equal all captures mean every line, whole."""
    captured = orders.captured_sum(facts)
    if captured == 0 or sum(one.amount for one in refunds) != captured:
        return None
    lines = orders.all_lines(facts)
    by_line = {line.line_id: orders.captured_for_line(facts, line.line_id) for line in lines}
    for line in lines:  # an allocation says more than the total does
        by_line[line.line_id] = max(by_line[line.line_id], orders.allocated_sum(refunds, line.line_id))
    goods = sum(by_line[line.line_id] for line in lines if not line.is_certificate)
    return RefundShares(by_line=by_line, goods=goods)


class _Spread:
    """Rules 1 and 3 to 6, refund by refund in the order of their topic."""

    def __init__(self, facts: OrderFacts, refunds: tuple[Payment, ...]) -> None:
        self.facts = facts
        self.refunds = refunds
        self.shares = RefundShares()
        self.lines = orders.all_lines(facts)
        self.goods_money = orders.captured_sum(facts) - orders.certificate_amounts(facts)
        self.withdrawn_at = orders.first_withdrawal_at(facts)

    def result(self) -> RefundShares:
        for refund in self.refunds:
            self._allocate(refund)
        for refund in self.refunds:
            left = refund.amount - sum(part.amount for part in refund.allocations)
            if left > 0:
                self._spread(left, refund.occurred_at)
        self.shares.candidates = tuple(
            line.line_id for line in self.lines if self._lacks_certificate_money(line)
        )
        return self.shares

    def _allocate(self, refund: Payment) -> None:
        """Rule 1: allocated refunds go to their lines."""
        for part in refund.allocations:
            self._give(part.line_id, part.amount)

    def _spread(self, left: int, occurred_at: datetime) -> None:
        before_any_withdrawal = self.withdrawn_at is None or occurred_at < self.withdrawn_at
        if before_any_withdrawal and self._fits_goods(left):  # rule 3
            self.shares.goods += left
            return
        for line in self.lines:  # rule 4
            share = min(left, self._lack_of_withdrawn(line))
            if share:
                self._give(line.line_id, share)
                left -= share
        if left and self._fits_goods(left):  # rule 5
            self.shares.goods += left
        else:  # rule 6
            self.shares.unassigned += left

    def _fits_goods(self, amount: int) -> bool:
        return amount <= self.goods_money - self.shares.goods

    def _give(self, line_id: str, amount: int) -> None:
        self.shares.by_line[line_id] = self.shares.of(line_id) + amount
        line = next((one for one in self.lines if one.line_id == line_id), None)
        if line is not None and not line.is_certificate:
            self.shares.goods += amount

    def _lack_of_withdrawn(self, line: Line) -> int:
        if orders.withdrawal_of(self.facts, line.line_id) is None:
            return 0
        owed = orders.captured_for_line(self.facts, line.line_id) if line.is_certificate else line.amount
        return max(0, owed - self.shares.of(line.line_id))

    def _lacks_certificate_money(self, line: Line) -> bool:
        """Before its capture is known a refund may still mean the line, so the price counts until then."""
        owed = max(line.amount, orders.captured_for_line(self.facts, line.line_id))
        return line.is_certificate and owed > self.shares.of(line.line_id)
