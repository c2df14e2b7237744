"""``GiftCertificates.Stream`` as verification reads it: its configuration, and all records up to where it ends now."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from confluent_kafka.admin import AdminClient

from giftcert.contracts.stream import StoredEvent, decode_event, digest_of
from giftcert.kafka_connection import librdkafka_options, started_consumer
from giftcert.requirements.topics import STREAM_CONFIGURATION, configuration_of, deviations, is_in_memory
from giftcert.settings import Settings
from giftcert.storage.verification.checks import Rule
from giftcert.storage.verification.session import Session, StreamRow
from giftcert.verification.pace import Pace
from giftcert.verification.secrets import SecretWatch
from giftcert.verification.violations import Findings

STREAM_FORGETS = Rule(5, "streamForgets", "topic")
NO_EVENT = Rule(6, "noEvent", "event")
AT_ONCE = 4_000
SKEW = timedelta(minutes=5)
"""How far the clocks of PostgreSQL and of the dispatchers may lie apart."""
# From the first record, so that what is fetched at once is what is wanted; the long wait for more helps nobody here.
_READING = {"auto_offset_reset": "earliest", "max_partition_fetch_bytes": 4 << 20, "fetch_max_wait_ms": 100}
_ASK_MILLISECONDS = 1_000
_ANSWER_SECONDS = 10
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class StreamMissingError(Exception):
    """There is no such topic."""


def stream_deviations(admin: AdminClient, stream: str) -> dict[str, str]:
    """Return the configuration values in which the stream is not as it must be.

    Raises:
        KafkaException: Kafka does not answer, or has no such topic.
    """
    return deviations(configuration_of(admin, stream), STREAM_CONFIGURATION)


async def look_at_topic(settings: Settings, findings: Findings) -> None:
    """Compare the configuration of the stream with what it must be; a broker in memory cannot say it.

    Raises:
        StreamMissingError: there is no such topic.
        KafkaException: Kafka does not answer.
    """
    admin, stream = AdminClient(librdkafka_options(settings)), settings.topic_stream
    # All are listed: to name one that does not exist may make it.
    cluster = await asyncio.to_thread(admin.list_topics, timeout=_ANSWER_SECONDS)
    if stream not in cluster.topics:
        raise StreamMissingError(f"there is no topic {stream}: `giftcert setup` makes it")
    if is_in_memory(cluster):
        findings.unchecked.append("the configuration of the stream: the broker in memory has none")
        return
    for name, value in (await asyncio.to_thread(stream_deviations, admin, stream)).items():
        expected = f"{name}={STREAM_CONFIGURATION[name]}"
        findings.add(STREAM_FORGETS.broken(stream, name, expected, f"{name}={value}"))


async def read_stream(
    options: dict[str, Any],
    topic: str,
    take: Callable[[Sequence[ConsumerRecord], int], Awaitable[None]],
    most: int | None = None,
) -> datetime | None:
    """Give ``take`` all records, each partition's in order, and how many there are; or the latest, about ``most``.

    Returns:
        After which instant nothing was left out; ``None``: nothing was left out at all.

    Raises:
        KafkaError: Kafka does not answer.
    """
    async with started_consumer(topic, **options, **_READING) as consumer:
        partitions = sorted(consumer.assignment())
        begins = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        share = max(ends.values()) if most is None else -(-most // len(partitions))
        spans = {one: range(max(begins[one], ends[one] - share), ends[one]) for one in partitions}
        skipped = [one for one in partitions if spans[one].start > begins[one]]
        for one in skipped:
            consumer.seek(one, spans[one].start)
        latest_first = await _read(consumer, spans, take)
    return datetime.fromtimestamp(latest_first / 1000, UTC) + SKEW if skipped else None


async def _read(
    consumer: AIOKafkaConsumer,
    spans: dict[TopicPartition, range],
    take: Callable[[Sequence[ConsumerRecord], int], Awaitable[None]],
) -> int:
    """Return the latest of the timestamps with which the partitions begin."""
    total = sum(map(len, spans.values()))
    first_at: dict[TopicPartition, int] = {}
    left = {partition for partition, span in spans.items() if span}
    while left:
        taken = await consumer.getmany(*left, timeout_ms=_ASK_MILLISECONDS, max_records=AT_ONCE)
        for partition, records in taken.items():
            first_at.setdefault(partition, records[0].timestamp)
            await take([one for one in records if one.offset < spans[partition].stop], total)
        left = {one for one in left if await consumer.position(one) < spans[one].stop}
    return max(first_at.values(), default=0)


@dataclass(slots=True, kw_only=True)
class StreamIndex:
    """Takes records into the session's table; of a sample only the ``wanted`` and what is about no certificate."""

    session: Session
    secrets: SecretWatch
    findings: Findings
    pace: Pace
    wanted: Collection[str] | None
    progress: Callable[[int, int], None]
    done: int = 0

    async def take(self, records: Sequence[ConsumerRecord], total: int) -> None:
        """Take in what each record says of whom, and what in it could be a secret."""
        rows = []
        for record in records:
            if row := self._row(record):
                rows.append(row)
            await self.pace.pause()
        await self.session.add_published(rows)
        await self.secrets.flush()
        self.findings.check(len(records), 7)
        self.done += len(records)
        self.progress(self.done, total)
        await self.pace.pause()

    def _row(self, record: ConsumerRecord) -> StreamRow | None:
        place = f"{record.topic}-{record.partition}"
        self.secrets.look(record.value or b"", "event", place, f"offset {record.offset}")
        try:
            event = decode_event(record.key, record.value)
        except (msgspec.DecodeError, UnicodeDecodeError):
            event = None
        if event is None or not _has_ids(event):
            expected = f"an event of ours at offset {record.offset}"
            self.findings.add(NO_EVENT.broken(place, str(record.offset), expected, "something else"))
            return None
        if event.certificate_id is None:
            return event.event_id, 0, digest_of(event)
        if self.wanted is not None and event.certificate_id not in self.wanted:
            return None
        return event.certificate_id, event.sequence or 0, digest_of(event)


def _has_ids(event: StoredEvent) -> bool:
    """Whether the ids are such as we make, and a certificate's event has a number."""
    if _UUID.fullmatch(event.event_id) is None:
        return False
    if event.certificate_id is None:
        return True
    return event.sequence is not None and _UUID.fullmatch(event.certificate_id) is not None
