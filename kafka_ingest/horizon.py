"""The days of unmatched payments, made ahead; a maintenance workflow drops them whole after the horizon."""

import asyncio
from datetime import date

from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.clock import utc_now
from giftcert.storage.unmatched_payments import UnmatchedPaymentRepository
from kafka_ingest.trouble import Trouble

DAYS_AHEAD = 7
EVERY_SECONDS = 3_600.0
RETRY_SECONDS = 30.0
PART = "days of unmatched payments"


class Horizon:
    """Has a partition ready for each day (UTC) before it begins."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def run(self, trouble: Trouble) -> None:
        """Do it every hour, sooner after a failure; meanwhile the default partition takes what has no day."""
        while True:
            try:
                await self.keep_up(utc_now().date())
            except Exception as error:  # noqa: BLE001 - whatever it is, the next round tries again
                await trouble.goes_on(PART, error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                trouble.over(PART)
                await asyncio.sleep(EVERY_SECONDS)

    async def keep_up(self, today: date) -> None:
        """Make the days to come."""
        async with self._engine.begin() as connection:
            await UnmatchedPaymentRepository(connection).make_days(today, DAYS_AHEAD)
