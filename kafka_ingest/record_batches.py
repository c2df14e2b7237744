"""Record batches as the broker sends them: one that cannot be decoded becomes a single record, which is quarantined.

aiokafka decodes batches deep inside its fetcher, where an unknown compression or broken bytes end the consumer, and
would end every one after it. So its reader of batches is replaced by one that outlasts them; see ``install``.
"""

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from aiokafka.consumer import fetcher
from aiokafka.record.memory_records import MemoryRecords

_HEADER = struct.Struct(">qi")
"""Base offset, and the length of what follows."""
_LAST_OFFSET_DELTA, _MAX_TIMESTAMP = 23, 35
"""Where they stand in a batch of format 2."""
UNDECODABLE = -1
"""The ``timestamp_type`` of such a record, which no producer can give to one of its own."""
_CORRUPT_TIMES = 3
"""Bytes that fail their checksum are fetched again: the network may have changed them, and not the disk."""


@dataclass(frozen=True, slots=True)
class UndecodableRecord:
    """What stands for a batch that cannot be decoded: all its bytes, at the offset of its first record."""

    offset: int
    timestamp: int
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    key: bytes | None = None
    timestamp_type: int = UNDECODABLE
    checksum: None = None


class IsolatingRecords:
    """Takes the place of aiokafka's ``MemoryRecords``."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def size_in_bytes(self) -> int:
        """How many bytes were fetched."""
        return len(self._data)

    def has_next(self) -> bool:
        """Whether a whole batch is left; the last one may be cut off, and comes again."""
        return self._end() is not None

    def next_batch(self) -> "IsolatingBatch | None":
        """Return the next batch, decoded only when it is iterated."""
        end = self._end()
        if end is None:
            return None
        data = self._data[self._position : end]
        self._position = end
        return IsolatingBatch(data)

    def _end(self) -> int | None:
        left = len(self._data) - self._position
        if left < _HEADER.size:
            return None
        end = self._position + _HEADER.size + max(0, _HEADER.unpack_from(self._data, self._position)[1])
        return end if end <= len(self._data) else None


class IsolatingBatch:
    """One batch: its records, or the one that stands for all of them."""

    _corrupt: ClassVar[Counter[tuple[int, int]]] = Counter()

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.base_offset: int = _HEADER.unpack_from(data)[0]
        self._error: Exception | None = None
        try:
            self._batch: Any = MemoryRecords(data).next_batch()
            self._is_data = not self._batch.is_control_batch
        except Exception as error:  # noqa: BLE001 - whatever is in it, it must not stop the partition
            self._error, self._is_data = error, True

    def validate_crc(self) -> bool:
        """Whether the bytes are as they were written; after some attempts they count as the record that they are."""
        if self._error is not None or self._batch.validate_crc():
            return True
        place = (self.base_offset, hash(self._data))
        self._corrupt[place] += 1
        if self._corrupt[place] < _CORRUPT_TIMES:
            return False
        del self._corrupt[place]
        self._error = ValueError("checksum")
        return True

    @property
    def is_control_batch(self) -> bool:
        """Whether it only marks the end of a producer's transaction."""
        return not self._is_data

    @property
    def next_offset(self) -> int:
        """The offset behind its last record."""
        if self._error is None:
            return int(self._batch.next_offset)
        if len(self._data) < _MAX_TIMESTAMP:
            return self.base_offset + 1
        return self.base_offset + 1 + max(0, int(struct.unpack_from(">i", self._data, _LAST_OFFSET_DELTA)[0]))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - what else aiokafka asks a batch
        return None if self._error is not None else getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        """Decode the whole batch, so that it is either its records or one that stands for them."""
        if self._error is None:
            try:
                return iter(list(self._batch))
            except Exception as error:  # noqa: BLE001 - whatever is in it, it must not stop the partition
                self._error = error
        return iter([self._undecodable(self._error)])

    def _undecodable(self, error: Exception) -> UndecodableRecord:
        whole = len(self._data) >= _MAX_TIMESTAMP + 8
        return UndecodableRecord(
            offset=self.base_offset,
            timestamp=int(struct.unpack_from(">q", self._data, _MAX_TIMESTAMP)[0]) if whole else 0,
            value=self._data,
            headers=((type(error).__name__, b""),),
        )


def records_in(data: bytes) -> list[Any]:
    """Return the records of a batch that could not be decoded before.

    Raises:
        Exception: it still cannot.
    """
    batch: Any = MemoryRecords(data).next_batch()
    return list(batch)


def install() -> None:
    """Have every consumer of this process outlast what it cannot decode."""
    fetcher.MemoryRecords = IsolatingRecords
