"""The days of unmatched payments: made ahead, dropped whole after the horizon."""

import asyncio
from datetime import date, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.clock import utc_now
from giftcert.storage.unmatched_payments import UnmatchedPaymentRepository
from kafka_ingest.trouble import Trouble

DAYS_AHEAD = 7
EVERY_SECONDS = 3_600.0
RETRY_SECONDS = 30.0
PART = "days of unmatched payments"

_log = structlog.get_logger(__name__)


class Horizon:
    """Keeps the partitions of a table in step with the calendar (UTC)."""

    def __init__(self, engine: AsyncEngine, kept_for: timedelta) -> None:
        self._engine = engine
        self._kept_for = kept_for

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
        """Make the days to come and drop those beyond the horizon."""
        async with self._engine.begin() as connection:
            await UnmatchedPaymentRepository(connection).make_days(today, DAYS_AHEAD)
        async with self._engine.begin() as connection:
            gone = await UnmatchedPaymentRepository(connection).drop_before(today - self._kept_for)
        if gone:
            _log.info("days of unmatched payments dropped", partitions=gone)
