"""The captures of an order in its currency, summed for lines."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from giftcert.domain.order.lines import Bearers
from giftcert.domain.order.state import KnownLine, Order

_NOTHING: Mapping[int | None, int] = {}


@dataclass(slots=True)
class Taken:
    """One capture: ``parts`` are its allocations by line key, ``None`` for lineIds that no line ever bore."""

    place: int
    by_certificate: bool
    unallocated: int
    parts: Mapping[int | None, int]


class CapturedMoney:
    """The captures of an order in its currency, in the order of their topic, and their sums.

    ``unallocated_until`` runs over ``taken``.
    """

    def __init__(self, order: Order, bearers: Bearers) -> None:
        self.taken: list[Taken] = []
        self.total = 0
        self.allocated: dict[int | None, int] = {}
        for place, capture in enumerate(order.captures):
            if order.currency is not None and capture.currency != order.currency:
                continue
            parts, free = _NOTHING, capture.amount
            if capture.allocations:
                parts = bearers.amounts(capture.allocations, capture.occurred_at)
                free = max(0, free - sum(parts.values()))
            self.taken.append(Taken(place, capture.by_certificate, free, parts))
            self.total += capture.amount
            for key, amount in parts.items():
                self.allocated[key] = self.allocated.get(key, 0) + amount
        self.unallocated_until = list(accumulate(one.unallocated for one in self.taken))

    @property
    def unallocated(self) -> int:
        """What is allocated to no line."""
        return self.unallocated_until[-1] if self.taken else 0

    @property
    def for_nobody(self) -> int:
        """What is allocated to lineIds that no line ever bore."""
        return self.allocated.get(None, 0)

    def of(self, line: KnownLine) -> int:
        """Return what is allocated to a line."""
        return self.allocated.get(line.key, 0)

    def unallocated_since(self, place: int) -> int:
        """Return the unallocated money of the captures from a place in their topic on."""
        before = bisect_left(self.taken, place, key=lambda one: one.place)
        return self.unallocated - (self.unallocated_until[before - 1] if before else 0)

    def reaching(self, unallocated: int) -> int:
        """Return the place of the capture that brings the unallocated money to an amount."""
        found = bisect_left(self.unallocated_until, unallocated)
        return self.taken[min(found, len(self.taken) - 1)].place
