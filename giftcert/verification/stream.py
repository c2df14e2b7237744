"""``GiftCertificates.Stream`` as a verification reads it: from its beginning to where it ends now."""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from giftcert.contracts.stream import StoredEvent, decode_event, digest_of
from giftcert.storage.verification.checks import Rule
from giftcert.storage.verification.session import PublishedRepository
from giftcert.verification.secrets import SecretWatch
from giftcert.verification.violations import Findings

AT_ONCE = 4_000
_ASK_MILLISECONDS = 1_000
# From the first record, so that what is fetched at once is what is wanted; the long wait for more helps nobody here.
_READING = {"auto_offset_reset": "earliest", "max_partition_fetch_bytes": 4 << 20, "fetch_max_wait_ms": 100}
SKEW = timedelta(minutes=5)
"""How far the clocks of PostgreSQL and of the dispatchers may lie apart."""
NO_EVENT = Rule(6, "noEvent", "event")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class StreamMissingError(Exception):
    """There is no such topic."""


class StreamReading:
    """One reading of the topic: ``total`` records, of which ``batches`` yields all."""

    def __init__(
        self, consumer: AIOKafkaConsumer, spans: dict[TopicPartition, range], *, whole: bool
    ) -> None:
        self._consumer = consumer
        self._spans = spans
        self._whole = whole
        self._first_at: dict[TopicPartition, int] = {}
        self.total = sum(map(len, spans.values()))

    @property
    def complete_since(self) -> datetime | None:
        """After which instant nothing was left out; ``None``: nothing was left out at all. Known when all is read."""
        if self._whole:
            return None
        latest = max(self._first_at.values(), default=0)
        return datetime.fromtimestamp(latest / 1000, UTC) + SKEW

    async def batches(self) -> AsyncIterator[Sequence[ConsumerRecord]]:
        """Yield the records, each partition's in order."""
        left = {partition for partition, span in self._spans.items() if span}
        while left:
            taken = await self._consumer.getmany(*left, timeout_ms=_ASK_MILLISECONDS, max_records=AT_ONCE)
            for partition, records in taken.items():
                if records:
                    self._first_at.setdefault(partition, records[0].timestamp)
                yield [one for one in records if one.offset < self._spans[partition].stop]
            for partition in list(left):
                if await self._consumer.position(partition) >= self._spans[partition].stop:
                    left.remove(partition)


@asynccontextmanager
async def reading_stream(
    options: dict[str, Any], topic: str, most: int | None = None
) -> AsyncIterator[StreamReading]:
    """Open the stream at its beginning; of it ``most`` records are read, the latest, or about so many.

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
        share = max(ends.values()) if most is None else -(-most // len(partitions))
        spans = {one: range(max(begins[one], ends[one] - share), ends[one]) for one in partitions}
        skipped = [one for one in partitions if spans[one].start > begins[one]]
        for one in skipped:
            consumer.seek(one, spans[one].start)
        yield StreamReading(consumer, spans, whole=not skipped)
    finally:
        await consumer.stop()


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamIndex:
    """Takes records into the session's table; of a sample only the ``wanted`` and what is about no certificate."""

    published: PublishedRepository
    secrets: SecretWatch
    findings: Findings
    wanted: set[bytes] | None

    async def take(self, reading: StreamReading, progress: Callable[[int, int], None]) -> None:
        """Take in what each record says of whom, and what in it could be a secret."""
        done = 0
        async for records in reading.batches():
            self.findings.check(len(records), 7)
            events = [(record, event) for record in records if (event := self._decoded(record))]
            await self.published.add(
                [
                    (event.certificate_id, event.sequence, event.event_id, digest_of(event))
                    for record, event in events
                    if self.wanted is None or event.certificate_id is None or record.key in self.wanted
                ]
            )
            await self.secrets.flush()
            done += len(records)
            progress(done, reading.total)

    def _decoded(self, record: ConsumerRecord) -> StoredEvent | None:
        place = f"{record.topic}-{record.partition}"
        self.secrets.look(record.value or b"", "event", place, f"offset {record.offset}")
        try:
            event = decode_event(record.key, record.value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            event = None
        if event is not None and _has_ids(event):
            return event
        expected = f"an event of ours at offset {record.offset}"
        self.findings.add(NO_EVENT.broken(place, str(record.offset), expected, "something else"))
        return None


def _has_ids(event: StoredEvent) -> bool:
    """Whether the ids are such as we make, and a certificate's event has a number."""
    if _UUID.fullmatch(event.event_id) is None:
        return False
    if event.certificate_id is None:
        return True
    return event.sequence is not None and _UUID.fullmatch(event.certificate_id) is not None
