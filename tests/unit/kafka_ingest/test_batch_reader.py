"""Whatever a batch unpacks to, memory stays flat; what is in it comes as it was written."""

import struct
import tracemalloc
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
import zstandard
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, PartitionRecords

from kafka_ingest import batch_reader
from kafka_ingest.decoder import decode
from kafka_ingest.quarantine import TOO_LARGE, UNDECODABLE_BATCH
from kafka_ingest.records import KEPT_OF_TOO_LARGE, CutBytes, size_of
from kafka_ingest.undecodable_batches import (
    TAKEN_AT_ONCE,
    UNDECODABLE,
    BoundedResult,
    IsolatingRecords,
    begin_taking,
)
from tests.hostile_batches import CODECS, HEADER, Written, batch, sealed
from tests.unit.kafka_ingest.ingest_memory import TOPICS

LIMIT = 100_000
MEGABYTE = 2**20


class Assignment:
    """Stands in for aiokafka's, of one partition."""

    active = True

    def __init__(self) -> None:
        self.paused, self.position = False, 0

    def state_value(self, _: object) -> "Assignment":
        return self

    def consumed_to(self, position: int) -> None:
        self.position = position


def fetched(data: bytes) -> BoundedResult:
    partition = TopicPartition(TOPICS.orders, 0)
    reader = IsolatingRecords(data, LIMIT)
    records = PartitionRecords(partition, reader, None, 0, None, None, True, READ_UNCOMMITTED)
    return BoundedResult(partition, assignment=Assignment(), partition_records=records, backoff=0)


def takings(data: bytes) -> Iterator[list[Any]]:
    """What each batch of ours takes of what was fetched."""
    result = fetched(data)
    while result.has_more():
        begin_taking()
        yield result.getall(8_000)


def all_of(data: bytes) -> list[Any]:
    return [record for taken in takings(data) for record in taken]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [10, LIMIT], ids=["at once", "piece by piece"])
def test_every_codec_is_read(codec: str, size: int) -> None:
    written = [
        Written(bytes([nth]) * size, key=f"IM-{nth}".encode(), headers=((b"h", None),), timestamp=1_000 - nth)
        for nth in range(5)
    ]
    found = all_of(batch([*written, Written(None, key=None)], codec, offset=7))
    assert [(one.offset, one.key, one.value, one.timestamp) for one in found[:-1]] == [
        (7 + nth, one.key, one.value, one.timestamp) for nth, one in enumerate(written)
    ]
    assert (found[-1].key, found[-1].value) == (None, None)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    ("records", "reasons"),
    [
        ([Written(64 * MEGABYTE)], [TOO_LARGE]),
        ([Written(8 * MEGABYTE), Written(b"{"), Written(8 * MEGABYTE), Written(b"{")] * 4, None),
        ([Written(LIMIT - 10)] * 640, ["invalidJson"] * 640),
        ([Written(b"{", key=bytes(16 * MEGABYTE))], [TOO_LARGE]),
    ],
    ids=["one record", "several, and small ones between", "many at the limit", "a key"],
)
def test_a_bomb_takes_no_memory_and_no_record_is_lost(
    codec: str, records: list[Written], reasons: list[str] | None
) -> None:
    data = batch(records, codec)
    reasons = reasons or [TOO_LARGE, "invalidJson"] * 8
    found = []
    tracemalloc.start()
    for taken in takings(data):
        found += [rejection.reason for rejection in decode(taken, TOPICS, LIMIT).rejections]
        taken.clear()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == reasons
    assert peak < TAKEN_AT_ONCE + 8 * MEGABYTE


def test_many_empty_records_are_taken_some_at_a_time() -> None:
    taken = takings(batch([Written(None, key=None)] * 30_000, "gzip"))
    assert [len(one) for one in taken] == [8_000, 8_000, 8_000, 6_000]


def test_what_is_cut_is_known_by_its_size_and_hash() -> None:
    [record] = all_of(batch([Written(3 * MEGABYTE)], "zstd"))
    assert isinstance(record.value, CutBytes)
    assert (len(record.value), size_of(record.value)) == (KEPT_OF_TOO_LARGE, 3 * MEGABYTE)
    assert record.value.sha256 == sha256(bytes(3 * MEGABYTE)).digest()


def test_headers_are_not_kept() -> None:
    headers = ((b"h", b"x" * 1_000),) * 50
    assert {one.headers for one in all_of(batch([Written(b"{", headers=headers)] * 9, "lz4"))} == {()}


@pytest.mark.parametrize("limit", [MEGABYTE, 4 * MEGABYTE])
def test_a_batch_that_unpacks_too_far_is_isolated_after_what_could_be_read(
    monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(batch_reader, "MOST_UNPACKED", limit)
    found = all_of(batch([Written(b"{"), Written(8 * MEGABYTE), Written(b"{")], "gzip"))
    assert [(one.offset, one.timestamp_type == UNDECODABLE) for one in found] == [(0, False), (1, True)]
    assert decode(found, TOPICS, LIMIT).rejections[-1].reason == UNDECODABLE_BATCH


@pytest.mark.parametrize("cut", [1, 100, 5_000])
@pytest.mark.parametrize("codec", CODECS)
def test_a_batch_that_ends_too_early_is_isolated(codec: str, cut: int) -> None:
    values = [struct.pack(">I", nth) * 25_000 for nth in range(20)]
    data = batch([Written(value) for value in values], codec)
    found = all_of(sealed(data[: max(HEADER, len(data) - cut)]))
    good = [one.value for one in found if one.timestamp_type != UNDECODABLE]
    assert good == values[: len(good)]
    if len(good) < len(values):  # else only the end of the frame is missing
        assert [one.offset for one in found[len(good) :]] == [len(good)]


@pytest.mark.parametrize(
    "packed",
    [
        bytes(10),
        struct.pack(">8siii", b"\x82SNAPPY\0", 1, 1, -1),
        struct.pack(">8siii", b"\x82SNAPPY\0", 1, 1, 2**31 - 1) + b"\0",
        b"\xff\xff\xff\xff\x0f" + bytes(8),
        struct.pack(">8sii", b"\x82SNAPPY\0", 1, 1) + struct.pack(">i", 0) * 1_000,
    ],
    ids=["nothing", "length below 0", "length beyond", "says it has 4 GB", "empty blocks"],
)
def test_snappy_that_lies_is_isolated(packed: bytes) -> None:
    data = batch([Written(b"{")], "snappy")[:HEADER] + packed
    assert [one.timestamp_type for one in all_of(sealed(data))] == [UNDECODABLE]


def test_a_window_of_any_size_is_read_where_little_is_in_it() -> None:
    plain = batch([Written(b"{" * 1_000)] * 10)
    parameters = zstandard.ZstdCompressionParameters.from_level(22, window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = packer.compress(plain[HEADER:]) + packer.flush()
    marked = bytearray(plain[:HEADER])
    marked[22] = CODECS.index("zstd")
    assert len(all_of(sealed(bytes(marked) + packed))) == 10
