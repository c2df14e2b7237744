"""A client that is erased: whom its certificates are for stands nowhere, however the messages meet."""

import pytest

from giftcert.storage import ingest_fences
from kafka_ingest.decoder import decode
from kafka_ingest.records import partitions_of
from kafka_ingest.transaction import ingest
from tests.integration.kafka_ingest.ingest_store import NOON, TOPICS, Store
from tests.unit.contracts.topic_records import client, order

pytestmark = pytest.mark.integration


async def recipients(store: Store) -> int:
    count: int = await store.value("SELECT count(*) FROM order_lines WHERE recipient IS NOT NULL")
    return count


async def erase(store: Store, client_id: str = "C-77") -> None:
    await store.commit(store.client_record(None, client_id))


def sold(store: Store, nth: int = 0, **changes: object) -> dict[str, object]:
    return order(lines=[store.line(nth)], total=500_000, **changes)


async def test_an_erasure_takes_the_recipients_of_all_orders_of_the_client(store: Store) -> None:
    for nth in range(2):
        await store.commit(store.order_record(sold(store, nth, orderId=f"IM-{nth}")))
    await store.commit(store.order_record(sold(store, 2, orderId="IM-other", customerId="C-2")))
    await erase(store)
    await store.settled()
    assert await recipients(store) == 1
    assert await store.rows("SELECT erased, locale FROM clients") == [(True, None)]


async def test_a_later_version_of_the_order_stores_no_recipient(store: Store) -> None:
    await store.commit(store.order_record(sold(store)))
    await erase(store)
    await store.settled()
    later = sold(store, orderVersion=2, eventType="order.changed", eventId="so-2")
    await store.commit(store.order_record(later))
    assert await recipients(store) == 0


async def test_also_of_those_who_were_merged_into_the_client_before_or_are_later(store: Store) -> None:
    await store.commit(
        store.order_record(sold(store, 0, orderId="IM-1", customerId="C-1")),
        store.order_record(sold(store, 1, orderId="IM-2", customerId="C-2")),
        store.client_record(client(clientId="C-1", mergedInto="C-77"), "C-1"),
    )
    await erase(store)
    await store.settled()
    assert await recipients(store) == 1
    await store.commit(store.client_record(client(clientId="C-2", mergedInto="C-77", eventId="cl-2"), "C-2"))
    await store.settled()
    assert await recipients(store) == 0


async def test_an_order_that_did_not_see_the_erasure_is_looked_at_again(store: Store) -> None:
    """Its transaction is open while the client is erased, and commits a recipient afterwards."""
    record = store.order_record(sold(store))
    async with store.engine.begin() as connection:
        await ingest_fences.enter(connection, partitions_of([record]))
        await ingest(connection, decode([record], TOPICS, 1_048_576), store.rules, NOON)
        await erase(store)
        for _ in range(3):
            assert await store.late_match.round(), "the order's transaction is open"
    assert await recipients(store) == 1
    await store.settled()
    assert await recipients(store) == 0


async def test_a_client_known_again_after_its_erasure_may_have_recipients(store: Store) -> None:
    await erase(store)
    await store.settled()
    await store.commit(store.client_record(client(occurredAt="2026-12-01T00:00:00Z")))
    await store.commit(store.order_record(sold(store)))
    assert await recipients(store) == 1
