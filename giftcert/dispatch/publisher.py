"""Publisher of shards: locks some, publishes their next window, deletes that from the outbox, commits."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import ClassVar

from prometheus_client import Counter, Histogram
from structlog.contextvars import bind_contextvars, unbind_contextvars

from giftcert.clock import utc_now
from giftcert.contracts.notices import Component, FailureReason, ProcessingFailed
from giftcert.contracts.stream import StoredEvent
from giftcert.dispatch.poller import Poller
from giftcert.dispatch.producer import PublishError, StreamProducer
from giftcert.domain.certificate.events import Issued
from giftcert.health import KAFKA, POSTGRESQL
from giftcert.outage_report import OutageReport
from giftcert.storage.database import DATABASE_ERRORS, Database
from giftcert.storage.outbox import OutboxRepository

WINDOW = 500
ISSUED = Issued.type
_NUMBERS = count(1)
SHARDS_AT_ONCE = 8
"""Of 32: what commits at about the same time lies in as many shards as it concerns certificates."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
PUBLISHED = Counter("giftcert_dispatch_published", "Events acknowledged by the stream")
LAG = Histogram(
    "giftcert_dispatch_lag_seconds",
    "From an event's commit to its acknowledgement",
    buckets=(0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300),
)
ISSUE_SECONDS = Histogram(
    "giftcert_issue_seconds",
    "From the capture that paid for a certificate, by the payment's clock, to issue.completed on the stream",
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600),
)


@dataclass(slots=True, kw_only=True)
class DispatchOutages(OutageReport):
    """Publishes why the stream stood still."""

    failures: ClassVar = Counter("giftcert_dispatch_failures", "Cycles that failed and began again", ["part"])
    topic: str

    def notice(self, part: str, kind: str) -> ProcessingFailed:  # noqa: ARG002 - whatever it was
        """Say that nothing is published."""
        reason, component = FailureReason.PUBLISHING_FAILS, Component.DISPATCH
        return ProcessingFailed(topic=self.topic, reason=reason, detail=kind, component=component)


@dataclass(slots=True)
class ShardPublisher:
    """Publishes shards until it is stopped; after a failure it begins again at the first event that waits."""

    database: Database
    producer: StreamProducer
    poller: Poller
    outages: OutageReport
    _pause: float = field(default=FIRST_PAUSE, init=False)
    _name: str = field(default_factory=lambda: f"publisher {next(_NUMBERS)}", init=False)

    async def run(self) -> None:
        """Publish what waits, then wait for more, until the poller says that it is over."""
        try:
            while not self.poller.over:
                async with self.poller.work():
                    self._beat()
                    while await self._attempt():
                        self._beat()
                self.outages.health.rest(self._name)
        finally:
            await self.producer.drop()

    async def _attempt(self) -> bool:
        """Do one cycle, or wait out its failure; return whether there is more to do."""
        if self.poller.over:
            return False
        try:
            more = await self.cycle()
        except PublishError as error:
            await self._failed(KAFKA, error.__cause__ or error)
        except DATABASE_ERRORS as error:
            await self._failed(POSTGRESQL, error)
        else:
            self._pause = FIRST_PAUSE
            return more
        return True

    def _beat(self) -> None:
        self.outages.health.beat(self._name)

    async def cycle(self) -> bool:
        """Publish the next window of some shards; return whether more may wait, in these or others."""
        async with self.database.transaction() as connection:
            outbox = OutboxRepository(connection)
            # After a failure one by one, so that what cannot be published holds up its own shard alone.
            shards = SHARDS_AT_ONCE if self._pause == FIRST_PAUSE else 1
            window = await outbox.lock_window(WINDOW, shards)
            if window is None:
                return False
            if window.more_wait:
                self.poller.offer_work()
            for event in window.events[:1]:  # others may have published all of it meanwhile
                bind_contextvars(event_id=str(event.event_id))  # where it stands still, should it
            await outbox.delete(window, await self.producer.publish(window.events))
            unbind_contextvars("event_id")
        self.outages.over(KAFKA)
        self.outages.over(POSTGRESQL)
        _measure(window.events)
        return window.more_wait

    async def _failed(self, part: str, error: BaseException) -> None:
        await self.outages.goes_on(part, error)
        await asyncio.sleep(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)


def _measure(published: Sequence[StoredEvent]) -> None:
    now = utc_now()
    PUBLISHED.inc(len(published))
    for event in published:
        LAG.observe((now - event.recorded_at).total_seconds())
        if event.event_type == ISSUED:
            ISSUE_SECONDS.observe((now - event.occurred_at).total_seconds())
