"""Days of the tables that are dropped by day: made ahead here, dropped by a maintenance workflow."""

from datetime import date

from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.clock import Clock, utc_now
from giftcert.storage.day_partitions import make_days

DAYS_AHEAD = 7
EVERY_SECONDS = 3_600.0
PART = "days of payments and originals"


class DaysAhead:
    """Has a partition ready for each day (UTC) before it begins; meanwhile the default partition takes the rest."""

    def __init__(self, engine: AsyncEngine, clock: Clock = utc_now) -> None:
        self._engine = engine
        self._clock = clock

    async def work(self) -> float:
        """Make the days to come; return how many seconds to wait until it is to be done again."""
        await self.make(self._clock().date())
        return EVERY_SECONDS

    async def make(self, today: date) -> None:
        """Make the days from this one on."""
        for table in ("unmatched_payments", "inbox"):
            async with self._engine.begin() as connection:
                await make_days(connection, table, today, DAYS_AHEAD)
