"""How many unordered reservations a caller may hold."""

import time

from sqlalchemy.ext.asyncio import AsyncEngine

from api import problems
from giftcert.storage.reservations import ReservationRepository

FRESH_SECONDS = 1.0
RETRY_AFTER = 10


class _Known:
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
        self._known: dict[str, _Known] = {}

    async def check(self, caller: str, quantity: int) -> None:
        """Let a claim go on if the caller would stay within the cap.

        Raises:
            ProblemError: 429.
        """
        known = self._known.setdefault(caller, _Known())
        now = time.monotonic()
        if now - known.read_at > FRESH_SECONDS:
            known.read_at = now
            async with self._engine.connect() as connection:
                known.live = await ReservationRepository(connection).live_of(caller)
        if known.live + quantity > self._cap:
            raise problems.ProblemError(problems.TOO_MANY_RESERVATIONS, retry_after=RETRY_AFTER)

    def given(self, caller: str, quantity: int) -> None:
        """Add what was just given."""
        self._known.setdefault(caller, _Known()).live += quantity
