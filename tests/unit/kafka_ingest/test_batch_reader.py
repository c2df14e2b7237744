"""Whatever a batch unpacks to, memory stays flat; what is in it comes as it was written."""

import struct
import subprocess
import sys
import tracemalloc
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import zstandard

from kafka_ingest import batch_reader
from kafka_ingest.decoder import decode
from kafka_ingest.quarantine import TOO_LARGE, UNDECODABLE_BATCH
from kafka_ingest.records import KEPT_OF_TOO_LARGE, CutBytes, size_of
from kafka_ingest.undecodable_batches import (
    TAKEN_AT_ONCE,
    UNDECODABLE,
    taking,
)
from tests.hostile_batches import ATTRIBUTES, CODECS, HEADER, Written, batch, sealed
from tests.unit.kafka_ingest.fetched_batches import LIMIT, fetched, takings
from tests.unit.kafka_ingest.ingest_memory import TOPICS

MEGABYTE = 2**20


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


def test_a_process_stays_small_while_it_reads_batches_of_600_mb(tmp_path: Path) -> None:
    """What codecs allocate beside Python counts here too."""
    for codec in ("gzip", "lz4", "zstd"):
        (tmp_path / codec).write_bytes(batch([Written(600 * MEGABYTE)], codec))
    command = [sys.executable, "-m", "tests.unit.kafka_ingest.reading_memory", *map(str, tmp_path.iterdir())]
    grown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert int(grown) < 16 * MEGABYTE


def test_many_empty_records_are_taken_some_at_a_time() -> None:
    taken = takings(batch([Written(None, key=None)] * 30_000, "gzip"))
    assert [len(one) for one in taken] == [8_000, 8_000, 8_000, 6_000]


def test_what_is_unpacked_counts_although_it_is_not_kept() -> None:
    """Else thousands of small batches of large headers would hold up the process for minutes."""
    data = batch([Written(b"{", headers=((b"h", bytes(90_000)),))], "zstd")
    batches = b"".join(struct.pack(">q", nth) + data[8:] for nth in range(400))
    assert [len(taken) for taken in takings(batches)] == [187, 187, 26]


def test_the_bound_of_a_batch_is_over_with_it() -> None:
    """Whoever reads in the same process afterwards would get nothing, for ever."""
    data = batch([Written(b"{", headers=((b"h", bytes(90_000)),))] * 400, "zstd")
    with taking():
        assert len(fetched(data).getall()) < 400
    assert len(fetched(data).getall()) == 400


def test_what_is_cut_is_known_by_its_size_and_hash() -> None:
    [record] = all_of(batch([Written(3 * MEGABYTE)], "zstd"))
    assert isinstance(record.value, CutBytes)
    assert (len(record.value), size_of(record.value)) == (KEPT_OF_TOO_LARGE, 3 * MEGABYTE)
    assert record.value.sha256 == sha256(bytes(3 * MEGABYTE)).digest()


def test_headers_are_not_kept() -> None:
    headers = ((b"h", b"x" * 1_000),) * 50
    assert {one.headers for one in all_of(batch([Written(b"{", headers=headers)] * 9, "lz4"))} == {()}


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("header", [b"\xff\xfe", b"", b"k" * 10_000], ids=["no UTF-8", "empty", "long"])
def test_a_header_of_any_name_costs_no_record(codec: str, header: bytes) -> None:
    written = [Written(b"%d" % nth, headers=((header, None),) * (nth == 1)) for nth in range(3)]
    found = all_of(batch(written, codec, offset=4))
    assert [(one.offset, one.value, one.headers) for one in found] == [
        (4, b"0", ()),
        (5, b"1", ()),
        (6, b"2", ()),
    ]


def test_a_batch_of_more_records_than_fit_into_a_plain_one_is_isolated() -> None:
    data = batch([Written(None, key=None)] * (batch_reader.MOST_RECORDS + 1), "gzip")
    assert [one.timestamp_type for one in all_of(data)] == [UNDECODABLE]


@pytest.mark.parametrize("last_offset", [0, 1], ids=["fewer offsets", "more records than it says"])
def test_records_beyond_what_their_batch_says_are_isolated(last_offset: int) -> None:
    data = bytearray(batch([Written(b"{")] * 3))
    struct.pack_into(">i", data, 23, last_offset)
    if last_offset:
        struct.pack_into(">i", data, HEADER - 4, 2)
    found = all_of(sealed(bytes(data)))
    assert [one.offset for one in found] == list(range(len(found)))
    assert found[-1].timestamp_type == UNDECODABLE


def test_of_an_undecodable_batch_above_the_limit_only_the_beginning_is_kept() -> None:
    data = bytearray(batch([Written(3 * MEGABYTE)]))
    data[ATTRIBUTES + 1] |= 7
    [record] = all_of(sealed(bytes(data)))
    assert (len(record.value), size_of(record.value)) == (KEPT_OF_TOO_LARGE, len(data))


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
