"""Publisher of shards: locks some, publishes their next window, deletes that from the outbox, commits."""

import asyncio
from datetime import timedelta

import structlog

from giftcert.clock import utc_now
from giftcert.contracts.notices import ProcessingFailed, about_input
from giftcert.dispatch import metrics
from giftcert.dispatch.poller import Poller
from giftcert.dispatch.producer import PublishError, StreamProducer
from giftcert.storage.database import DATABASE_ERRORS, Database
from giftcert.storage.events import EventRepository
from giftcert.storage.outbox import OutboxRepository
from giftcert.telemetry import Health

WINDOW = 500
SHARDS_AT_ONCE = 8
"""Of 32: what commits at about the same time lies in as many shards as it concerns certificates."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
PATIENCE, REPORTED_EVERY = timedelta(seconds=10), timedelta(minutes=1)
"""How long publishing fails before it is reported on the stream itself, and how often while it goes on."""

_log = structlog.get_logger(__name__)


class OutageReport:
    """Counts how long publishing has failed, for all publishers of a process; all processes report once a minute.

    So readers of the stream learn why it stood still.
    """

    def __init__(self, database: Database, topic: str, patience: timedelta = PATIENCE) -> None:
        self._database = database
        self._topic = topic
        self._patience = patience.total_seconds()
        self._since: float | None = None

    def over(self) -> None:
        """A window was published."""
        self._since = None

    async def goes_on(self, error: Exception) -> None:
        """Publishing failed once more; report it when that has lasted."""
        now = asyncio.get_running_loop().time()
        if self._since is None:
            self._since = now
        if now - self._since < self._patience:
            return
        try:
            await self._report(error)
        except DATABASE_ERRORS as failure:
            _log.warning("the outage could not be reported", error=str(failure))

    async def _report(self, error: Exception) -> None:
        detail = type(error.__cause__ or error).__name__
        notice = ProcessingFailed(
            topic=self._topic, reason="publishingFails", detail=detail, component="dispatch"
        )
        now = utc_now()
        async with self._database.transaction() as connection:
            events = EventRepository(connection)
            if await events.append_once(self._topic, about_input(notice, now), now - REPORTED_EVERY):
                _log.error("publishing keeps failing", error=str(error))


class ShardPublisher:
    """Works on shards until it is told to stop; after a failure it begins again at the first event that waits."""

    def __init__(
        self,
        database: Database,
        producer: StreamProducer,
        poller: Poller,
        outage: OutageReport,
        health: Health,
    ) -> None:
        self._database = database
        self._producer = producer
        self._poller = poller
        self._outage = outage
        self._health = health
        self._pause = FIRST_PAUSE
        self._waits = False

    async def run(self) -> None:
        """Publish what waits, then wait for more, until the poller says that it is over."""
        try:
            while not self._poller.over:
                async with self._poller.work():
                    await self._publish_all()
        finally:
            await self._producer.drop()

    async def _publish_all(self) -> None:
        while not self._poller.over and await self._attempt():
            pass

    async def _attempt(self) -> bool:
        """Do one cycle; return whether there is more to do. A failure is waited out."""
        try:
            more = await self.cycle()
        except PublishError as error:
            metrics.FAILURES.labels("kafka").inc()
            await self._failed("Kafka", error)
        except DATABASE_ERRORS as error:
            metrics.FAILURES.labels("postgresql").inc()
            await self._failed("PostgreSQL", error)
        else:
            self._recovered()
            return more
        return True

    async def cycle(self) -> bool:
        """Publish the next window of some shards; return whether more may wait, in these or others."""
        async with self._database.transaction() as connection:
            outbox = OutboxRepository(connection)
            # After a failure one by one, so that what cannot be published holds up its own shard alone.
            window = await outbox.lock_window(WINDOW, 1 if self._waits else SHARDS_AT_ONCE)
            if window is None:
                return False
            if window.more_wait:
                self._poller.offer_work()
            await self._producer.publish(window.events)
            await outbox.delete(window)
        self._outage.over()
        metrics.PUBLISHED.inc(len(window.events))
        for event in window.events:
            metrics.LAG.observe((utc_now() - event.recorded_at).total_seconds())
        return window.more_wait

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
            await self._outage.goes_on(error)
        await asyncio.sleep(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
