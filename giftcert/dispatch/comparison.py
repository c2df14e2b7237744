"""Compares the database with the stream: whatever is on the stream must be recorded here (ADR 91).

Only what lies behind the last record that this database knows it has published has to be read, so as a rule nothing. It
may be more than nothing: a dispatcher that ended between an acknowledgement and its commit leaves records there, all of
them of events that are recorded. One that is not recorded is of a later life: the database is an older copy.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient

from giftcert.contracts.stream import decode_event
from giftcert.kafka_connection import connection_options, librdkafka_options, reach_kafka, started_consumer
from giftcert.plurals import counted
from giftcert.requirements.topics import is_in_memory
from giftcert.settings import Settings
from giftcert.storage.database import Connection
from giftcert.storage.stream_comparison import Reason, StreamComparisonRepository, StreamState

ANSWER_SECONDS = 5
AT_ONCE = 2_000
_ASK_MILLISECONDS = 500


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why database and stream do not belong together, in one line for people."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Stream:
    """The stream as Kafka has it; ``topic_id`` is ``None`` where the broker has none, as one in memory."""

    topic: str
    topic_id: str | None
    begins: Mapping[int, int]
    ends: Mapping[int, int]


async def topic_id(settings: Settings, topic: str) -> str | None:
    """Return the id that Kafka gave a topic when it was made, or ``None`` where it gives none.

    Raises:
        LookupError: there is no such topic.
        KafkaException: Kafka does not answer.
    """
    return await asyncio.to_thread(_topic_id, settings, topic)


def _topic_id(settings: Settings, topic: str) -> str | None:
    admin = AdminClient(librdkafka_options(settings))
    # All are listed: to name one that does not exist may make it.
    cluster = admin.list_topics(timeout=ANSWER_SECONDS)
    if topic not in cluster.topics:
        raise LookupError(topic)
    if is_in_memory(cluster):  # it would not even answer
        return None
    answer = admin.describe_topics(TopicCollection([topic]), request_timeout=ANSWER_SECONDS)
    return str(answer[topic].result().topic_id)


async def compare(settings: Settings, connection: Connection, state: StreamState) -> Mismatch | None:
    """Compare, and note that database and stream belong together, or return why they do not.

    Raises:
        KafkaError, KafkaException, OSError: Kafka does not answer.
    """
    await reach_kafka(settings)  # says at once where nothing answers, which clients take long to find out
    repository = StreamComparisonRepository(connection)
    topic = settings.topic_stream
    try:
        found_id = await topic_id(settings, topic)
    except LookupError:
        if not state.was_ever_compared:  # `giftcert setup` has still to make it
            raise TimeoutError from None
        return Mismatch(Reason.STREAM_REPLACED, f"there is no topic {topic} any more")
    if state.was_ever_compared and not _is_same(state, topic, found_id):
        return Mismatch(Reason.STREAM_REPLACED, _replaced(state, topic))
    positions = await repository.positions()
    async with started_consumer(topic, **connection_options(settings), **READING) as consumer:
        stream = await _stream(consumer, topic, found_id)
        behind = {one: at for one, at in positions.items() if stream.ends.get(one, 0) < at}
        if behind and found_id is not None:
            return Mismatch(Reason.STREAM_BEHIND, _cut_short(stream, behind))
        unknown = await _first_unknown(consumer, stream, positions, repository)
    if unknown is not None:
        return Mismatch(Reason.DATABASE_BEHIND, unknown)
    async with connection.transaction():
        if await repository.belongs(topic, found_id, state.life):
            await repository.published(stream.ends)
    return None


READING: Mapping[str, Any] = {
    "auto_offset_reset": "earliest",
    "enable_auto_commit": False,
    "max_partition_fetch_bytes": 4 << 20,
    "fetch_max_wait_ms": 100,
}
"""Options of a consumer that reads from where it is put to the end, and has no group."""


async def _stream(consumer: AIOKafkaConsumer, topic: str, found_id: str | None) -> Stream:
    partitions = sorted(consumer.assignment())
    begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    return Stream(
        topic,
        found_id,
        {one.partition: at for one, at in begins.items()},
        {one.partition: at for one, at in ends.items()},
    )


async def _first_unknown(
    consumer: AIOKafkaConsumer,
    stream: Stream,
    positions: Mapping[int, int],
    repository: StreamComparisonRepository,
) -> str | None:
    """Read what lies behind the positions; name the first event there that is not recorded here."""
    left = set[TopicPartition]()
    for partition, end in stream.ends.items():
        place = TopicPartition(stream.topic, partition)
        first = max(stream.begins[partition], positions.get(partition, 0))
        if first < end:
            consumer.seek(place, first)
            left.add(place)
    while left:
        taken = await consumer.getmany(*left, timeout_ms=_ASK_MILLISECONDS, max_records=AT_ONCE)
        events = {
            one: record for records in taken.values() for record in records if (one := event_id(record))
        }
        unknown = await repository.unknown_among(list(events))
        if unknown:
            return _behind(min((events[one] for one in unknown), key=lambda one: one.timestamp), unknown)
        left = {one for one in left if await consumer.position(one) < stream.ends[one.partition]}
    return None


def event_id(record: ConsumerRecord[bytes, bytes]) -> str | None:
    """Return the id of the event that a record holds; ``None``: it is none of ours, which ``verify`` reports."""
    try:
        return decode_event(record.key, record.value).event_id
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _behind(first: ConsumerRecord[bytes, bytes], unknown: Collection[str]) -> str:
    place = f"offset {first.offset} of partition {first.partition}"
    return f"the stream has {counted(len(unknown), 'event')} or more that this database lacks, from {place}"


def _cut_short(stream: Stream, behind: Mapping[int, int]) -> str:
    partition, published = min(behind.items())
    end = stream.ends.get(partition, 0)
    return f"partition {partition} of {stream.topic} ends at {end}, and this database had published to {published}"


def _is_same(state: StreamState, topic: str, found_id: str | None) -> bool:
    return state.topic == topic and (None in (state.topic_id, found_id) or state.topic_id == found_id)


def _replaced(state: StreamState, topic: str) -> str:
    if state.topic != topic:
        return f"this database published to {state.topic}, and GIFTCERT_TOPIC_STREAM names {topic}"
    return f"{topic} is another topic under the same name: it was made anew, or is of another Kafka"
