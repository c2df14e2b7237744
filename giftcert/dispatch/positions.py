"""Where on the stream given events of one key stand: a bounded look into the key's partition."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner

from giftcert.kafka_connection import started_consumer

SKEW = timedelta(seconds=30)
"""How far the clocks of PostgreSQL and of the dispatchers may lie apart."""
LONGEST_WAIT = timedelta(minutes=10)
"""An event is looked for that long after it was recorded; one that waited longer in the outbox is not found."""
MOST_RECORDS = 200_000
PATIENCE_SECONDS = 15.0
"""What was found by then is all."""
_ASK_MILLISECONDS = 500


class StreamAwayError(Exception):
    """The stream cannot be read; the message says why in a few words."""


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """The position of a record on the stream."""

    partition: int
    offset: int


async def find_positions(
    options: dict[str, Any], topic: str, key: str, sought: Mapping[str, datetime]
) -> dict[str, StreamPosition]:
    """Return the first position of each event that is found, by event id.

    Only the partition that the key belongs to is read, only from the times at which the events were recorded, and at
    most ``MOST_RECORDS`` of it: an event published before the topic was given more partitions is not found.
    ``sought``: when each event was recorded, by event id.

    Raises:
        StreamAwayError: Kafka does not answer, or has no such topic.
    """
    found: dict[str, StreamPosition] = {}
    if not sought:
        return found
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            partition = await _partition(options, topic, key)
            async with started_consumer(**options, enable_auto_commit=False) as consumer:
                await _search(consumer, partition, key.encode(), sought, found)
    except TimeoutError:
        if not found:
            raise StreamAwayError("no answer in time") from None
    except (KafkaError, OSError) as error:
        raise StreamAwayError("the stream could not be read") from error
    return found


async def _partition(options: dict[str, Any], topic: str, key: str) -> TopicPartition:
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


async def _search(
    consumer: AIOKafkaConsumer,
    partition: TopicPartition,
    key: bytes,
    sought: Mapping[str, datetime],
    found: dict[str, StreamPosition],
) -> None:
    consumer.assign([partition])
    begins = (await consumer.beginning_offsets([partition]))[partition]
    ends = (await consumer.end_offsets([partition]))[partition]
    left = MOST_RECORDS
    for event_id, recorded_at in sorted(sought.items(), key=lambda one: one[1]):
        if event_id in found:
            continue
        first = await _offset_at(consumer, partition, recorded_at - SKEW)
        last = await _offset_at(consumer, partition, recorded_at + LONGEST_WAIT)
        end = ends if last is None else last
        if first is None:  # nothing so young; or a broker, as the in-memory one, that does not know
            first = begins if ends - begins <= left else ends
        consumer.seek(partition, first)
        while left > 0 and event_id not in found and await consumer.position(partition) < end:
            taken = await consumer.getmany(partition, timeout_ms=_ASK_MILLISECONDS)
            records = taken.get(partition, [])
            left -= len(records)
            for record in (one for one in records if one.key == key):
                named = msgspec.json.decode(record.value)["eventId"]
                found.setdefault(named, StreamPosition(partition.partition, record.offset))


async def _offset_at(consumer: AIOKafkaConsumer, partition: TopicPartition, instant: datetime) -> int | None:
    answer = await consumer.offsets_for_times({partition: int(instant.timestamp() * 1000)})
    return None if answer[partition] is None else int(answer[partition].offset)
