"""Refunds of an order: what the parts under one refundId add up to, and which lines they or persons name."""

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
    """All parts under one refundId and currency; amounts of lines by line key."""

    refund_id: str
    currency: str
    occurred_at: datetime  # of the earliest part
    newest: RefundPart  # the part that came last
    place: int  # of that part in the topic
    payment_ids: set[str] = field(default_factory=set)
    amount: int = 0
    for_nobody: int = 0  # allocated to lineIds that no line ever bore
    said: Counter[int] = field(default_factory=Counter)  # given to a line by allocation or by a person
    decided: dict[int, int] = field(default_factory=dict)  # by persons alone
    counted: Counter[int] = field(default_factory=Counter)  # by closed cases
    given: Counter[int] = field(default_factory=Counter)  # what it gives back of each line
    rest: int = 0  # certificate money that may mean any of the candidates
    candidates: tuple[int, ...] = ()

    def add(self, part: RefundPart, place: int, parts: Mapping[int | None, int], amount: int) -> None:
        """Add a part; ``amount`` is what of it gives money back, and its allocations count up to that."""
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
        """Return what the line was given of that which is said to be its own."""
        return min(self.given[key], self.said[key])

    def give(self, key: int, amount: int) -> None:
        """Give an amount to a line; one below 0 is nothing."""
        if amount > 0:
            self.given[key] += amount

    def give_what_is_said(self) -> None:
        """Give to each line what is said, then what else was counted for it."""
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
        """What was counted for a line stays with it, even where others are said to have it."""
        for key, amount in self.counted.items():
            self.give(key, amount - self.given[key])
        too_much = self.given.total() - self.amount
        for key, amount in self.given.items():
            cut = max(0, min(too_much, amount - self.counted[key]))
            self.given[key] -= cut
            too_much -= cut


def refunds_of(order: Order, bearers: Bearers, counted: Mapping[int, CountedMoney]) -> list[Refund]:
    """Return the refunds in the order in which they first came; what is said or counted is given to lines."""
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
            if refund := found.get((refund_id, currency)):
                refund.counted[key] += amount
    for refund in found.values():
        refund.give_what_is_said()
    return list(found.values())
