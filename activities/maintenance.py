"""Activities of the scheduled workflows."""

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.sweeping import RELEASE_LAPSED_RESERVATIONS
from giftcert.clock import utc_now
from giftcert.storage.reservations import ReservationRepository

BATCH = 500


class MaintenanceActivities:
    """Maintenance on one process's connections; each activity may run twice without harm."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @activity.defn(name=RELEASE_LAPSED_RESERVATIONS)
    async def release_lapsed_reservations(self) -> int:
        """Give one batch of lapsed reservations back to the pool; return how many went."""
        async with self._engine.begin() as connection:
            return await ReservationRepository(connection).release_lapsed(BATCH, utc_now())
