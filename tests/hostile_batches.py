"""Batches of Kafka's format 2 as a stranger may write them: any codec, unpacking to far more than they take."""

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import lz4.frame
import zstandard
from aiokafka.record.util import calc_crc32c
from cramjam import snappy

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
HEADER, ATTRIBUTES = 61, 21
NOW = 1_763_892_000_000
_PIECE = 1 << 20
_BATCH = struct.Struct(">qiibIhiqqqhii")


@dataclass(frozen=True, slots=True)
class Written:
    """A record to be written; a number as its value means so many zeros, which are never held in memory."""

    value: bytes | int | None
    key: bytes | None = b"IM-1"
    headers: tuple[tuple[bytes, bytes | None], ...] = ()
    timestamp: int = NOW


def batch(records: Iterable[Written], codec: str = "none", offset: int = 0) -> bytes:
    """A batch as a producer writes it and a broker hands it out."""
    written = list(records)
    packed = b"".join(_PACKERS[codec](_pieces(written)))
    times = [one.timestamp for one in written]
    return sealed(
        _BATCH.pack(
            offset,
            0,
            0,
            2,
            0,
            CODECS.index(codec),
            len(written) - 1,
            times[0],
            max(times),
            -1,
            -1,
            -1,
            len(written),
        )
        + packed
    )


def sealed(data: bytes) -> bytes:
    """The bytes with the length and checksum that belong to them."""
    whole = bytearray(data)
    struct.pack_into(">i", whole, 8, len(whole) - 12)
    struct.pack_into(">I", whole, 17, calc_crc32c(bytes(whole[ATTRIBUTES:])))
    return bytes(whole)


def varint(value: int) -> bytes:
    left, written = (value << 1) ^ (value >> 63), bytearray()
    while left > 0x7F:
        written.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*written, left])


def _pieces(records: list[Written]) -> Iterator[bytes]:
    for nth, one in enumerate(records):
        later = (one.timestamp - records[0].timestamp + 2**63) % 2**64 - 2**63  # as 64 bits overflow
        before = b"\0" + varint(later) + varint(nth) + _field(one.key)
        after = varint(len(one.headers)) + b"".join(_field(half) for header in one.headers for half in header)
        if isinstance(one.value, int):
            before += varint(one.value)
            yield varint(len(before) + one.value + len(after)) + before
            for left in range(one.value, 0, -_PIECE):
                yield bytes(min(left, _PIECE))
            yield after
        else:
            body = before + _field(one.value) + after
            yield varint(len(body)) + body


def _field(data: bytes | None) -> bytes:
    return varint(-1) if data is None else varint(len(data)) + data


def _gzip(pieces: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    yield from map(packer.compress, pieces)
    yield packer.flush()


def _lz4(pieces: Iterable[bytes]) -> Iterator[bytes]:
    packer = lz4.frame.LZ4FrameCompressor(block_linked=False)
    yield packer.begin()
    yield from map(packer.compress, pieces)
    yield packer.flush()


def _zstd(pieces: Iterable[bytes]) -> Iterator[bytes]:
    packer = zstandard.ZstdCompressor().compressobj()
    yield from map(packer.compress, pieces)
    yield packer.flush()


def _snappy(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """As producers in Java frame it, block by block."""
    yield struct.pack(">8sii", b"\x82SNAPPY\0", 1, 1)
    for piece in pieces:
        for at in range(0, len(piece), 1 << 15):
            block = bytes(snappy.compress_raw(piece[at : at + (1 << 15)]))
            yield struct.pack(">i", len(block)) + block


_PACKERS: dict[str, Callable[[Iterable[bytes]], Iterable[bytes]]] = {
    "none": lambda pieces: pieces,
    "gzip": _gzip,
    "snappy": _snappy,
    "lz4": _lz4,
    "zstd": _zstd,
}
