"""The days of payments that wait for their order, and of originals."""

import asyncio
from datetime import date, timedelta

import pytest

from giftcert.clock import utc_now
from giftcert.storage.day_partitions import drop_before, make_days
from giftcert.storage.unmatched_payments import UnmatchedPaymentRepository
from kafka_ingest.main import DAYS_AHEAD, make_days_ahead
from tests.integration.kafka_ingest.ingest_store import NOON, Store
from tests.unit.contracts.topic_records import order, payment

pytestmark = pytest.mark.integration
TODAY = NOON.date()


async def days(store: Store) -> list[str]:
    found = await store.rows(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'unmatched_payments'::regclass ORDER BY 1"
    )
    return [name for (name,) in found]


async def drop_until(store: Store, first_kept: date) -> None:
    async with store.database.transaction() as connection:
        await drop_before(connection, "unmatched_payments", first_kept)


async def test_days_are_made_ahead_and_dropped_whole_after_the_horizon(store: Store) -> None:
    await make_days_ahead(store.database, lambda: NOON)
    await make_days_ahead(store.database, lambda: NOON)
    assert len(await days(store)) == DAYS_AHEAD + 1
    await drop_until(store, TODAY + timedelta(days=2))
    assert "unmatched_payments_20261124" not in await days(store)
    assert "unmatched_payments_20261125" in await days(store)
    assert await store.value("SELECT kept_since FROM payment_horizon") == date(2026, 11, 25)


async def test_payments_of_today_stand_in_the_partition_of_today(store: Store) -> None:
    today = utc_now().date()
    await make_days_ahead(store.database, utc_now)
    await store.commit(store.payment_record(payment()))
    assert await store.value("SELECT tableoid::regclass::text FROM unmatched_payments") == (
        f"unmatched_payments_{today:%Y%m%d}"
    )


async def test_the_default_partition_catches_what_has_no_day(store: Store) -> None:
    await store.commit(store.payment_record(payment()))
    assert await store.value("SELECT count(*) FROM unmatched_payments_default") == 1
    await store.commit(store.order_record(order(lines=[store.line()])))
    assert (await store.line_row()).standing.captured > 0


async def test_an_order_named_late_is_told_once_payments_have_been_dropped(store: Store) -> None:
    await store.commit(store.order_record(order(orderId="A", orderVersion=2, lines=[store.line(0)])))
    await make_days_ahead(store.database, lambda: NOON)
    await drop_until(store, TODAY + timedelta(days=2))
    await store.commit(store.order_record(order(orderId="B", orderVersion=2, lines=[store.line(1)])))
    await store.commit(store.order_record(order(orderId="C", lines=[store.line(2)])))
    unknown = [(await store.line_row(one)).standing.earlier_payments_unknown for one in "ABC"]
    assert unknown == [False, True, False]


async def test_rows_of_dropped_days_are_gone_and_others_are_not(store: Store) -> None:
    async with store.database.transaction() as connection:
        repository = UnmatchedPaymentRepository(connection)
        await make_days(connection, "unmatched_payments", TODAY, 3)
        rows = [(TODAY + timedelta(days=nth), f"IM-{nth}", "p", 0, nth, b"") for nth in range(3)]
        await repository.keep(rows)
        assert await drop_before(connection, "unmatched_payments", TODAY + timedelta(days=2)) == [
            "unmatched_payments_20261123",
            "unmatched_payments_20261124",
        ]
        assert [row[1] for row in await repository.take(["IM-0", "IM-1", "IM-2"])] == ["IM-2"]


async def test_a_day_gets_its_partition_also_when_payments_came_before_it_was_made(store: Store) -> None:
    """Ingest began to write before the day was there; that day, and all after it, would never be made."""
    await store.commit(store.payment_record(payment()))
    await store.commit(store.payment_record(payment(orderId="IM-2")))
    await make_days_ahead(store.database, utc_now)
    assert await store.value("SELECT count(*) FROM unmatched_payments_default") == 0
    held = "SELECT DISTINCT tableoid::regclass::text FROM unmatched_payments"
    assert await store.rows(held) == [(f"unmatched_payments_{utc_now().date():%Y%m%d}",)]
    assert len(await days(store)) == DAYS_AHEAD + 1
    await store.commit(store.order_record(order(lines=[store.line()])))
    assert (await store.line_row()).standing.captured > 0


async def test_a_record_that_comes_while_its_day_is_being_made_is_applied(store: Store) -> None:
    """It was on its way to the default partition, which no longer takes it."""
    async with store.database.transaction() as connection:
        await make_days(connection, "inbox", utc_now().date(), 1)
        coming = asyncio.create_task(store.commit(store.order_record(order(lines=[store.line()]))))
        await until_somebody_waits(store)
    await coming
    assert await store.rows("SELECT reason FROM quarantine") == []
    assert await store.value("SELECT tableoid::regclass::text FROM inbox") == f"inbox_{utc_now():%Y%m%d}"


async def until_somebody_waits(store: Store) -> None:
    waiting = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while not await store.value(f"SELECT count(*) {waiting}"):
        pass


async def test_what_stands_in_the_default_partition_is_dropped_after_the_horizon_too(store: Store) -> None:
    async with store.database.transaction() as connection:
        repository = UnmatchedPaymentRepository(connection)
        rows = [(TODAY + timedelta(days=nth), f"IM-{nth}", "p", 0, nth, b"") for nth in range(3)]
        await repository.keep(rows)
        first_kept = TODAY + timedelta(days=2)
        gone = await drop_before(connection, "unmatched_payments", first_kept)
        assert gone == ["unmatched_payments_default"]
        assert await drop_before(connection, "unmatched_payments", first_kept) == []
        assert [row[1] for row in await repository.take(["IM-0", "IM-1", "IM-2"])] == ["IM-2"]
    assert await store.value("SELECT kept_since FROM payment_horizon") == date(2026, 11, 25)


async def test_originals_are_dropped_whole_too(store: Store) -> None:
    today = utc_now().date()
    await make_days_ahead(store.database, utc_now)
    await store.commit(store.order_record(order(lines=[store.line()])))
    async with store.database.transaction() as connection:
        assert await drop_before(connection, "inbox", today) == []
        gone = await drop_before(connection, "inbox", today + timedelta(days=1))
    assert gone == [f"inbox_{today:%Y%m%d}"]
    assert await store.value("SELECT count(*) FROM inbox") == 0
