"""Refunds of an order: what parts under one refundId add up to, and what is said of their lines."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from giftcert.domain.order.foreign_money import settled_amounts
from giftcert.domain.order.lines import Bearers
from giftcert.domain.order.standing import CountedMoney
from giftcert.domain.order.state import Order, RefundPart


@dataclass(slots=True)
class Refund:
    """All parts under one refundId and currency.

    ``said`` is what they, or persons (``decided``), give to which line by its key, ``for_nobody`` what is for lineIds
    that no line ever bore; ``counted`` was counted for lines already. ``occurred_at`` is that of the earliest part;
    ``newest`` is the part told last, ``place`` its place in the topic. ``given`` is what it gives back of which line,
    ``rest`` what must be certificate money, but nobody knows of which of the ``candidates``.
    """

    refund_id: str
    currency: str
    occurred_at: datetime
    newest: RefundPart
    place: int
    payment_ids: set[str] = field(default_factory=set)
    amount: int = 0
    for_nobody: int = 0
    said: Counter[int] = field(default_factory=Counter)
    decided: dict[int, int] = field(default_factory=dict)
    counted: Counter[int] = field(default_factory=Counter)
    given: Counter[int] = field(default_factory=Counter)
    rest: int = 0
    candidates: tuple[int, ...] = ()

    def add(self, part: RefundPart, place: int, parts: Mapping[int | None, int], amount: int) -> None:
        """Add a part of which so much gives money back; no more than that counts of its allocations."""
        self.newest, self.place = part, place
        self.occurred_at = min(self.occurred_at, part.cause.occurred_at)
        self.payment_ids.add(part.payment_id)
        self.amount += amount
        for key, allocated in parts.items():
            counts = min(allocated, amount)
            amount -= counts
            if key is None:
                self.for_nobody += counts
            else:
                self.said[key] += counts

    def said_given(self, key: int) -> int:
        """Return what of that which is said to be a line's is given to it."""
        return min(self.given[key], self.said[key])

    def give(self, key: int, amount: int) -> None:
        """Give so much of the refund to a line."""
        if amount > 0:
            self.given[key] += amount

    def give_what_is_said(self) -> None:
        """Give to each line what is said, then what else was counted of the refund for it."""
        self.rest = self.amount
        for key, amount in self.said.items():
            self._give_of_rest(key, amount)
        self.rest = max(0, self.rest - self.for_nobody)
        for key, amount in self.counted.items():
            self._give_of_rest(key, amount - self.given[key])

    def _give_of_rest(self, key: int, amount: int) -> None:
        more = max(0, min(self.rest, amount))
        self.give(key, more)
        self.rest -= more

    def keep_counted(self) -> None:
        """What was counted for a line stays with it, though others are said to have it: it was, when all was back."""
        for key, amount in self.counted.items():
            self.give(key, amount - self.given[key])
        too_much = self.given.total() + self.rest - self.amount
        if too_much > 0:
            cut = min(too_much, self.rest)
            self.rest -= cut
            too_much -= cut
            for key, amount in self.given.items():
                cut = max(0, min(too_much, amount - self.counted[key]))
                self.given[key] -= cut
                too_much -= cut


def refunds_of(order: Order, bearers: Bearers, counted: Mapping[int, CountedMoney]) -> list[Refund]:
    """Return the refunds, in the order in which they were first told; what is said of them is given to the lines.

    Args:
        order: the order.
        bearers: which lines allocations mean.
        counted: what closed cases counted, by line key: it stays with those lines.
    """
    found: dict[tuple[str, str], Refund] = {}
    settled = settled_amounts(order, order.refunds, order.captures)
    for place, part in enumerate(order.refunds):
        of, amount = (part.refund_id, part.currency), part.amount - settled.get(place, 0)
        if place in settled and amount == 0:
            continue
        if of not in found:
            found[of] = Refund(*of, part.cause.occurred_at, part, place)
        found[of].add(part, place, bearers.amounts(part.allocations, part.cause.occurred_at), amount)
    for share in order.shares:
        if refund := found.get((share.refund_id, share.currency)):
            refund.decided[share.line_key] = share.amount
            refund.said[share.line_key] += share.amount
    for key, money in counted.items():
        for refund_id, currency, amount in money.refunds:
            if amount > 0 and (refund := found.get((refund_id, currency))):
                refund.counted[key] += amount
    for refund in found.values():
        refund.give_what_is_said()
    return list(found.values())
