"""Refunds of an order: what parts under one refundId add up to, and what is said of their lines."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from giftcert.domain.order.lines import Bearers
from giftcert.domain.order.standing import CountedMoney
from giftcert.domain.order.state import Order, RefundPart


@dataclass(slots=True)
class Refund:
    """All parts under one refundId and currency.

    ``said`` is what they, or persons (``decided``), give to which line by its key, ``for_nobody`` what is for lineIds
    that no line ever bore; ``counted`` was counted for lines already. ``occurred_at`` is that of the earliest part;
    ``newest`` is the part told last, ``place`` its place in the topic. ``given`` is what it gives back of which line,
    ``rest`` what must be certificate money, but nobody knows whose.
    """

    refund_id: str
    currency: str
    occurred_at: datetime
    newest: RefundPart
    place: int
    payment_ids: set[str] = field(default_factory=set)
    amount: int = 0
    for_nobody: int = 0
    said: dict[int, int] = field(default_factory=dict)
    decided: dict[int, int] = field(default_factory=dict)
    counted: dict[int, int] = field(default_factory=dict)
    given: dict[int, int] = field(default_factory=dict)
    rest: int = 0

    @property
    def unassigned(self) -> int:
        """What of it is given to no line."""
        return max(0, self.amount - sum(self.given.values()))

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
                self.said[key] = self.said.get(key, 0) + counts

    def said_given(self, key: int) -> int:
        """Return what of that which is said to be a line's is given to it."""
        return min(self.given.get(key, 0), self.said.get(key, 0))

    def give(self, key: int, amount: int) -> None:
        """Give so much of the refund to a line."""
        if amount > 0:
            self.given[key] = self.given.get(key, 0) + amount

    def give_what_is_said(self) -> int:
        """Give to each line what is said, then what else was counted of the refund for it; return what is left."""
        self.given = {}
        left = self.amount
        for key, amount in self.said.items():
            self.give(key, min(left, amount))
            left -= min(left, amount)
        left = max(0, left - self.for_nobody)
        for key, amount in self.counted.items():
            more = max(0, min(left, amount - self.given.get(key, 0)))
            self.give(key, more)
            left -= more
        return left

    def keep_counted(self) -> None:
        """What was counted for a line stays with it, though others are said to have it: it was, when all was back."""
        for key, amount in self.counted.items():
            self.give(key, amount - self.given.get(key, 0))
        too_much = sum(self.given.values()) + self.rest - self.amount
        if too_much > 0:
            cut = min(too_much, self.rest)
            self.rest -= cut
            too_much -= cut
            for key, amount in self.given.items():
                cut = max(0, min(too_much, amount - self.counted.get(key, 0)))
                self.given[key] -= cut
                too_much -= cut


Parts = Iterable[tuple[int, RefundPart, int]]
"""Parts of refunds, each with its place in the topic and how much of it gives money of the order back."""


def own_parts(order: Order) -> Parts:
    """Return the parts in the order's currency; while that is not known, all."""
    return [
        (place, part, part.amount)
        for place, part in enumerate(order.refunds)
        if order.currency is None or part.currency == order.currency
    ]


def refunds_of(
    order: Order, parts: Parts, bearers: Bearers, counted: Mapping[int, CountedMoney]
) -> list[Refund]:
    """Return the refunds that parts add up to, in the order in which they were first told.

    Args:
        order: the order.
        parts: the parts to look at.
        bearers: which lines allocations mean.
        counted: what closed cases counted, by line key: it stays with those lines.
    """
    found: dict[tuple[str, str], Refund] = {}
    for place, part, amount in parts:
        of = (part.refund_id, part.currency)
        if of not in found:
            found[of] = Refund(*of, part.cause.occurred_at, part, place)
        found[of].add(part, place, bearers.amounts(part.allocations, part.cause.occurred_at), amount)
    if found:
        _add_what_persons_say(order, found)
        for of, key, amount in _counted(counted):
            if of in found:
                found[of].counted[key] = found[of].counted.get(key, 0) + amount
    return list(found.values())


def _add_what_persons_say(order: Order, refunds: Mapping[tuple[str, str], Refund]) -> None:
    for share in order.shares:
        refund = refunds.get((share.refund_id, share.currency))
        if refund is not None:
            refund.decided[share.line_key] = share.amount
            refund.said[share.line_key] = refund.said.get(share.line_key, 0) + share.amount


def _counted(counted: Mapping[int, CountedMoney]) -> Iterator[tuple[tuple[str, str], int, int]]:
    for key, money in counted.items():
        for refund_id, currency, amount in money.refunds:
            if amount > 0:
                yield (refund_id, currency), key, amount
