"""Where on the stream given events of one key stand: a bounded look into the key's partition."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

SKEW = timedelta(seconds=30)
"""How far the clocks of PostgreSQL and of the dispatchers may lie apart."""
LONGEST_WAIT = timedelta(minutes=10)
"""An event is looked for that long after it was recorded; one that waited longer in the outbox is not found."""
MOST_RECORDS = 200_000
PATIENCE_SECONDS = 15.0
_ASK_MILLISECONDS = 500


class StreamAwayError(Exception):
    """The stream cannot be read; the message says why in a few words."""


@dataclass(frozen=True, slots=True)
class Sought:
    """An event that is published, and when it was recorded."""

    event_id: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """Where a record stands on the stream."""

    partition: int
    offset: int


class _Named(msgspec.Struct, rename="camel"):
    event_id: str


_NAMED: msgspec.json.Decoder[_Named] = msgspec.json.Decoder(_Named)


async def find_positions(
    options: dict[str, Any],
    topic: str,
    key: str,
    sought: Sequence[Sought],
    patience: float = PATIENCE_SECONDS,
) -> dict[str, StreamPosition]:
    """Return the first position of each event that is found, by event id.

    Only the partition that the key belongs to is read, only from the times at which the events were recorded, and at
    most ``MOST_RECORDS`` of it: an event published before the topic was given more partitions is not found.

    Args:
        options: how to reach Kafka, see ``connection_options``.
        topic: the stream.
        key: of the events, their certificate id.
        sought: the events.
        patience: seconds after which what was found so far is all.

    Raises:
        StreamAwayError: Kafka does not answer, or has no such topic.
    """
    found: dict[str, StreamPosition] = {}
    if not sought:
        return found
    try:
        async with asyncio.timeout(patience):
            partition = await _partition(options, topic, key)
            async with AIOKafkaConsumer(**options, enable_auto_commit=False) as consumer:
                await _Search(consumer, partition, key, found).run(sought)
    except TimeoutError:
        if not found:
            raise StreamAwayError("no answer in time") from None
    except (KafkaError, OSError) as error:
        raise StreamAwayError(type(error).__name__) from error
    return found


async def _partition(options: dict[str, Any], topic: str, key: str) -> TopicPartition:
    """The partition that our producers choose for the key."""
    admin = AIOKafkaAdminClient(**options)
    try:
        await admin.start()
        [answer] = await admin.describe_topics([topic])
    finally:
        await admin.close()
    partitions = sorted(one["partition"] for one in answer["partitions"])
    if not partitions:
        raise StreamAwayError(f"there is no topic {topic}")
    return TopicPartition(topic, DefaultPartitioner()(key.encode(), partitions, partitions))


class _Search:
    """One look into one partition."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        partition: TopicPartition,
        key: str,
        found: dict[str, StreamPosition],
    ) -> None:
        self._consumer = consumer
        self._partition = partition
        self._key = key.encode()
        self._found = found
        self._left = MOST_RECORDS

    async def run(self, sought: Sequence[Sought]) -> None:
        """Read around the events' times until all are found or the bound is reached."""
        self._consumer.assign([self._partition])
        begins = (await self._consumer.beginning_offsets([self._partition]))[self._partition]
        ends = (await self._consumer.end_offsets([self._partition]))[self._partition]
        for since, until, event_ids in _windows(sought):
            first = await self._offset_at(since)
            if first is None:  # nothing so young; or a broker, as the in-memory one, that cannot tell
                first = begins if ends - begins <= self._left else ends
            last = await self._offset_at(until)
            await self._read(first, ends if last is None else last, event_ids)

    async def _offset_at(self, instant: datetime) -> int | None:
        milliseconds = int(instant.timestamp() * 1000)
        answer = (await self._consumer.offsets_for_times({self._partition: milliseconds}))[self._partition]
        return None if answer is None else int(answer.offset)

    async def _read(self, first: int, end: int, event_ids: set[str]) -> None:
        """Read from one offset up to another, until all these events are found."""
        self._consumer.seek(self._partition, first)
        while self._left > 0 and event_ids - self._found.keys():
            if await self._consumer.position(self._partition) >= end:
                return
            taken = await self._consumer.getmany(self._partition, timeout_ms=_ASK_MILLISECONDS)
            records = taken.get(self._partition, [])
            self._left -= len(records)
            for record in records:
                if record.key == self._key:
                    self._note(record.value, record.offset)

    def _note(self, value: bytes, offset: int) -> None:
        event_id = _NAMED.decode(value).event_id
        self._found.setdefault(event_id, StreamPosition(self._partition.partition, offset))


def _windows(sought: Iterable[Sought]) -> list[tuple[datetime, datetime, set[str]]]:
    """Return spans of time that together hold all events, those that touch made one."""
    windows: list[tuple[datetime, datetime, set[str]]] = []
    for one in sorted(sought, key=lambda one: one.recorded_at):
        since, until = one.recorded_at - SKEW, one.recorded_at + LONGEST_WAIT
        if windows and since <= windows[-1][1]:
            begun, ended, event_ids = windows.pop()
            windows.append((begun, max(ended, until), event_ids | {one.event_id}))
        else:
            windows.append((since, until, {one.event_id}))
    return windows
