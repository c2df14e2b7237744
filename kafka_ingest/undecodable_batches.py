"""Isolates a batch of the broker that cannot be decoded: it becomes a single record, which is quarantined.

aiokafka decodes batches deep inside its fetcher, where an unknown compression or broken bytes end the consumer, and
would end every one after it. So its reader of batches is replaced by one that outlasts them, and what it hands over
by one that stops after so many bytes: it counts records alone.
"""

import struct
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, ClassVar

import structlog
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

from kafka_ingest.batch_reader import LEFT, SEVERAL, UnpacksTooFarError, read_records
from kafka_ingest.records import CutBytes, InputRecord, size_of

UNDECODABLE = -1
"""The ``timestamp_type`` of such a record, which no producer can give to one of its own."""
TAKEN_AT_ONCE = 16 * 2**20
"""Bytes after which a batch of ours ends, however few records they are; what is unpacked for them counts too, such as
headers, because it takes time.
"""
_HEADER = struct.Struct(">qi")
"""Base offset, and the length of what follows."""
_FORMAT, _LAST_OFFSET_DELTA, _MAX_TIMESTAMP = 16, 23, 35
"""Where they stand in a batch of format 2; the first is in batches of every format."""
FETCHED_AGAIN_SECONDS = 1.0
_CORRUPT_TIMES = 3
"""Bytes that fail their checksum are fetched again: the network may have changed them, and not the disk."""
_log = structlog.get_logger(__name__)
_corrupt: Counter[tuple[int, int]] = Counter()
_unreadable: dict[tuple[str, int], int] = {}
"""The offset of each partition that was logged last as one that cannot be read."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch, in what aiokafka asks of it: its records, none of a control batch, or the one that stands for all."""

    records: Iterable[Any]
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

    def __init__(self, data: bytes, record_limit: int = 2**20) -> None:
        self._size = len(data)
        self._limit = record_limit
        self._batches = _batches(data)
        self._next = next(self._batches, None)

    def size_in_bytes(self) -> int:
        """How many bytes were fetched."""
        return self._size

    def has_next(self) -> bool:
        """Whether a whole batch is left."""
        return self._next is not None

    def next_batch(self) -> Batch:
        """Return the next batch, whose records are decoded as they are asked for."""
        data, self._next = self._next or b"", next(self._batches, None)
        return _decoded(data, self._limit)


class BoundedResult(fetcher.FetchResult):  # type: ignore[misc]  # aiokafka has no types
    """Takes the place of aiokafka's own, which would hand over thousands of records whatever they unpack to."""

    _partition_records: Any
    _failed_at: float | None = None

    def getall(self, max_records: int | None = None) -> list[Any]:
        """Return the next records: so many at most, and no more once all bytes of ``taking`` are used up.

        An error would take with it what other partitions have handed over. So it is logged, and the partition fetched
        again a little later; if that does not help, it is reported as one that stands still.
        """
        left = LEFT.get() or [sys.maxsize]
        if self._failed_at is not None:
            if time.monotonic() - self._failed_at >= FETCHED_AGAIN_SECONDS:
                self._partition_records = None
            return []
        if left[0] <= 0 or not (self.check_assignment(self._topic_partition) and self.has_more()):
            return []
        taken: list[Any] = []
        try:
            if self._take(taken, left, max_records or sys.maxsize):
                self._update_position()
                self._partition_records = None
                return taken
        except Exception as error:  # noqa: BLE001 - the other partitions go on
            topic, partition = self._topic_partition
            _log_once(topic, partition, self._partition_records.next_fetch_offset, error)
            self._failed_at = time.monotonic()
        self._update_position()
        return taken

    def _take(self, taken: list[Any], left: list[int], max_records: int) -> bool:
        """Take records; return whether these were all."""
        for record in islice(self._partition_records, max_records):
            if record.headers and record.timestamp_type != UNDECODABLE:
                record.headers = ()  # they mean nothing to us, and may be millions
            taken.append(record)
            value = record.value
            size = record.serialized_value_size if type(value) is bytes else size_of(value)
            left[0] -= record.serialized_key_size + size
            if left[0] <= 0:
                return False
        return len(taken) < max_records


def _log_once(topic: str, partition: int, offset: int, error: Exception) -> None:
    """Log an error with its trace the first time only: its place is tried again every second."""
    if _unreadable.get((topic, partition)) != offset:
        _unreadable[topic, partition] = offset
        kind = type(error).__name__
        _log.error(
            "cannot be read", topic=topic, partition=partition, offset=offset, error=kind, exc_info=error
        )


@contextmanager
def taking() -> Iterator[None]:
    """Let what is read inside unpack and take ``TAKEN_AT_ONCE`` bytes, of all partitions together.

    The bound ends with the block: whoever else reads in this task, or in one that it starts, has none.
    """
    before = LEFT.set([TAKEN_AT_ONCE])
    try:
        yield
    finally:
        LEFT.reset(before)


def isolate_undecodable_batches(record_limit: int) -> None:
    """Have every consumer of this process outlast what it cannot decode, in little memory."""
    fetcher.MemoryRecords = partial(IsolatingRecords, record_limit=record_limit)
    fetcher.FetchResult = BoundedResult


def records_in(data: bytes, record_limit: int) -> list[Any]:
    """Return the records of a batch that could not be decoded before; raises anything where it still cannot."""
    records, left = [], TAKEN_AT_ONCE
    for record in _records(data, record_limit):
        records.append(record)
        left -= size_of(record.key) + size_of(record.value)
        if left < 0:
            raise UnpacksTooFarError
    return records


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


def _decoded(data: bytes, record_limit: int) -> Batch:
    offset: int = _HEADER.unpack_from(data)[0]
    try:
        batch: Any = MemoryRecords(data).next_batch()
        if batch.validate_crc():
            records = () if batch.is_control_batch else _isolating(data, record_limit)
            return Batch(records, int(batch.next_offset))
    except Exception as error:  # noqa: BLE001 - whatever is in it, it must not stop the partition
        return Batch([_isolated(data, offset, error, record_limit)], _offset_after(data))
    place = (offset, hash(data))
    _corrupt[place] += 1
    if _corrupt[place] < _CORRUPT_TIMES:
        return Batch([], offset, is_intact=False)
    del _corrupt[place]
    return Batch([_isolated(data, offset, CorruptRecordException(), record_limit)], _offset_after(data))


def _records(data: bytes, record_limit: int) -> Iterable[Any]:
    is_old = data[_FORMAT] < 2  # no broker since Kafka 4 has any
    return iter(MemoryRecords(data).next_batch()) if is_old else read_records(data, record_limit)


def _isolating(data: bytes, record_limit: int) -> Iterator[Any]:
    """Yield the records as far as they can be decoded, and one that stands for the others."""
    offset, after = _HEADER.unpack_from(data)[0], _offset_after(data)
    try:
        records = _records(data, record_limit)
        if (
            isinstance(records, list)
            and records
            and offset <= records[0].offset <= records[-1].offset < after
        ):
            yield from records  # one by one they would take a twentieth of ingest's time
            return
        for record in records:
            if not offset <= record.offset < after:
                raise CorruptRecordException  # noqa: TRY301 - as any other fault of the batch
            yield record
            offset = record.offset + 1
    except Exception as error:  # noqa: BLE001 - whatever is in it, it must not stop the partition
        yield _isolated(data, offset, error, record_limit)


def _isolated(data: bytes, offset: int, error: Exception, record_limit: int) -> InputRecord:
    """Return the record that stands for a batch, or what follows in it; its one header names the error.

    A batch of ordinary size is kept whole, to be read once it can be; of a larger one only the beginning.
    """
    timestamp = 0
    if len(data) >= _MAX_TIMESTAMP + 8:
        [timestamp] = struct.unpack_from(">q", data, _MAX_TIMESTAMP)
    return InputRecord(
        topic="",  # aiokafka adds topic and partition
        partition=0,
        offset=offset,
        key=None,
        value=data if len(data) <= SEVERAL * record_limit else CutBytes.of([data]),
        timestamp=timestamp,
        timestamp_type=UNDECODABLE,
        headers=((type(error).__name__, b""),),
    )


def _offset_after(data: bytes) -> int:
    later = 0
    if len(data) >= _LAST_OFFSET_DELTA + 4:
        [later] = struct.unpack_from(">i", data, _LAST_OFFSET_DELTA)
    offset: int = _HEADER.unpack_from(data)[0]
    return offset + 1 + max(0, later)
