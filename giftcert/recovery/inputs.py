"""Reads orders, payments and clients again from where the database had committed them, as ingest does.

What is a repeat changes nothing; what came after the copy was made is folded as it was the first time. No workflow is
signalled: certificates are rebuilt before they decide.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from aiokafka import AIOKafkaConsumer, TopicPartition

from giftcert.dispatch.comparison import READING, topic_id
from giftcert.kafka_connection import connection_options, started_consumer
from giftcert.settings import Settings
from giftcert.storage.database import Database
from giftcert.storage.marks import Mark, MarkRepository
from kafka_ingest.consumer import BATCH
from kafka_ingest.undecodable_batches import isolate_undecodable_batches, taking
from kafka_ingest.writer import BatchWriter

SKEW = timedelta(minutes=15)
"""How far a record's time may lie before the instant at which it was appended, where a mark has no offset."""
_WAIT_MILLISECONDS = 500


@dataclass(frozen=True, slots=True)
class InputsRead:
    """What was read: how many records; and partitions whose records from before ``since`` Kafka has no more."""

    records: int
    missing: tuple[str, ...]


async def read_inputs(
    settings: Settings, database: Database, writer: BatchWriter, progress: Callable[[int, int], None]
) -> InputsRead:
    """Fold everything from the marks of the database to the end of each input topic.

    Raises:
        KafkaError: Kafka does not answer.
        Exception: PostgreSQL does not, or refuses.
    """
    async with database.connection() as connection:
        marks = await MarkRepository(connection).all()
    isolate_undecodable_batches(settings.record_limit)
    topics = await _existing(settings, writer.rules.topics.names)
    if not topics:
        return InputsRead(0, ())
    ids = {one: await topic_id(settings, one) for one in topics}
    async with started_consumer(*topics, **connection_options(settings), **READING) as consumer:
        places = sorted(consumer.assignment())
        begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        left, missing = dict[TopicPartition, int](), list[str]()
        for place in places:
            mark = marks.get((place.topic, place.partition))
            is_another = mark is not None and mark.topic_id not in {None, ids[place.topic]}
            first = None if is_another else await _first(consumer, place, mark)
            if first is not None and first < begins[place]:
                missing.append(f"{place.topic}-{place.partition}, offsets {first} to {begins[place] - 1}")
            consumer.seek(place, max(begins[place], min(first or 0, ends[place])))
            if await consumer.position(place) < ends[place]:
                left[place] = ends[place]
        total = sum([end - await consumer.position(place) for place, end in left.items()])
        return InputsRead(await _read(consumer, left, writer, total, progress), tuple(missing))


async def _existing(settings: Settings, topics: Sequence[str]) -> list[str]:
    """Return those of the topics that there are: to name another may make it."""
    async with started_consumer(**connection_options(settings)) as consumer:
        return sorted(set(topics) & await consumer.topics())


async def _first(consumer: AIOKafkaConsumer, place: TopicPartition, mark: Mark | None) -> int | None:
    """Return the offset from which on records may not be committed; ``None``: nothing is known of the partition."""
    if mark is None:
        return None
    if mark.reached is not None:
        return mark.reached
    if mark.caught_up_to is None:
        return None
    since = int((mark.caught_up_to - SKEW).timestamp() * 1000)
    found = (await consumer.offsets_for_times({place: max(0, since)}))[place]
    return None if found is None else int(found.offset)


async def _read(
    consumer: AIOKafkaConsumer,
    left: dict[TopicPartition, int],
    writer: BatchWriter,
    total: int,
    progress: Callable[[int, int], None],
) -> int:
    done = 0
    while left:
        with taking():
            taken = await consumer.getmany(*left, timeout_ms=_WAIT_MILLISECONDS, max_records=BATCH)
        records = [record for of_partition in taken.values() for record in of_partition]
        if records:
            await writer.commit(records, writer.decode(records))
            done += len(records)
            progress(min(done, total), total)
        left = {place: end for place, end in left.items() if await consumer.position(place) < end}
    return done
