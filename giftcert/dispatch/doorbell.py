"""Notices that events wait. Looking is cheap; a NOTIFY in every writing transaction is not (ADR 0021)."""

import asyncio

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.clock import utc_now
from giftcert.dispatch import metrics
from giftcert.dispatch.trouble import DATABASE_ERRORS
from giftcert.storage.engine import driver_of
from giftcert.storage.outbox import OutboxRepository, has_unpublished
from giftcert.telemetry import Health

BUSY_SECONDS, IDLE_SECONDS = 0.005, 0.025
"""Between two looks while events come, and after ``CALM_SECONDS`` without any."""
CALM_SECONDS = 2.0
MEASURED_EVERY_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class Doorbell:
    """One look for all lanes of a process; it rings as long as something waits."""

    def __init__(self, engine: AsyncEngine, health: Health) -> None:
        self._engine = engine
        self._health = health
        self._ring = asyncio.Event()
        self._over = False
        self._last_rung = 0.0
        self._last_measured = 0.0

    @property
    def over(self) -> bool:
        """Whether the lanes shall end after what they are doing."""
        return self._over

    def end(self) -> None:
        """Let the lanes finish their cycle and end."""
        self._over = True
        self._ring.set()

    async def heard(self) -> None:
        """Wait until something may wait to be published, or all is over."""
        if not self._over:
            self._ring.clear()
            await self._ring.wait()

    async def watch(self) -> None:
        """Look until all is over."""
        while not self._over:
            try:
                await self._watch_connected()
            except DATABASE_ERRORS as error:
                _log.warning("cannot look for events", error=str(error))
                self._health.waits_for("PostgreSQL")
                await asyncio.sleep(1)

    async def _watch_connected(self) -> None:
        async with self._engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            driver = await driver_of(connection)
            self._health.ready()
            while not self._over:
                if await has_unpublished(driver):
                    self._last_rung = asyncio.get_running_loop().time()
                    self._ring.set()
                await self._measure(OutboxRepository(connection))
                await asyncio.sleep(self._interval())

    async def _measure(self, outbox: OutboxRepository) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._last_measured > MEASURED_EVERY_SECONDS:
            self._last_measured = now
            oldest = await outbox.oldest_unpublished()
            metrics.OLDEST.set((utc_now() - oldest).total_seconds() if oldest else 0)

    def _interval(self) -> float:
        calm = asyncio.get_running_loop().time() - self._last_rung > CALM_SECONDS
        return IDLE_SECONDS if calm else BUSY_SECONDS
