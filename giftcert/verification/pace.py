"""Pace of a verification: after each piece of work it rests, so that sales beside it are hardly slowed (ADR 42)."""

import asyncio
import time
from collections.abc import Awaitable, Callable

SLICE_SECONDS = 0.005
"""Of work, statements waited for included: so long a process that also leads workflows does nothing else."""
BESIDE_SALES = 1.0
"""Rest as long as the work took."""


class Pace:
    """Rests in proportion to the work since the last rest; by 0 it only lets others of the process have their turn."""

    def __init__(
        self,
        rest: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._rest, self._clock, self._sleep = rest, clock, sleep
        self._since = clock()

    async def pause(self) -> None:
        """Rest, if there was work enough since the last time."""
        worked = self._clock() - self._since
        if worked >= SLICE_SECONDS:
            await self._sleep(worked * self._rest)
            self._since = self._clock()
