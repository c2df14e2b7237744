"""A record of a topic, as Kafka gave it or as it was kept."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeAlias


class SourceRecord(Protocol):
    """What ingest needs of a record; aiokafka's records have it."""

    @property
    def topic(self) -> str:
        """The topic."""

    @property
    def partition(self) -> int:
        """The partition."""

    @property
    def offset(self) -> int:
        """The place in the partition."""

    @property
    def timestamp(self) -> int:
        """When it was written, in milliseconds since 1970."""

    @property
    def key(self) -> bytes | None:
        """The key."""

    @property
    def value(self) -> bytes | None:
        """The value; ``None`` is a tombstone."""


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """A record that was read before, at its place in its topic."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = 0


Place: TypeAlias = tuple[str, int, int]
"""Topic, partition, offset."""


def place_of(record: SourceRecord) -> Place:
    """Return where the record stands."""
    return record.topic, record.partition, record.offset


def partitions_of(records: Iterable[SourceRecord]) -> set[tuple[str, int]]:
    """Return the partitions, as (topic, number), that records stand in."""
    return {(record.topic, record.partition) for record in records}
