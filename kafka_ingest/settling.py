"""Newly mapped orders are looked at again until no payment can have missed their mapping."""

import asyncio
from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.security.keyring import Keyring
from giftcert.storage import ingest_fences
from giftcert.storage.deliveries import UnsentDelivery
from giftcert.storage.orders import OrderRepository
from kafka_ingest import metrics
from kafka_ingest.correlation import settle
from kafka_ingest.lookups import look_up_settling
from kafka_ingest.topics import Topics
from kafka_ingest.trouble import Trouble
from kafka_ingest.writing import write

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
IDLE_SECONDS = 2.0
"""How often to look for orders that another process left, when this one has mapped none."""
AT_ONCE = 1_000
PART = "settling of orders"


class Settling:
    """Rechecks orders that any process mapped.

    A payment's transaction that did not see a mapping took its id before the mapping was committed. The fence, an id
    given after that commit, is above it. Once all ids below the fence have ended, one more look sees all there is.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        topics: Topics,
        keyring: Keyring,
        hand_over: Callable[[list[UnsentDelivery]], None],
    ) -> None:
        self._engine = engine
        self._topics = topics
        self._keyring = keyring
        self._hand_over = hand_over
        self._mapped = asyncio.Event()

    def mapped(self) -> None:
        """Say that this process has mapped orders."""
        self._mapped.set()

    async def run(self, trouble: Trouble) -> None:
        """Look again for ever, soon after a mapping, ever less often while an order stays open."""
        pause = FIRST_PAUSE
        while True:
            self._mapped.clear()
            try:
                unsettled = await self.round()
            except Exception as error:  # noqa: BLE001 - the orders stay flagged, which holds the marks back
                await trouble.goes_on(PART, error)
                unsettled = True
            else:
                trouble.over(PART)
            pause = min(2 * pause, LONGEST_PAUSE) if unsettled else FIRST_PAUSE
            await self._wait(pause if unsettled else IDLE_SECONDS)

    async def round(self) -> bool:
        """Set fences, look once at what has one, settle what can be; return whether any order is left."""
        async with self._engine.begin() as connection:
            await OrderRepository(connection).set_fences(AT_ONCE)
        async with self._engine.begin() as connection:
            orders = OrderRepository(connection)
            oldest_open = await ingest_fences.oldest_open(connection)  # before the look
            found = await orders.lock_settling(AT_ONCE)
            if found:
                waited, known = await look_up_settling(connection, found)
                plan = settle(found.values(), waited, known, self._topics)
                unsent = await write(connection, plan, self._keyring)
                await orders.settle(list(found), oldest_open)
            left = await orders.any_unsettled()
        metrics.UNSETTLED.set(left)
        if found:
            self._hand_over(unsent)
        return left

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._mapped.wait()
        except TimeoutError:
            return
