"""Late-match recheck: what a new order, or the erasure of a client, may have missed at the instant of its commit.

A payment's transaction that did not see a new order took its id before the order was committed; so did a transaction
that stored a recipient and did not see the erasure. The fence, an id given after that commit, is above it. Once all ids
below the fence have ended, one more look sees all that there is.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from prometheus_client import Gauge

from giftcert.clock import Clock, utc_now
from giftcert.storage import ingest_fences
from giftcert.storage.database import Database
from giftcert.storage.erasures import ErasureRepository
from giftcert.storage.orders import OrderRepository
from giftcert.temporal.signals import Wake
from kafka_ingest.transaction import BatchTransaction, IngestRules

PAUSE_SECONDS = 0.5
"""Between two rounds, so that what many batches stored is looked at in one: few miss each other."""
IDLE_SECONDS = 2.0
"""How often to look for what another process left, when this one has nothing new."""
AT_ONCE = 1_000
PART = "late-match recheck"
_OPEN = Gauge(
    "giftcert_ingest_rechecks", "1 while a new order or an erased client is still to be looked at again"
)


@dataclass(frozen=True, slots=True)
class LateMatch:
    """Looks again at orders and erased clients that any process has committed; ``something_new``: this one has."""

    database: Database
    rules: IngestRules
    send: Callable[[list[Wake]], None]
    clock: Clock = utc_now
    something_new: asyncio.Event = field(default_factory=asyncio.Event)

    async def work(self) -> float:
        """Look again; where nothing is left, wait for something new."""
        self.something_new.clear()
        if not await self.round():
            with suppress(TimeoutError):
                async with asyncio.timeout(IDLE_SECONDS):
                    await self.something_new.wait()
        return PAUSE_SECONDS

    async def round(self) -> bool:
        """Set fences, look once at what has one, end what can be ended; return whether anything is left."""
        async with self.database.transaction() as connection:
            await OrderRepository(connection).set_fences(AT_ONCE)
            await ErasureRepository(connection).set_fences(AT_ONCE)
        wakes: list[Wake] = []
        async with self.database.transaction() as connection:
            orders = OrderRepository(connection)
            oldest_open = await ingest_fences.oldest_open(connection)  # before the look
            if found := await orders.lock_rechecked(AT_ONCE):
                wakes = await BatchTransaction(connection, self.rules, self.clock()).recheck(found)
                await orders.end_recheck(list(found), oldest_open)
            orders_left = await orders.any_rechecked()
            clients_left = await ErasureRepository(connection).are_any()
        if wakes:
            self.send(wakes)
        if clients_left:
            async with self.database.transaction() as connection:
                oldest_open = await ingest_fences.oldest_open(connection)
                clients_left = await ErasureRepository(connection).erase_recipients(AT_ONCE, oldest_open)
        _OPEN.set(orders_left or clients_left)
        return orders_left or clients_left
