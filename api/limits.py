"""How often a caller may call, and how many unordered reservations it may hold."""

import math
import time
from collections import defaultdict, deque
from dataclasses import dataclass

from api.problems import Problem, ProblemError
from giftcert.settings import rate_of
from giftcert.storage.database import Database
from giftcert.storage.reservations import ReservationRepository

FRESH_SECONDS = 1.0
FEWEST_REMEMBERED = 1_000
ALWAYS_ALLOWED = 100  # reservations of one product: as many as one call may ask for


class CallLimit:
    """A limit of so many calls in a moving window, counted by this process alone.

    The strategies of ``limits`` take a thread for each call, a tenth of a redemption.
    """

    def __init__(self, rate: str, problem: Problem) -> None:
        limit = rate_of(rate)
        self._most = limit.count
        self._window = limit.window.total_seconds()
        self._problem = problem
        self._calls: dict[str, deque[float]] = {}
        self._forget_at = FEWEST_REMEMBERED

    def hit(self, who: str) -> None:
        """Count one call, or refuse it (429) and say when it may come again."""
        now = time.monotonic()
        calls = self._calls.get(who)
        if calls is None:
            self._forget_idle(now)
            calls = self._calls[who] = deque(maxlen=self._most)
        if len(calls) == self._most and now < calls[0] + self._window:
            wait = max(1, math.ceil(calls[0] + self._window - now))
            raise ProblemError(self._problem, retry_after=wait)
        calls.append(now)

    def _forget_idle(self, now: float) -> None:
        if len(self._calls) < self._forget_at:
            return
        self._calls = {who: calls for who, calls in self._calls.items() if now < calls[-1] + self._window}
        self._forget_at = max(FEWEST_REMEMBERED, 2 * len(self._calls))


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
