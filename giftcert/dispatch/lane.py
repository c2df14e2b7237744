"""A lane carries out one shard after another: claim, publish, mark, commit."""

import asyncio

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from giftcert.clock import utc_now
from giftcert.contracts.envelope import StoredEvent
from giftcert.dispatch import metrics
from giftcert.dispatch.doorbell import Doorbell
from giftcert.dispatch.publisher import Publisher, PublishError
from giftcert.dispatch.trouble import DATABASE_ERRORS, Trouble
from giftcert.storage.outbox import OutboxRepository
from giftcert.telemetry import Health

WINDOW = 500
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0

_log = structlog.get_logger(__name__)


class Lane:
    """Works on shards until it is told to stop; after a failure it begins again at the first unmarked event."""

    def __init__(
        self, engine: AsyncEngine, publisher: Publisher, doorbell: Doorbell, trouble: Trouble, health: Health
    ) -> None:
        self._engine = engine
        self._publisher = publisher
        self._doorbell = doorbell
        self._trouble = trouble
        self._health = health
        self._pause = FIRST_PAUSE
        self._waits = False

    async def run(self) -> None:
        """Publish what waits, then wait for more, until the doorbell says that it is over."""
        try:
            while not self._doorbell.over:
                if not await self._attempt():
                    await self._doorbell.heard()
        finally:
            await self._publisher.drop()

    async def _attempt(self) -> bool:
        """Do one cycle; return whether it found work. A failure is waited out."""
        try:
            found = await self.cycle()
        except PublishError as error:
            metrics.FAILURES.labels("kafka").inc()
            await self._failed("Kafka", error)
        except DATABASE_ERRORS as error:
            metrics.FAILURES.labels("postgresql").inc()
            await self._failed("PostgreSQL", error)
        else:
            self._recovered()
            return found
        return True

    async def cycle(self) -> bool:
        """Publish the next window of one shard; return whether there was one."""
        async with self._engine.begin() as connection:
            events = await self._claimed(connection)
            if not events:
                return False
            await self._publisher.publish(events)
            await OutboxRepository(connection).mark_published([event.event_id for event in events])
        self._published(events)
        return True

    async def _claimed(self, connection: AsyncConnection) -> list[StoredEvent]:
        outbox = OutboxRepository(connection)
        shard = await outbox.claim_shard()
        return [] if shard is None else await outbox.window(shard, WINDOW)

    def _published(self, events: list[StoredEvent]) -> None:
        self._trouble.over()
        now = utc_now()
        metrics.PUBLISHED.inc(len(events))
        for event in events:
            metrics.LAG.observe((now - event.recorded_at).total_seconds())

    def _recovered(self) -> None:
        self._pause = FIRST_PAUSE
        if self._waits:
            self._waits = False
            self._health.ready()

    async def _failed(self, part: str, error: Exception) -> None:
        _log.warning("dispatch begins again", part=part, error=str(error))
        self._waits = True
        self._health.waits_for(part)
        if isinstance(error, PublishError):
            await self._tell(error)
        await asyncio.sleep(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    async def _tell(self, error: PublishError) -> None:
        try:
            await self._trouble.goes_on(error)
        except DATABASE_ERRORS as failure:
            _log.warning("trouble could not be recorded", error=str(failure))
