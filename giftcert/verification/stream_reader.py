"""Reader of ``GiftCertificates.Stream``: from its beginning to where it ends now."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

AT_ONCE = 4_000
_ASK_MILLISECONDS = 1_000
# From the first record, so that what is fetched at once is what is wanted; the long wait for more helps nobody here.
_READING = {"auto_offset_reset": "earliest", "max_partition_fetch_bytes": 4 << 20, "fetch_max_wait_ms": 100}
SKEW = timedelta(minutes=5)
"""How far the clocks of PostgreSQL and of the dispatchers may lie apart."""


class StreamMissingError(Exception):
    """There is no such topic."""


@dataclass(frozen=True, slots=True)
class _Span:
    first: int
    end: int


class StreamReading:
    """One reading of the topic: ``total`` records, of which ``batches`` yields all."""

    def __init__(
        self, consumer: AIOKafkaConsumer, spans: dict[TopicPartition, _Span], *, whole: bool
    ) -> None:
        self._consumer = consumer
        self._spans = spans
        self._whole = whole
        self._first_at: dict[TopicPartition, int] = {}
        self.total = sum(span.end - span.first for span in spans.values())

    @property
    def complete_since(self) -> datetime | None:
        """After which instant nothing was left out; ``None``: nothing was left out at all. Known when all is read."""
        if self._whole:
            return None
        latest = max(self._first_at.values(), default=0)
        return datetime.fromtimestamp(latest / 1000, UTC) + SKEW

    async def batches(self) -> AsyncIterator[Sequence[ConsumerRecord]]:
        """Yield the records, each partition's in order."""
        left = {one: span for one, span in self._spans.items() if span.first < span.end}
        while left:
            taken = await self._consumer.getmany(*left, timeout_ms=_ASK_MILLISECONDS, max_records=AT_ONCE)
            for partition, records in taken.items():
                if records:
                    self._first_at.setdefault(partition, records[0].timestamp)
                yield [one for one in records if one.offset < self._spans[partition].end]
            for partition in list(left):
                if await self._consumer.position(partition) >= left[partition].end:
                    del left[partition]


@asynccontextmanager
async def reading_stream(
    options: dict[str, Any], topic: str, most: int | None = None
) -> AsyncIterator[StreamReading]:
    """Open the stream at its beginning.

    Args:
        options: how to reach Kafka, see ``connection_options``.
        topic: the stream.
        most: read at most about so many records, the latest; ``None``: all.

    Raises:
        StreamMissingError: there is no such topic.
        KafkaError: Kafka does not answer.
    """
    await _require(options, topic)
    consumer = AIOKafkaConsumer(topic, **options, **_READING)
    await consumer.start()
    try:
        partitions = sorted(consumer.assignment())
        begins = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        share = None if most is None else -(-most // len(partitions))
        spans = {one: _Span(_first(begins[one], ends[one], share), ends[one]) for one in partitions}
        for one, span in spans.items():
            if span.first > begins[one]:
                consumer.seek(one, span.first)
        whole = all(span.first == begins[one] for one, span in spans.items())
        yield StreamReading(consumer, spans, whole=whole)
    finally:
        await consumer.stop()


def _first(begin: int, end: int, share: int | None) -> int:
    return begin if share is None else max(begin, end - share)


async def _require(options: dict[str, Any], topic: str) -> None:
    """Ask for the topic without naming it: to name one that does not exist may make it."""
    consumer = AIOKafkaConsumer(**options)
    await consumer.start()
    try:
        known = await consumer.topics()
    finally:
        await consumer.stop()
    if topic not in known:
        raise StreamMissingError(f"there is no topic {topic}: `giftcert setup` makes it")
