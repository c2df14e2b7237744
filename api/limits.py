"""How many unordered reservations a caller may hold."""

import time
from collections import defaultdict
from dataclasses import dataclass

from giftcert.storage.database import Database
from giftcert.storage.reservations import ReservationRepository

FRESH_SECONDS = 1.0
ALWAYS_ALLOWED = 100  # reservations of one product: as many as one call may ask for


@dataclass(slots=True)
class _Count:
    live: int = 0
    pool: int = 0  # what is free of it, and what the caller holds
    read_at: float = float("-inf")

    def is_fresh(self) -> bool:
        """Return whether it was read lately; if not, it will have been."""
        now = time.monotonic()
        if now - self.read_at <= FRESH_SECONDS:
            return True
        self.read_at = now
        return False


class ReservationCap:
    """Compares with counts at most a second old, plus what this process has given since (ADR 28).

    Counting at each claim would cost more than the claim. Several processes may exceed the cap by what they give in a
    second: it guards against a runaway caller, not against one certificate too many.
    """

    def __init__(self, database: Database, cap: int, share: float) -> None:
        self._database = database
        self._cap = cap
        self._share = share
        self._all: defaultdict[str, _Count] = defaultdict(_Count)
        self._of_product: defaultdict[tuple[str, str], _Count] = defaultdict(_Count)

    async def allows(self, caller: str, product: str, quantity: int) -> bool:
        """Return whether the caller would stay within the cap, and within its share of the product's pool."""
        count = self._all[caller]
        if not count.is_fresh():
            async with self._database.connection() as connection:
                count.live = await ReservationRepository(connection).live_of(caller)
        if count.live + quantity > self._cap:
            return False
        if self._share == 1 or count.live + quantity <= ALWAYS_ALLOWED:
            return True
        return await self._within_share(caller, product, quantity)

    def add(self, caller: str, product: str, quantity: int) -> None:
        """Count what was just given."""
        self._all[caller].live += quantity
        self._of_product[caller, product].live += quantity

    async def _within_share(self, caller: str, product: str, quantity: int) -> bool:
        """Compare with the pool without what others hold: several callers in turn leave something too."""
        count = self._of_product[caller, product]
        if not count.is_fresh():
            most = int(self._cap / self._share)  # nobody's share is larger than the cap
            async with self._database.connection() as connection:
                count.live, free = await ReservationRepository(connection).share_of(caller, product, most)
            count.pool = count.live + free
        return count.live + quantity <= max(ALWAYS_ALLOWED, self._share * count.pool)
