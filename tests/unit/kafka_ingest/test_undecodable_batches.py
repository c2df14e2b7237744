"""A batch that cannot be decoded becomes one record; those around it are read as ever."""

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from structlog.testing import capture_logs

from giftcert.security.keyring import Keyring
from kafka_ingest import undecodable_batches
from kafka_ingest.decoder import decode
from kafka_ingest.quarantine import UNDECODABLE_BATCH, named_things
from kafka_ingest.records import InputRecord
from kafka_ingest.undecodable_batches import BoundedResult, IsolatingRecords, records_in
from tests.unit.kafka_ingest.fetched_batches import fetched as bounded
from tests.unit.kafka_ingest.ingest_memory import TOPICS

NONE, GZIP = 0, 1
_ATTRIBUTES, _RECORDS = 21, 61


def batch(first: int, *values: bytes, compression: int = NONE) -> bytearray:
    """A batch as a producer makes it, at this offset."""
    builder = DefaultRecordBatchBuilder(2, compression, False, -1, -1, 0, 1 << 20)
    for nth, value in enumerate(values):
        builder.append(nth, 1_763_892_000_000, b"IM-1", value, [])
    data = bytearray(builder.build())
    struct.pack_into(">q", data, 0, first)
    return data


def of_unknown_compression(first: int, *values: bytes) -> bytearray:
    """The same, marked with a compression that does not exist; its checksum is right."""
    data = batch(first, *values)
    data[_ATTRIBUTES + 1] |= 7
    return with_checksum(data)


def with_checksum(data: bytearray) -> bytearray:
    struct.pack_into(">I", data, 17, calc_crc32c(memoryview(data)[_ATTRIBUTES:]))
    return data


def fetched(data: bytes, at: int = 0) -> PartitionRecords:
    return PartitionRecords(
        TopicPartition("orders", 0), IsolatingRecords(data), None, at, None, None, True, READ_UNCOMMITTED
    )


def offsets(records: Iterable[Any]) -> list[int]:
    return [record.offset for record in records]


def test_good_batches_are_read_as_ever() -> None:
    partition = fetched(bytes(batch(5, b"a", b"b") + batch(7, b"c", compression=GZIP)), at=6)
    records = list(partition)
    assert [(one.offset, one.key, one.value) for one in records] == [(6, b"IM-1", b"b"), (7, b"IM-1", b"c")]
    assert partition.next_fetch_offset == 8


def test_a_batch_that_is_cut_off_at_the_end_comes_again() -> None:
    whole = bytes(batch(0, b"a"))
    assert offsets(fetched(whole + whole[:-1])) == [0]
    assert not IsolatingRecords(whole[:11]).has_next()


def test_an_unknown_compression_becomes_one_record_and_the_next_batch_is_read() -> None:
    bad = of_unknown_compression(10, b"a", b"b", b"c")
    partition = fetched(bytes(batch(9, b"x") + bad + batch(13, b"y")), at=9)
    records = list(partition)
    assert offsets(records) == [9, 10, 13]
    assert partition.next_fetch_offset == 14
    [rejection] = decode(records[1:2], TOPICS, 1_000_000).rejections
    assert rejection.reason == UNDECODABLE_BATCH
    assert rejection.source.value == bytes(bad)


def test_broken_compressed_bytes_become_one_record() -> None:
    bad = batch(0, b"a" * 500, compression=GZIP)
    bad[_RECORDS : _RECORDS + 4] = b"\0\0\0\0"
    assert offsets(fetched(bytes(with_checksum(bad) + batch(1, b"y")))) == [0, 1]


def test_a_wrong_checksum_is_fetched_again_before_it_counts() -> None:
    bad = batch(0, b"a")
    bad[-1] ^= 0xFF
    outcomes = []
    for _ in range(3):
        try:
            outcomes.append(offsets(fetched(bytes(bad + batch(1, b"y")))))
        except Exception as error:  # noqa: BLE001 - aiokafka's own
            outcomes.append(type(error).__name__)
    assert outcomes == ["CorruptRecordException", "CorruptRecordException", [0, 1]]


def test_a_batch_that_could_not_be_decoded_is_readable_once_its_compression_is_known() -> None:
    kept = bytes(batch(0, b"a", b"b", compression=GZIP))
    assert [one.value for one in records_in(kept, 1_000_000)] == [b"a", b"b"]


@pytest.mark.parametrize("topic", ["orders", "payments"])
def test_such_a_record_cannot_be_searched(topic: str, tmp_path: Path) -> None:
    [record] = [one for one in fetched(bytes(of_unknown_compression(0, b"a"))) if one.offset == 0]
    keyring = Keyring.create(tmp_path / "keyring.json")
    moved = InputRecord(topic, 0, 0, record.key, record.value)
    assert not named_things(moved, TOPICS, keyring).searchable


def test_a_place_that_cannot_be_read_is_logged_once_however_often_it_is_fetched_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(BoundedResult, "_take", _out_of_memory)
    monkeypatch.setattr(undecodable_batches, "_unreadable", {})
    with capture_logs() as logged:
        for topic in ("orders", "orders", "payments"):
            bounded(bytes(batch(0, b"{}")), topic).getall()
    assert [(line["topic"], line["error"]) for line in logged] == [
        ("orders", "MemoryError"),
        ("payments", "MemoryError"),
    ]


def _out_of_memory(*_: object) -> NoReturn:
    raise MemoryError
