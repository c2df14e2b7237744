"""How often a caller may call, and how many unordered reservations it may hold."""

import math
import time

from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from sqlalchemy.ext.asyncio import AsyncEngine

from api import problems
from giftcert.storage.reservations import ReservationRepository

FRESH_SECONDS = 1.0
RETRY_AFTER = 10


class CallLimit:
    """A limit of so many calls in a moving window, counted by this process alone."""

    def __init__(self, rate: str, problem: problems.Problem) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._rate = parse(rate)
        self._problem = problem

    async def hit(self, who: str) -> None:
        """Count one call.

        Raises:
            ProblemError: 429, with the time after which it may come again.
        """
        if await self._limiter.hit(self._rate, who):
            return
        window = await self._limiter.get_window_stats(self._rate, who)
        wait = max(1, math.ceil(window.reset_time - time.time()))
        raise problems.ProblemError(self._problem, retry_after=wait)


class _Count:
    def __init__(self) -> None:
        self.live = 0
        self.read_at = float("-inf")


class ReservationCap:
    """Compares with a count at most a second old plus what this process has given since.

    Counting at each claim would cost more than the claim. So several processes together may exceed the cap by
    what they give in a second; it guards against a runaway caller, not against one certificate too many.
    """

    def __init__(self, engine: AsyncEngine, cap: int) -> None:
        self._engine = engine
        self._cap = cap
        self._counts: dict[str, _Count] = {}

    async def check(self, caller: str, quantity: int) -> None:
        """Let a claim go on if the caller would stay within the cap.

        Raises:
            ProblemError: 429.
        """
        count = self._counts.setdefault(caller, _Count())
        now = time.monotonic()
        if now - count.read_at > FRESH_SECONDS:
            count.read_at = now
            async with self._engine.connect() as connection:
                count.live = await ReservationRepository(connection).live_of(caller)
        if count.live + quantity > self._cap:
            raise problems.ProblemError(problems.TOO_MANY_RESERVATIONS, retry_after=RETRY_AFTER)

    def add(self, caller: str, quantity: int) -> None:
        """Count what was just given."""
        self._counts.setdefault(caller, _Count()).live += quantity
