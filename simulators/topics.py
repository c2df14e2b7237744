"""Writing to and reading from the topics, with nothing of the service between."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import KafkaConnectionError
from aiokafka.partitioner import DefaultPartitioner

from simulators.addresses import Addresses

# Trouble is raised to whoever runs the program; lines of the library's own would stand among the progress bars.
logging.getLogger("aiokafka").addHandler(logging.NullHandler())


class BrokerUnreachableError(Exception):
    """There is no Kafka at the address; the message names it and the setting."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a record lies."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it was read."""

    position: Position
    key: str | None
    value: bytes
    headers: Mapping[str, str]


class Writer:
    """Puts messages on topics and waits until the broker has them."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def write(self, topic: str, key: str, message: msgspec.Struct) -> Position:
        """Write one message as JSON and return where it lies."""
        return await self.write_bytes(topic, key, msgspec.json.encode(message))

    async def write_bytes(self, topic: str, key: str, value: bytes) -> Position:
        """Write raw bytes, which need be no message at all."""
        placed = await self._producer.send_and_wait(topic, value, key=key.encode())
        return Position(placed.topic, placed.partition, placed.offset)

    async def write_all(self, topic: str, messages: Iterable[tuple[str, msgspec.Struct]]) -> None:
        """Write messages with their keys, in this order, and wait until the broker has all of them."""
        placed = [
            await self._producer.send(topic, msgspec.json.encode(message), key=key.encode())
            for key, message in messages
        ]
        await asyncio.gather(*placed)

    async def partition_of(self, topic: str, key: str) -> int:
        """Return the partition that records under this key go to."""
        partitions = await self.partitions(topic)
        chosen: int = DefaultPartitioner()(key.encode(), partitions, partitions)
        return chosen

    async def partitions(self, topic: str) -> list[int]:
        """Return the partitions of a topic."""
        return sorted(await self._producer.partitions_for(topic))


@asynccontextmanager
async def open_writer(addresses: Addresses) -> AsyncIterator[Writer]:
    """Connect a writer; records of one key stay in their order."""
    producer = AIOKafkaProducer(
        bootstrap_servers=addresses.bootstrap_servers, enable_idempotence=True, linger_ms=2
    )
    try:
        await _start(producer, addresses)
        yield Writer(producer)
    finally:
        await producer.stop()


class Reader:
    """Reads one topic; a group goes on where it committed, without one all is read from the beginning."""

    def __init__(self, consumer: AIOKafkaConsumer, *, has_group: bool) -> None:
        self._consumer = consumer
        self._has_group = has_group

    async def batch(self, wait_ms: int = 200) -> list[Record]:
        """Return what has come, oldest first within each partition; empty after the wait."""
        fetched = await self._consumer.getmany(timeout_ms=wait_ms)
        return [_record(raw) for records in fetched.values() for raw in records]

    async def commit(self) -> None:
        """Remember in the group, if there is one, that everything read so far is done."""
        if self._has_group:
            await self._consumer.commit()

    async def skip_to_end(self) -> None:
        """Go on with what is written after this call."""
        await self.has_read({})  # a first position that were still sought would undo the skip
        await self._consumer.seek_to_end()
        await self.has_read({})

    async def end(self) -> dict[int, int]:
        """Return the offset after the last record, per partition."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        return {partition.partition: offset for partition, offset in ends.items()}

    async def has_read(self, end: Mapping[int, int]) -> bool:
        """Return whether everything below these offsets has been handed out."""
        at = {part.partition: await self._consumer.position(part) for part in self._consumer.assignment()}
        return all(at.get(partition, 0) >= offset for partition, offset in end.items())


@asynccontextmanager
async def open_reader(addresses: Addresses, topic: str, *, group: str | None = None) -> AsyncIterator[Reader]:
    """Connect a reader of one topic: from its beginning, or from where the group is."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=addresses.bootstrap_servers,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    try:
        await _start(consumer, addresses)
        yield Reader(consumer, has_group=group is not None)
    finally:
        await consumer.stop()


async def _start(client: AIOKafkaProducer | AIOKafkaConsumer, addresses: Addresses) -> None:
    try:
        await client.start()
    except KafkaConnectionError as error:
        where = addresses.bootstrap_servers
        raise BrokerUnreachableError(
            f"Kafka at {where} does not answer: start `giftcert up`, or set SIMULATORS_KAFKA_BOOTSTRAP_SERVERS"
        ) from error


def _record(raw: ConsumerRecord) -> Record:
    return Record(
        position=Position(raw.topic, raw.partition, raw.offset),
        key=raw.key.decode() if raw.key is not None else None,
        value=raw.value or b"",
        headers={name: value.decode() for name, value in raw.headers},
    )
