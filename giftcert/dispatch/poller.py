"""Poller of the outbox: notices that events wait. Looking is cheap; a NOTIFY in every writing transaction is not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from prometheus_client import Gauge

from giftcert.clock import utc_now
from giftcert.health import KAFKA, POSTGRESQL
from giftcert.outage_report import OutageReport
from giftcert.storage import outbox
from giftcert.storage.database import DATABASE_ERRORS, Connection, Database

LOOKS = 50
"""Of the server, five milliseconds apart, before it answers that nothing waits."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.005, 0.025
"""Until the next look while something is being published, here or by others."""
MEASURED_EVERY_SECONDS = 5.0
RAISED_EVERY = 1_000
"""Positions after which the bounds of the shards are raised: a look passes over no more deleted rows than these."""
OLDEST = Gauge("giftcert_dispatch_oldest_unpublished_seconds", "Age of the event that waits longest")


@dataclass(slots=True)
class Poller:
    """Looks for all publishers of a process, and wakes one of them as long as something waits.

    ``over``: the publishers shall end after what they are doing.
    """

    database: Database
    outages: OutageReport
    over: bool = field(default=False, init=False)
    _work: asyncio.Queue[None] = field(default_factory=lambda: asyncio.Queue(maxsize=1), init=False)
    _at_work: int = field(default=0, init=False)
    _all_finished: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _watermark: outbox.Watermark = field(default_factory=outbox.Watermark, init=False)
    _empty_at: int = field(default=-1, init=False)
    _raised_to: int = field(default=0, init=False)
    _last_measured: float = field(default=0.0, init=False)

    def end(self) -> None:
        """Let the publishers finish their cycle and end."""
        self.over = True
        self.offer_work()

    def offer_work(self) -> None:
        """Wake one publisher that waits, now or as soon as one does."""
        if self._work.empty():
            self._work.put_nowait(None)

    @asynccontextmanager
    async def work(self) -> AsyncIterator[None]:
        """Wait until something may wait to be published, or all is over; what comes during the work is found after it.

        So events that commit in one cycle of another leave together in the next.
        """
        await self._work.get()
        if self.over:
            self.offer_work()  # to the next
        self._at_work += 1
        self._all_finished.clear()
        try:
            yield
        finally:
            self._at_work -= 1
            if not self._at_work:
                self._all_finished.set()

    async def poll(self) -> None:
        """Look until all is over."""
        while not self.over:
            try:
                async with self.database.connection() as connection:
                    self.outages.over(POSTGRESQL)
                    while not self.over:
                        await self._look(connection)
                        await self._raise_bounds(connection)
                        await self._measure(connection)
            except DATABASE_ERRORS as error:
                self.outages.health.beat("poller")
                await self.outages.goes_on(POSTGRESQL, error)
                await asyncio.sleep(1)

    async def _look(self, connection: Connection) -> None:
        self.outages.health.beat("poller")
        found = await outbox.look(connection, self._empty_at, LOOKS)
        self._watermark.observe(found)
        if found.event_waits:
            self.offer_work()
            await self._published()
        else:
            self.outages.over(KAFKA)  # perhaps another process published what we could not
            if self._watermark.position == found.last_position:
                self._empty_at = found.last_position
        ahead = found.last_position - self._watermark.position
        if not self._watermark.is_sought and (ahead >= RAISED_EVERY or (ahead and not found.event_waits)):
            self._watermark.seek(found.last_position, await outbox.next_transaction(connection))

    async def _raise_bounds(self, connection: Connection) -> None:
        if self._watermark.position >= self._raised_to + RAISED_EVERY:
            await outbox.raise_bounds(connection, self._watermark.position)
            self._raised_to = self._watermark.position

    async def _measure(self, connection: Connection) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._last_measured > MEASURED_EVERY_SECONDS:
            self._last_measured = now
            oldest = await outbox.oldest_waiting(connection)
            OLDEST.set((utc_now() - oldest).total_seconds() if oldest else 0)

    async def _published(self) -> None:
        """Wait until what is under way is published, but no longer than a while."""
        await asyncio.sleep(SHORTEST_PAUSE)
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_PAUSE - SHORTEST_PAUSE):
                await self._all_finished.wait()
