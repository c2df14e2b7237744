"""Watermarks: for each partition, the instant of our clock up to which all of it is committed here."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from prometheus_client import Gauge

from giftcert.clock import Clock, utc_now
from giftcert.storage.database import Database
from giftcert.storage.marks import MarkRepository
from giftcert.storage.quarantine import Place

EVERY_SECONDS = 1.0
KAFKA_SECONDS = 5.0
PART = "watermarks"
_log = structlog.get_logger(__name__)
_LAG = Gauge(
    "giftcert_ingest_lag_records", "Records of a topic that this process has still to commit", ["topic"]
)
_LAG_SECONDS = Gauge(
    "giftcert_ingest_lag_seconds",
    "Since all that stood in a topic was committed here, at the partition that is furthest behind",
    ["topic"],
)


@dataclass(slots=True)
class Watermarks:
    """Reads the ends of the assigned partitions and, once everything below is committed, moves their marks."""

    consumer: AIOKafkaConsumer
    database: Database
    topics: Sequence[str]
    reached: Callable[[TopicPartition, int], int]
    wait_at: Callable[[Iterable[Place]], None]
    id_of: Callable[[str], Awaitable[str | None]]
    clock: Clock = utc_now
    _identified: set[TopicPartition] = field(default_factory=set, init=False)
    _ends: dict[TopicPartition, tuple[datetime, int]] = field(default_factory=dict, init=False)
    _reached: dict[TopicPartition, datetime] = field(default_factory=dict, init=False)

    async def work(self) -> float:
        """Move the marks, whether records come or not; return how many seconds to wait until the next look."""
        marks = await self._look()
        # All partitions of the topics, ours or not: one that nobody reads yet holds back too.
        partitions = [
            (topic, partition)
            for topic in self.topics
            for partition in self.consumer.partitions_for_topic(topic) or ()
        ]
        new = set(self.consumer.assignment()) - self._identified
        ids = {topic: await self._id(topic) for topic in sorted({one.topic for one in new})}
        known = [(*one, found) for one in sorted(new) if (found := ids[one.topic]) is not None]
        async with self.database.transaction() as connection:
            repository = MarkRepository(connection)
            await repository.register(sorted(partitions))
            made_anew = {TopicPartition(*one) for one in await repository.identify(known)}
            if made_anew:
                await self._begin_anew(made_anew)
            moved = [(*one, *mark) for one, mark in marks.items() if one not in made_anew]
            await repository.advance(moved)
        self._identified |= new
        return EVERY_SECONDS

    async def _id(self, topic: str) -> str | None:
        with suppress(LookupError):  # it has just been deleted
            return await self.id_of(topic)
        return None

    async def _begin_anew(self, partitions: set[TopicPartition]) -> None:
        """Read partitions of topics that were made anew from their beginning, wherever the group had been."""
        topics = sorted({one.topic for one in partitions})
        _log.error("topics were made anew: they are read from their beginning", topics=topics)
        begins = await self.consumer.beginning_offsets(partitions)
        for one, offset in begins.items():
            self.consumer.seek(one, offset)
            self._ends.pop(one, None)
        await self.consumer.commit(begins)

    async def _look(self) -> dict[TopicPartition, tuple[datetime, int]]:
        """Read the ends; return the marks of partitions that have reached the one that was last waited for.

        Each with the offset below which everything is committed.
        """
        assigned = self.consumer.assignment()
        at = self.clock()  # before the ends are read: what is written later is not below them
        async with asyncio.timeout(KAFKA_SECONDS):
            ends = await self.consumer.end_offsets(assigned) if assigned else {}
            reached = {one: self.reached(one, await self.consumer.position(one)) for one in ends}
        for topic in self.topics:
            behind = (end - reached[one] for one, end in ends.items() if one.topic == topic)
            _LAG.labels(topic).set(sum(max(0, left) for left in behind))
        self.wait_at([(*one, reached[one]) for one, end in ends.items() if reached[one] < end])
        self._ends = {one: self._ends.get(one, (at, end)) for one, end in ends.items()}
        # An end that moves back is of a topic that was cut short or made anew.
        self._identified &= {one for one, end in ends.items() if reached[one] <= end}
        marks = {one: (at, reached[one]) for one, (at, end) in self._ends.items() if reached[one] >= end}
        for one in marks:
            del self._ends[one]
        self._measure_seconds({one: at for one, (at, _) in marks.items()})
        return marks

    def _measure_seconds(self, marks: dict[TopicPartition, datetime]) -> None:
        now = self.clock()
        began = {one: at for one, (at, _) in self._ends.items()}
        self._reached = {one: self._reached.get(one, began[one]) for one in began} | marks
        for topic in self.topics:
            behind = [now - at for one, at in self._reached.items() if one.topic == topic]
            _LAG_SECONDS.labels(topic).set(max(behind, default=timedelta()).total_seconds())
