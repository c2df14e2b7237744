"""Isolates a batch of the broker that cannot be decoded: it becomes a single record, which is quarantined.

aiokafka decodes batches deep inside its fetcher, where an unknown compression or broken bytes end the consumer, and
would end every one after it. So its reader of batches is replaced by one that outlasts them.
"""

import struct
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from aiokafka.consumer import fetcher
from aiokafka.record.memory_records import MemoryRecords

from kafka_ingest.records import InputRecord

UNDECODABLE = -1
"""The ``timestamp_type`` of such a record, which no producer can give to one of its own."""
_HEADER = struct.Struct(">qi")
"""Base offset, and the length of what follows."""
_LAST_OFFSET_DELTA, _MAX_TIMESTAMP = 23, 35
"""Where they stand in a batch of format 2."""
_CORRUPT_TIMES = 3
"""Bytes that fail their checksum are fetched again: the network may have changed them, and not the disk."""
_corrupt: Counter[tuple[int, int]] = Counter()


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch, in what aiokafka asks of it: its records, none of a control batch, or the one that stands for all."""

    records: list[Any]
    next_offset: int
    is_intact: bool = True
    is_control_batch: ClassVar[bool] = False

    def validate_crc(self) -> bool:
        """Whether the bytes are as they were written; if not, they are fetched again."""
        return self.is_intact

    def __iter__(self) -> Iterator[Any]:
        """Yield the records."""
        return iter(self.records)


class IsolatingRecords:
    """Takes the place of aiokafka's ``MemoryRecords``."""

    def __init__(self, data: bytes) -> None:
        self._size = len(data)
        self._batches = deque(_batches(data))

    def size_in_bytes(self) -> int:
        """How many bytes were fetched."""
        return self._size

    def has_next(self) -> bool:
        """Whether a whole batch is left."""
        return bool(self._batches)

    def next_batch(self) -> Batch:
        """Decode the next batch as a whole."""
        return _decoded(self._batches.popleft())


def isolate_undecodable_batches() -> None:
    """Have every consumer of this process outlast what it cannot decode."""
    fetcher.MemoryRecords = IsolatingRecords


def records_in(data: bytes) -> list[Any]:
    """Return the records of a batch that could not be decoded before; raises anything where it still cannot."""
    batch: Any = MemoryRecords(data).next_batch()
    return list(batch)


def _batches(data: bytes) -> Iterator[bytes]:
    """Yield the bytes of each batch; the last one may be cut off, and comes again."""
    position = 0
    while len(data) - position >= _HEADER.size:
        _, length = _HEADER.unpack_from(data, position)
        end = position + _HEADER.size + max(0, length)
        if end > len(data):
            return
        yield data[position:end]
        position = end


def _decoded(data: bytes) -> Batch:
    offset: int = _HEADER.unpack_from(data)[0]
    try:
        batch: Any = MemoryRecords(data).next_batch()
        if batch.validate_crc():
            return Batch([] if batch.is_control_batch else list(batch), int(batch.next_offset))
    except Exception as error:  # noqa: BLE001 - whatever is in it, it must not stop the partition
        return _isolated(data, offset, type(error).__name__)
    place = (offset, hash(data))
    _corrupt[place] += 1
    if _corrupt[place] < _CORRUPT_TIMES:
        return Batch([], offset, is_intact=False)
    del _corrupt[place]
    return _isolated(data, offset, "checksum")


def _isolated(data: bytes, offset: int, error: str) -> Batch:
    """Return the record that stands for the whole batch; its one header names the error."""
    timestamp = later = 0
    if len(data) >= _MAX_TIMESTAMP + 8:
        [later] = struct.unpack_from(">i", data, _LAST_OFFSET_DELTA)
        [timestamp] = struct.unpack_from(">q", data, _MAX_TIMESTAMP)
    record = InputRecord(
        topic="",  # aiokafka adds topic and partition
        partition=0,
        offset=offset,
        key=None,
        value=data,
        timestamp=timestamp,
        timestamp_type=UNDECODABLE,
        headers=((error, b""),),
    )
    return Batch([record], offset + 1 + max(0, later))
