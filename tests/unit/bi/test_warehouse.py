"""The file of BI: each event once, restartable, rebuildable, by day."""

import json
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from giftcert.bi.warehouse import ReadRecord, Warehouse, WarehouseError
from tests.unit.bi.bi_records import NOON, ORDERS, STREAM, Filled, instant, number, order, payment


def test_an_event_that_comes_again_is_there_once(filled: Filled) -> None:
    filled.stream.issued()
    filled.stream.values *= 3

    assert filled.load() == 1
    assert filled.query("SELECT count(*) FROM stream") == [(1,)]
    assert filled.query("SELECT count(*) FROM unread") == [(0,)]


def test_a_repeat_with_other_content_is_named_by_its_place(filled: Filled) -> None:
    filled.stream.issued()
    other = json.loads(filled.stream.values[0]) | {"status": "redeemed"}
    filled.stream.write(other)
    filled.load()

    assert filled.query("SELECT status FROM stream") == [("issued",)]
    assert filled.query('SELECT "offset", reason FROM unread') == [(1, "repeatDiffers")]


@pytest.mark.parametrize("value", ["", "{", "[]", "null", "{}", '{"eventId": "x", "eventType": 5}', "\0"])
def test_what_is_no_message_is_named_by_its_place_and_stops_nothing(filled: Filled, value: str) -> None:
    for topic in (filled.stream, filled.orders, filled.payments):
        topic.write(value)
    filled.stream.issued()
    filled.orders.write(order())
    filled.payments.write(payment())
    filled.load()

    assert filled.query("SELECT topic, reason FROM unread ORDER BY topic") == [
        ("All_Payments", "unreadable"),
        ("All_SalesOrder", "unreadable"),
        ("GiftCertificates.Stream", "unreadable"),
    ]
    assert filled.query("SELECT (SELECT count(*) FROM stream) + (SELECT count(*) FROM orders)") == [(2,)]


def test_rows_and_positions_are_written_together_or_not_at_all(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.stream.issued()
    monkeypatch.setattr("giftcert.bi.warehouse._ADVANCE", "SELECT error('out of power')")
    with pytest.raises(duckdb.Error):
        filled.load()
    monkeypatch.undo()

    assert filled.warehouse.positions(STREAM.topic) == {}
    assert filled.query("SELECT count(*) FROM stream") == [(0,)]
    assert filled.load() == 1
    assert filled.warehouse.positions(STREAM.topic) == {0: 1}


def test_a_file_that_was_closed_goes_on_where_it_was(tmp_path: Path) -> None:
    first = Filled.at(tmp_path)
    first.stream.issued()
    first.load()
    first.warehouse.close()

    second = Filled.at(tmp_path)
    second.stream.values = first.stream.values
    second.stream.issued(certificate=2)

    assert second.load() == 1
    assert second.query("SELECT count(*) FROM stream") == [(2,)]
    second.warehouse.close()


def test_a_till_that_sends_its_day_again_counts_once(filled: Filled) -> None:
    """Messages are known by what they are about, whatever their event ids: as contracts for partners say."""
    for event_id in ("so-1", "so-2"):
        filled.orders.write(order(eventId=event_id))
        filled.payments.write(payment(eventId=f"{event_id} paid"))
        filled.payments.write(
            payment(event_type="payment.refunded", refundId="r-1", eventId=f"{event_id} back")
        )
    filled.orders.write(order(version=2, eventType="order.changed"))
    filled.payments.write(payment(occurredAt=instant(NOON + timedelta(seconds=1))))
    filled.load()

    assert filled.query("SELECT order_version FROM orders ORDER BY 1") == [(1,), (2,)]
    assert filled.query("SELECT event_type, count(*) FROM payments GROUP BY 1 ORDER BY 1") == [
        ("payment.captured", 2),
        ("payment.refunded", 1),
    ]


@pytest.mark.parametrize("lines", [None, ["1"], [{"lineId": "1"}]])
def test_a_cancellation_is_read_however_it_names_its_lines(filled: Filled, lines: object) -> None:
    filled.orders.write(order(eventType="order.cancelled", version=2, lines=lines))
    filled.load()

    assert filled.query("SELECT event_type, order_version FROM orders") == [("order.cancelled", 2)]


def test_whom_a_certificate_is_for_is_not_copied(filled: Filled) -> None:
    filled.orders.write(order())
    filled.load()

    [(lines,)] = filled.query("SELECT lines FROM orders")
    assert lines == [
        {"lineId": "1", "kind": "giftCertificate", "certificateId": number(1), "amount": 450_000}
    ]


def test_a_day_ends_at_midnight_of_the_time_zone_and_is_closed_an_hour_later(tmp_path: Path) -> None:
    filled = Filled.at(tmp_path, "Asia/Vladivostok")  # UTC+10: its midnight is 14:00 UTC
    filled.stream.issued(NOON)
    filled.stream.issued(NOON + timedelta(hours=2), certificate=2)
    filled.load(NOON + timedelta(hours=2, minutes=59))
    days = "SELECT CAST(day AS VARCHAR), is_closed FROM days ORDER BY day"

    assert filled.query(days) == [("2026-11-23", False), ("2026-11-24", False)]
    filled.load(NOON + timedelta(hours=3))
    assert filled.query(days) == [("2026-11-23", True), ("2026-11-24", False)]
    filled.warehouse.close()


def test_a_file_of_another_time_zone_has_to_be_filled_anew(tmp_path: Path) -> None:
    Filled.at(tmp_path).warehouse.close()

    with pytest.raises(
        WarehouseError, match=r"time zone UTC, not for version 1 and Europe/Moscow.*--rebuild"
    ):
        Filled.at(tmp_path, "Europe/Moscow")


def test_a_time_zone_that_is_none_is_refused_by_the_name_of_its_setting(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="GIFTCERT_BI_TIME_ZONE=Mars"):
        Filled.at(tmp_path, "Mars")


def test_what_is_no_filled_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="`giftcert bi load` makes it"):
        Warehouse.open_to_read(tmp_path / "none.duckdb")
    (tmp_path / "text").write_text("no database")
    with pytest.raises(WarehouseError, match="cannot be opened"):
        Warehouse.open_to_read(tmp_path / "text")
    duckdb.connect(tmp_path / "other.duckdb").close()
    with pytest.raises(WarehouseError, match="--rebuild"):
        Warehouse.open_to_read(tmp_path / "other.duckdb")


def test_a_large_batch_is_read_at_once(filled: Filled) -> None:
    value = json.dumps(order())
    records = [ReadRecord(one % 8, one // 8, 0, value) for one in range(10_000)]

    assert filled.warehouse.add(ORDERS, records, NOON) == 10_000
    assert filled.warehouse.positions(ORDERS.topic) == dict.fromkeys(range(8), 1_250)
