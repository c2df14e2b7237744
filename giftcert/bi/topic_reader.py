"""Reads the topics into the warehouse: from where it stopped last, up to where they end now."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from giftcert.bi.warehouse import ReadRecord, Source, Warehouse, WarehouseError

AT_ONCE = 20_000
_ASK_MILLISECONDS = 1_000
_READING = {
    "auto_offset_reset": "earliest",
    "enable_auto_commit": False,  # where reading goes on is in the file, in one transaction with the rows
    "max_partition_fetch_bytes": 4 << 20,
    "fetch_max_wait_ms": 100,
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load brought: records read, those that came again, and those that were gone before they were read."""

    records: int
    repeats: int
    gone: Mapping[str, int]
    read_until: datetime


@dataclass(slots=True)
class _Progress:
    total: int
    show: Callable[[int, int], None]
    records: int = 0
    rows: int = 0


async def load(
    warehouse: Warehouse,
    options: Mapping[str, Any],
    sources: Sequence[Source],
    clock: Callable[[], datetime],
    progress: Callable[[int, int], None],
) -> Loaded:
    """Read all that the topics have and the warehouse has not; it may be interrupted anywhere and goes on from there.

    Raises:
        WarehouseError: a topic is missing, or is shorter than what was read of it.
        KafkaError: Kafka does not answer.
    """
    consumer = AIOKafkaConsumer(**options, **_READING)
    try:  # also where it is interrupted as it starts
        await consumer.start()
        await _subscribe(consumer, sources)
        read_until = clock()
        spans, gone = await _spans(consumer, warehouse)
        done = _Progress(sum(map(len, spans.values())), progress)
        await _read(consumer, warehouse, {one.topic: one for one in sources}, spans, done, read_until)
    finally:
        await consumer.stop()
    warehouse.remember_load(read_until, done.records, done.records - done.rows)
    return Loaded(done.records, done.records - done.rows, gone, read_until)


async def _subscribe(consumer: AIOKafkaConsumer, sources: Sequence[Source]) -> None:
    there = await consumer.topics()  # to read one that does not exist may make it
    for source in sources:
        if source.topic not in there:
            raise WarehouseError(f"there is no topic {source.topic}: `giftcert setup` makes it")
    consumer.subscribe([one.topic for one in sources])
    while not consumer.assignment():
        await consumer.getmany(timeout_ms=_ASK_MILLISECONDS)


async def _spans(
    consumer: AIOKafkaConsumer, warehouse: Warehouse
) -> tuple[dict[TopicPartition, range], dict[str, int]]:
    """What is to be read of each partition, and how much of each topic has been deleted unread."""
    partitions = sorted(consumer.assignment())
    begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    spans: dict[TopicPartition, range] = {}
    gone: dict[str, int] = {}
    for one in partitions:
        wanted = warehouse.positions(one.topic).get(one.partition, 0)
        if wanted > ends[one]:
            raise WarehouseError(
                f"{one.topic}-{one.partition} ends at {ends[one]} and was read up to {wanted}: the topic was made "
                "anew, so fill the file anew with --rebuild"
            )
        first = max(wanted, begins[one])
        if first > wanted:
            gone[one.topic] = gone.get(one.topic, 0) + first - wanted
        consumer.seek(one, first)
        spans[one] = range(first, ends[one])
    return spans, gone


async def _read(
    consumer: AIOKafkaConsumer,
    warehouse: Warehouse,
    sources: Mapping[str, Source],
    spans: Mapping[TopicPartition, range],
    done: _Progress,
    read_until: datetime,
) -> None:
    left = {partition for partition, span in spans.items() if span}
    while left:
        taken = await consumer.getmany(*left, timeout_ms=_ASK_MILLISECONDS, max_records=AT_ONCE)
        by_topic = groupby(sorted(taken.items()), key=lambda one: one[0].topic)
        for topic, parts in by_topic:
            records = [
                _read_record(one, sources[topic])
                for partition, batch in parts
                for one in batch
                if one.offset < spans[partition].stop
            ]
            if records:
                done.rows += warehouse.add(sources[topic], records, read_until)
                done.records += len(records)
                done.show(done.records, done.total)
        left = {one for one in left if await consumer.position(one) < spans[one].stop}


def _read_record(record: ConsumerRecord, source: Source) -> ReadRecord:
    value = record.value or b""
    if source.translated is not None:
        value = source.translated(value)
    text = value.decode("utf-8", errors="replace")
    return ReadRecord(record.partition, record.offset, record.timestamp, text)
