"""An order and its payment that commit at the same instant do not miss each other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from giftcert.storage import ingest_fences
from giftcert.storage.database import Connection
from giftcert.storage.orders import OrderRepository
from kafka_ingest.decoder import decode
from kafka_ingest.records import InputRecord, partitions_of
from kafka_ingest.transaction import BatchTransaction
from tests.integration.kafka_ingest.ingest_store import NOON, TOPICS, Store, keep_unmatched
from tests.unit.contracts.topic_records import order, payment

pytestmark = pytest.mark.integration


@asynccontextmanager
async def looked(store: Store, record: InputRecord) -> AsyncIterator[Connection]:
    """A payment's transaction that has looked for its order, found none, and is still open."""
    async with store.database.transaction() as connection:
        await ingest_fences.enter(connection, partitions_of([record]))
        assert await OrderRepository(connection).lock(["IM-1001"]) == {}
        yield connection
        await keep_unmatched(connection, record)


async def ingested(store: Store, connection: Connection, record: InputRecord) -> None:
    """A record is folded in a transaction that has been entered."""
    await BatchTransaction(connection, store.rules, NOON).ingest(decode([record], TOPICS, 1_048_576))


async def is_rechecked(store: Store) -> bool:
    return bool(await store.value("SELECT recheck FROM orders WHERE order_id = 'IM-1001'"))


async def is_captured(store: Store) -> bool:
    return (await store.line_row()).standing.captured > 0


async def test_a_payment_that_looked_before_its_order_was_committed_is_found(store: Store) -> None:
    """The payment begins first: it has the lower transaction id."""
    async with looked(store, store.payment_record(payment())):
        await store.commit(store.order_record(order(lines=[store.line()])))
        for _ in range(3):
            assert await store.late_match.round(), "the payment's transaction is open"
        assert not await is_captured(store)
    assert await store.value("SELECT count(*) FROM unmatched_payments") == 1
    await store.settled()
    assert await is_captured(store)
    assert await store.value("SELECT count(*) FROM unmatched_payments") == 0


async def test_also_if_the_order_began_first(store: Store) -> None:
    """The payment takes the next id after the order's: the snapshot's xmax would not be above it."""
    record = store.order_record(order(lines=[store.line()]))
    async with store.database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await ingest_fences.enter(connection, partitions_of([record]))
        async with looked(store, store.payment_record(payment())):
            await ingested(store, connection, record)
            await transaction.commit()
            for _ in range(3):
                assert await store.late_match.round(), "the payment's transaction is open"
            assert await is_rechecked(store)
    await store.settled()
    assert await is_captured(store)


async def test_two_connections_at_a_barrier(store: Store) -> None:
    """Both look, both wait for each other, both write and commit, forty times over."""
    barrier = asyncio.Barrier(2)
    for nth in range(40):
        order_id = f"IM-{nth}"
        stated = store.order_record(order(orderId=order_id, lines=[store.line(nth % 4)]))
        paid = store.payment_record(payment(orderId=order_id, paymentId=order_id))

        async def pass_through(record: InputRecord) -> None:
            async with store.database.transaction() as connection:
                await ingest_fences.enter(connection, partitions_of([record]))
                await barrier.wait()
                await ingested(store, connection, record)

        await asyncio.gather(pass_through(stated), pass_through(paid))
    await store.settled()
    rows = [await store.line_row(f"IM-{nth}") for nth in range(40)]
    assert all(row.standing.captured for row in rows)


async def test_nothing_is_settled_before_it_has_a_fence(store: Store) -> None:
    await store.commit(store.order_record(order(lines=[store.line()])))
    async with store.database.transaction() as connection:
        assert await OrderRepository(connection).lock_rechecked(10) == {}
    await store.settled()
    assert not await is_rechecked(store)


async def test_a_later_payment_takes_one_along_that_missed_the_order(store: Store) -> None:
    first = store.payment_record(payment(captureId="K-1", amount=200_000, allocations=None))
    async with looked(store, first):
        await store.commit(store.order_record(order(lines=[store.line()], total=500_000)))
    await store.commit(store.payment_record(payment(captureId="K-2", amount=300_000, allocations=None)))
    assert (await store.line_row()).standing.captured == 500_000


async def test_what_the_recheck_finds_is_signalled(store: Store) -> None:
    async with looked(store, store.payment_record(payment())):
        await store.commit(store.order_record(order(lines=[store.line()])))
    await store.settled()
    assert [(one.certificate_id, one.signal) for one in store.handed_over] == [
        (store.certificates[0], "payment_captured")
    ]


async def test_a_process_that_lost_its_partition_unnoticed_waits_for_its_successor(store: Store) -> None:
    late = store.order_record(order(lines=[store.line()]))
    async with store.database.transaction() as successor:
        await ingest_fences.enter(successor, partitions_of([late]))
        committing = asyncio.create_task(store.commit(late))
        await until_it_waits(store)
        assert not committing.done()
        await ingested(store, successor, late)
    assert (await committing).counts == {(TOPICS.orders, "repeat"): 1}
    assert await store.pending() == ["order_created"]


async def until_it_waits(store: Store) -> None:
    waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    while not await store.value(waits):
        pass
