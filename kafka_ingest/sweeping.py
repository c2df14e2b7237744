"""The sweep: deliveries that a crash left unsent are sent by whoever finds them."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.storage.deliveries import DeliveryRepository
from kafka_ingest import metrics
from kafka_ingest.signalling import TEMPORAL, Signaller
from kafka_ingest.trouble import Trouble

EVERY_SECONDS = 1.0
OLD_SECONDS = 5.0
"""Younger ones are most likely in the memory of the process that committed them."""
WINDOW = 2_000
PART = "sweep of signals"


class Sweep:
    """Takes shards with left-over deliveries one after another and hands them to the signaller."""

    def __init__(self, engine: AsyncEngine, signaller: Signaller, trouble: Trouble) -> None:
        self._engine = engine
        self._signaller = signaller
        self._trouble = trouble

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            try:
                await self.round()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next round tries again
                await self._trouble.goes_on(PART, error)
            else:
                self._trouble.over(PART)
            await asyncio.sleep(EVERY_SECONDS)

    async def round(self, older_than_seconds: float = OLD_SECONDS) -> int:
        """Sweep every shard that needs it once, as far as the signaller has room; return how many were found."""
        found = 0
        while self._signaller.has_room and TEMPORAL not in self._trouble.parts:
            async with self._engine.begin() as connection:
                left = await DeliveryRepository(connection).claim_left_over(older_than_seconds, WINDOW)
            if not left:
                break
            found += len(left)
            self._signaller.take(left)
        async with self._engine.connect() as connection:
            metrics.UNSENT.set(await DeliveryRepository(connection).count_unsent())
        return found
