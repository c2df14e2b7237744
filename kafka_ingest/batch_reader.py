"""Reader of Kafka's record batches: memory stays flat, whatever a batch unpacks to.

aiokafka unpacks a batch whole, and a batch below 1 MB may unpack to gigabytes. So a large one is unpacked here piece by
piece and read record by record; of a key or value far above the limit only the beginning and a hash are kept.
"""

import gzip
import io
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Protocol

import lz4.frame
import zstandard
from aiokafka.record.default_records import DefaultRecordBatch
from cramjam import snappy

from kafka_ingest.records import CutBytes, InputRecord

MOST_UNPACKED = 2**30
"""A batch that unpacks to more bytes holds nobody's orders: it counts as undecodable."""
MOST_RECORDS = 100_000
"""More than fit into a batch of 1 MB that is not compressed; each might become a row in quarantine."""
_CHUNK = 256 * 1024
SEVERAL = 2
"""Records of the limit that are held at once."""
_BATCH = struct.Struct(">qiibIhiqqqhii")
"""Base offset, length, epoch, format, checksum, attributes, delta of the last offset, first and greatest time, the
producer's id, epoch and sequence, number of records.
"""
_ATTRIBUTES = 21
"""Where they stand."""
_CODEC, _LOG_APPEND_TIME = 0x07, 0x08
_NONE, _GZIP, _SNAPPY, _LZ4, _ZSTANDARD = range(5)
_GREATEST_WINDOW = 8 * 2**20
"""Of zstandard, unpacked piece by piece: what every decoder must have, and more than producers ask for by default."""
_MOST_OF_SNAPPY = 32
"""Bytes that a byte may unpack to; the format allows 22."""
_XERIAL, _XERIAL_HEADER = b"\x82SNAPPY\0", 16


LEFT: ContextVar[list[int] | None] = ContextVar(
    "bytes that this task may still unpack and take", default=None
)


class UnpacksTooFarError(Exception):
    """A batch unpacks to more bytes or records than we read, or takes more memory to unpack than we give."""


class Readable(Protocol):
    """What unpacks as much as is asked for."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, none at the end."""


def read_records(data: bytes, record_limit: int) -> Iterable[Any]:
    """Return the records of a batch of format 2; raises anything where it cannot be decoded.

    What unpacks to no more than two records of the limit is left to aiokafka's decoder, which is in C, and is a list.
    """
    *_, attributes, _, _, _, _, _, _, count = _BATCH.unpack_from(data)
    if count > MOST_RECORDS:
        raise UnpacksTooFarError
    codec = attributes & _CODEC
    if codec == _NONE and len(data) <= SEVERAL * record_limit:
        return _at_once(data)
    chunks = _bounded(_UNPACKERS[codec](memoryview(data)[_BATCH.size :]))
    plain = bytearray(data[: _BATCH.size])
    for chunk in chunks:
        plain += chunk
        if len(plain) > SEVERAL * record_limit:
            _check_window(codec, data)
            unpacked = chain([bytes(plain[_BATCH.size :])], chunks)
            return _one_by_one(_Stream(unpacked, SEVERAL * record_limit), data)
    struct.pack_into(">h", plain, _ATTRIBUTES, attributes & ~_CODEC)
    return _at_once(plain)


def _at_once(plain: bytes | bytearray) -> Iterable[Any]:
    """Return records that are not compressed; where aiokafka fails, as at a header that is no UTF-8, by our reader."""
    try:
        return list(DefaultRecordBatch(plain))
    except Exception:  # noqa: BLE001 - ours raises again where it is no matter of headers
        return _one_by_one(_Stream(iter([bytes(plain[_BATCH.size :])]), len(plain)), bytes(plain))


def _one_by_one(stream: "_Stream", data: bytes) -> Iterator[InputRecord]:
    base, *_, attributes, _, first_time, greatest_time, _, _, _, count = _BATCH.unpack_from(data)
    for _ in range(count):
        size = stream.varint()
        end = stream.position + size
        stream.skip(1)
        time = first_time + stream.varint()
        yield InputRecord(
            topic="",  # aiokafka adds topic and partition
            partition=0,
            offset=base + stream.varint(),
            key=stream.field(end),
            value=stream.field(end),
            timestamp=greatest_time if attributes & _LOG_APPEND_TIME else time,
        )
        stream.skip(end - stream.position)  # the headers, which nobody here reads
    if not stream.is_at_end:
        raise ValueError("more than the records of the batch")


@dataclass(slots=True)
class _Stream:
    """Unpacked bytes, read from the first to the last; a field above ``limit`` is cut."""

    chunks: Iterator[bytes]
    limit: int
    position: int = 0
    _chunk: bytes = b""
    _next: int = 0

    @property
    def is_at_end(self) -> bool:
        """Whether nothing is left."""
        try:
            self._look_ahead()
        except EOFError:
            return True
        return False

    def pieces(self, size: int) -> Iterator[memoryview]:
        """Yield the next bytes as they were unpacked, none of them copied."""
        if size < 0:
            raise ValueError("a length below 0")
        while size:
            self._look_ahead()
            piece = memoryview(self._chunk)[self._next : self._next + size]
            self._next += len(piece)
            self.position += len(piece)
            size -= len(piece)
            yield piece

    def skip(self, size: int) -> None:
        """Pass over bytes."""
        for _ in self.pieces(size):
            pass

    def varint(self) -> int:
        """Return the next number, which is in zigzag encoding."""
        value = 0
        for shift in range(0, 70, 7):
            self._look_ahead()
            byte = self._chunk[self._next]
            self._next += 1
            self.position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)
        raise ValueError("a number that does not end")

    def field(self, end: int) -> bytes | None:
        """Return a key or a value of a record that ends there."""
        size = self.varint()
        if size < 0:
            return None
        if size > end - self.position:
            raise ValueError("a field beyond its record")
        pieces = self.pieces(size)
        return b"".join(pieces) if size <= self.limit else CutBytes.of(pieces)

    def _look_ahead(self) -> None:
        if self._next == len(self._chunk):
            self._chunk, self._next = next(self.chunks, b""), 0
            if not self._chunk:
                raise EOFError


def _bounded(chunks: Iterable[bytes]) -> Iterator[bytes]:
    unpacked = 0
    for chunk in chunks:
        unpacked += len(chunk)
        if left := LEFT.get():
            left[0] -= len(chunk)
        if unpacked > MOST_UNPACKED:
            raise UnpacksTooFarError
        if chunk:
            yield chunk


def _plain(packed: memoryview) -> Iterator[bytes]:
    for at in range(0, len(packed), _CHUNK):
        yield bytes(packed[at : at + _CHUNK])


def _gzip(packed: memoryview) -> Iterator[bytes]:
    return _chunks(gzip.GzipFile(fileobj=io.BytesIO(packed)))


def _snappy(packed: memoryview) -> Iterator[bytes]:
    """Yield block after block, where a producer in Java has written them, or the one that others write."""
    is_framed = packed[: len(_XERIAL)] == _XERIAL
    position, end = (_XERIAL_HEADER, 0) if is_framed else (0, len(packed))
    while position < len(packed):
        if is_framed:
            [length] = struct.unpack_from(">I", packed, position)
            position += 4
            end = position + length
        block = packed[position:end]
        if snappy.decompress_raw_len(block) > _MOST_OF_SNAPPY * len(block):
            raise UnpacksTooFarError  # it says so, and the memory would be taken at once
        yield bytes(snappy.decompress_raw(block))
        position = end


def _lz4(packed: memoryview) -> Iterator[bytes]:
    return _chunks(lz4.frame.LZ4FrameFile(io.BytesIO(packed)))


def _zstandard(packed: memoryview) -> Iterator[bytes]:
    unpacker = zstandard.ZstdDecompressor(max_window_size=2**27)
    return _chunks(unpacker.stream_reader(packed, read_across_frames=True))


def _chunks(unpacked: Readable) -> Iterator[bytes]:
    return iter(partial(unpacked.read, _CHUNK), b"")


def _check_window(codec: int, data: bytes) -> None:
    """Refuse what is unpacked piece by piece and needs much memory for it."""
    if codec == _ZSTANDARD:
        frame = zstandard.get_frame_parameters(memoryview(data)[_BATCH.size :])
        if frame.window_size > _GREATEST_WINDOW:
            raise UnpacksTooFarError


_UNPACKERS: Mapping[int, Callable[[memoryview], Iterable[bytes]]] = {
    _NONE: _plain,
    _GZIP: _gzip,
    _SNAPPY: _snappy,
    _LZ4: _lz4,
    _ZSTANDARD: _zstandard,
}
