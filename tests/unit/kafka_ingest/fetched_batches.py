"""Batches as ingest takes them out of what aiokafka has fetched."""

from collections.abc import Iterator
from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, PartitionRecords

from kafka_ingest.undecodable_batches import BoundedResult, IsolatingRecords, taking
from tests.unit.kafka_ingest.ingest_memory import TOPICS

LIMIT = 100_000


class Assignment:
    """Stands in for aiokafka's, of one partition."""

    active = True

    def __init__(self) -> None:
        self.paused, self.position = False, 0

    def state_value(self, _: object) -> "Assignment":
        return self

    def consumed_to(self, position: int) -> None:
        self.position = position


def fetched(data: bytes, topic: str = TOPICS.orders, limit: int = LIMIT) -> BoundedResult:
    partition = TopicPartition(topic, 0)
    reader = IsolatingRecords(data, limit)
    records = PartitionRecords(partition, reader, None, 0, None, None, True, READ_UNCOMMITTED)
    return BoundedResult(partition, assignment=Assignment(), partition_records=records, backoff=0)


def takings(data: bytes, topic: str = TOPICS.orders, limit: int = LIMIT) -> Iterator[list[Any]]:
    """What each batch of ours takes of what was fetched."""
    result = fetched(data, topic, limit)
    while result.has_more():
        with taking():
            batch = result.getall(8_000)
        yield batch
