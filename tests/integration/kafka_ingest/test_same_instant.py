"""An order and its payment that commit at the same instant do not miss each other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.domain.messages import ClientUpdated
from giftcert.storage import ingest_fences
from giftcert.storage.orders import OrderRepository
from kafka_ingest.reading import read
from kafka_ingest.source import KeptRecord, partitions_of
from kafka_ingest.transaction import ingest
from kafka_ingest.writing import keep_unmatched
from tests.integration.kafka_ingest.ingest_store import TOPICS, Store
from tests.unit.contracts.topic_records import client, order, payment

pytestmark = pytest.mark.integration


@asynccontextmanager
async def looked(store: Store, record: KeptRecord) -> AsyncIterator[AsyncConnection]:
    """A payment's transaction that has looked for its order, found none, and is still open."""
    async with store.engine.begin() as connection:
        await ingest_fences.enter(connection, partitions_of([record]))
        assert await OrderRepository(connection).lock_known(["IM-1001"]) == {}
        yield connection
        await keep_unmatched(connection, read([record], TOPICS).payments)


async def is_unsettled(store: Store) -> bool:
    return bool(await store.value("SELECT recheck FROM orders WHERE order_id = 'IM-1001'"))


async def test_a_payment_that_looked_before_its_order_was_committed_is_found(store: Store) -> None:
    """The payment begins first: it has the lower transaction id."""
    async with looked(store, store.payment_record(payment())):
        await store.commit(store.order_record(order(lines=[store.line()])))
        for _ in range(3):
            assert await store.settling.round(), "the payment's transaction is open"
        assert await store.kinds() == ["OrderStated"]
    assert await store.value("SELECT count(*) FROM unmatched_payments") == 1
    await store.settled()
    assert await store.kinds() == ["OrderStated", "PaymentCaptured"]
    assert await store.value("SELECT count(*) FROM unmatched_payments") == 0


async def test_also_if_the_order_began_first(store: Store) -> None:
    """The payment takes the next id after the order's: the snapshot's xmax would not be above it."""
    record = store.order_record(order(lines=[store.line()]))
    async with store.engine.connect() as connection:
        await ingest_fences.enter(connection, partitions_of([record]))
        async with looked(store, store.payment_record(payment())):
            await ingest(connection, read([record], TOPICS), TOPICS, store.keyring)
            await connection.commit()
            for _ in range(3):
                assert await store.settling.round(), "the payment's transaction is open"
            assert await is_unsettled(store)
    await store.settled()
    assert await store.kinds() == ["OrderStated", "PaymentCaptured"]


async def test_two_connections_at_a_barrier(store: Store) -> None:
    """Both look, both wait for each other, both write and commit, forty times over."""
    barrier = asyncio.Barrier(2)
    for nth in range(40):
        order_id = f"IM-{nth}"
        stated = store.order_record(order(orderId=order_id, lines=[store.line(nth % 4)]))
        paid = store.payment_record(payment(orderId=order_id, paymentId=order_id))

        async def pass_through(record: KeptRecord) -> None:
            async with store.engine.begin() as connection:
                await ingest_fences.enter(connection, partitions_of([record]))
                await barrier.wait()
                await ingest(connection, read([record], TOPICS), TOPICS, store.keyring)

        await asyncio.gather(pass_through(stated), pass_through(paid))
    await store.settled()
    told = [kind for nth in range(4) for kind in await store.kinds(nth)]
    assert (told.count("OrderStated"), told.count("PaymentCaptured")) == (40, 40)


async def test_nothing_is_settled_before_it_has_a_fence(store: Store) -> None:
    await store.commit(store.order_record(order(lines=[store.line()])))
    async with store.engine.begin() as connection:
        assert await OrderRepository(connection).lock_settling(10) == {}
    await store.settled()
    assert not await is_unsettled(store)


async def test_a_later_payment_does_not_overtake_one_that_missed_the_order(store: Store) -> None:
    authorized = store.payment_record(payment(eventType="payment.authorized"))
    async with looked(store, authorized):
        await store.commit(store.order_record(order(lines=[store.line()])))
    await store.commit(store.payment_record(payment()))
    assert await store.kinds() == ["OrderStated", "PaymentAuthorized", "PaymentCaptured"]


async def test_a_client_that_looked_before_the_order_was_committed_is_told(store: Store) -> None:
    record = store.client_record(client(locale="en-GB"))
    async with store.engine.begin() as connection:
        await ingest_fences.enter(connection, partitions_of([record]))
        await connection.execute(text("SELECT order_id FROM orders"))
        await store.commit(store.order_record(order(lines=[store.line()])))
        assert await store.settling.round()
        await connection.execute(
            text("""INSERT INTO clients (client_id, locale, occurred_at, event_id, message_key)
                VALUES ('C-77', 'en-GB', now(), 'cl-1', 'key')""")
        )
    await store.settled()
    told = [message for message in await store.told() if isinstance(message, ClientUpdated)]
    assert [message.locale for message in told] == ["en-GB"]


async def test_what_settling_finds_is_handed_over(store: Store) -> None:
    async with looked(store, store.payment_record(payment())):
        await store.commit(store.order_record(order(lines=[store.line()])))
    await store.settled()
    assert [one.certificate_id for one in store.handed_over] == [store.certificates[0]] * 2


async def test_a_process_that_lost_its_partition_unnoticed_waits_for_its_successor(store: Store) -> None:
    late = store.order_record(order(lines=[store.line()]))
    async with store.engine.begin() as successor:
        await ingest_fences.enter(successor, partitions_of([late]))
        committing = asyncio.create_task(store.commit(late))
        await until_it_waits(store)
        assert not committing.done()
        await ingest(successor, read([late], TOPICS), TOPICS, store.keyring)
    assert (await committing).counts == {(TOPICS.orders, "repeat"): 1}
    assert await store.kinds() == ["OrderStated"]


async def until_it_waits(store: Store) -> None:
    waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    while not await store.value(waits):
        pass
