"""Watermarks: until when everything of every partition is committed."""

from datetime import UTC, datetime, timedelta

import pytest

from giftcert.storage.marks import MarkRepository
from tests.integration.kafka_ingest.ingest_store import TOPICS, Store
from tests.unit.contracts.topic_records import order

pytestmark = pytest.mark.integration
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


async def advance(store: Store, at: datetime, partition: int = 0) -> None:
    async with store.database.transaction() as connection:
        await MarkRepository(connection).advance([(TOPICS.orders, partition, at, 0)])


async def least(store: Store) -> datetime | None:
    """The least of all marks, if there is none that holds everything back."""
    [(least,)] = await store.rows(
        "SELECT CASE WHEN isfinite(min(caught_up_to)) THEN min(caught_up_to) END FROM ingest_marks"
    )
    found: datetime | None = least
    return found


async def test_a_partition_holds_back_until_it_is_caught_up_for_the_first_time(store: Store) -> None:
    async with store.database.transaction() as connection:
        await MarkRepository(connection).register([(TOPICS.orders, 0), (TOPICS.orders, 1)])
    await advance(store, NOON)
    assert await least(store) is None
    await advance(store, NOON, partition=1)
    assert await least(store) == NOON


async def test_no_mark_moves_back(store: Store) -> None:
    await advance(store, NOON)
    await advance(store, NOON - timedelta(hours=1))
    assert await least(store) == NOON
    async with store.database.transaction() as connection:
        await MarkRepository(connection).register([(TOPICS.orders, 0)])
    assert await least(store) == NOON


async def test_an_order_that_may_still_have_unseen_payments_holds_the_marks(store: Store) -> None:
    await store.commit(store.order_record(order(lines=[store.line()])))
    mapped_at = await store.value("SELECT mapped_at FROM orders")
    await advance(store, mapped_at + timedelta(minutes=1))
    assert await least(store) == mapped_at
    await store.settled()
    await advance(store, mapped_at + timedelta(minutes=1))
    assert await least(store) == mapped_at + timedelta(minutes=1)


async def test_a_topic_that_was_made_anew_is_not_committed_however_far_the_old_one_was(store: Store) -> None:
    async with store.database.transaction() as connection:
        marks = MarkRepository(connection)
        await marks.register([(TOPICS.orders, 0), (TOPICS.orders, 1)])
        assert await marks.identify([(TOPICS.orders, 0, "old"), (TOPICS.orders, 1, "old")]) == []
        await marks.advance([(TOPICS.orders, 0, NOON, 7), (TOPICS.orders, 1, NOON, 8)])
        assert await marks.identify([(TOPICS.orders, 0, "old")]) == []
        assert await marks.identify([(TOPICS.orders, 0, "new")]) == [(TOPICS.orders, 0)]
        found = await marks.all()
    assert [(one.caught_up_to, one.reached) for _, one in sorted(found.items())] == [(None, None), (NOON, 8)]
    assert await least(store) is None
