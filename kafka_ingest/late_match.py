"""Late-match recheck: what a new order, or the erasure of a client, may have missed at the instant of its commit.

A payment's transaction that did not see a new order took its id before the order was committed; so did a transaction
that stored a recipient and did not see the erasure. The fence, an id given after that commit, is above it. Once all ids
below the fence have ended, one more look sees all that there is.
"""

import asyncio
from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.clock import Clock, utc_now
from giftcert.storage import ingest_fences
from giftcert.storage.clients import ClientRepository
from giftcert.storage.orders import OrderRepository
from giftcert.temporal.signals import Wake
from kafka_ingest import metrics
from kafka_ingest.outages import OutageReport
from kafka_ingest.transaction import IngestRules, recheck

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
IDLE_SECONDS = 2.0
"""How often to look for what another process left, when this one has nothing new."""
AT_ONCE = 1_000
PART = "late-match recheck"


class LateMatch:
    """Looks again at orders and erased clients that any process has committed."""

    def __init__(
        self,
        engine: AsyncEngine,
        rules: IngestRules,
        send: Callable[[list[Wake]], None],
        clock: Clock = utc_now,
    ) -> None:
        self._engine = engine
        self._rules = rules
        self._send = send
        self._clock = clock
        self._something_new = asyncio.Event()

    def something_new(self) -> None:
        """Say that this process has stored new orders, or erased clients."""
        self._something_new.set()

    async def run(self, outages: OutageReport) -> None:
        """Look again for ever, soon after something new, ever less often while anything stays open."""
        pause = FIRST_PAUSE
        while True:
            self._something_new.clear()
            try:
                open_still = await self.round()
            except Exception as error:  # noqa: BLE001 - what is to be looked at stays flagged, and holds the marks back
                await outages.goes_on(PART, error)
                open_still = True
            else:
                outages.over(PART)
            pause = min(2 * pause, LONGEST_PAUSE) if open_still else FIRST_PAUSE
            await self._wait(pause if open_still else IDLE_SECONDS)

    async def round(self) -> bool:
        """Set fences, look once at what has one, end what can be ended; return whether anything is left."""
        async with self._engine.begin() as connection:
            await OrderRepository(connection).set_fences(AT_ONCE)
            await ClientRepository(connection).set_erasure_fences(AT_ONCE)
        orders_left = await self._orders()
        async with self._engine.begin() as connection:
            oldest_open = await ingest_fences.oldest_open(connection)
            clients_left = await ClientRepository(connection).erase_recipients(AT_ONCE, oldest_open)
        metrics.RECHECKED.set(orders_left or clients_left)
        return orders_left or clients_left

    async def _orders(self) -> bool:
        wakes: list[Wake] = []
        async with self._engine.begin() as connection:
            orders = OrderRepository(connection)
            oldest_open = await ingest_fences.oldest_open(connection)  # before the look
            found = await orders.lock_rechecked(AT_ONCE)
            if found:
                wakes = await recheck(connection, found, self._rules, self._clock())
                await orders.end_recheck(list(found), oldest_open)
            left = await orders.any_rechecked()
        if wakes:
            self._send(wakes)
        return left

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._something_new.wait()
        except TimeoutError:
            return
