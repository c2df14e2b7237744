"""A crash between any two steps of a batch: it comes again, and the end is as if nothing had been."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

import pytest

from giftcert.storage.database import Database
from giftcert.storage.marks import MarkRepository
from kafka_ingest.late_match import LateMatch
from kafka_ingest.main import make_days_ahead
from kafka_ingest.records import InputRecord
from kafka_ingest.writer import BatchWriter, Failure, failure_of
from tests.conftest import new_database
from tests.cuttable import Cuttable, cuttable
from tests.integration.kafka_ingest.ingest_store import NOON, TOPICS, Store, add_certificates, keep_unmatched
from tests.unit.contracts.topic_records import certificate_line, client, goods_line, order, payment

pytestmark = pytest.mark.integration
ENOUGH = 100


Work = Callable[[Store, Database], Awaitable[object]]


def everything_in_one_batch(store: Store, nth: int) -> list[InputRecord]:
    """A batch that needs every kind of step: joins, waiting payments, repeats, spendings, clients, rejections."""
    first, second = store.line(2 * nth), store.line(2 * nth + 1, lineId="3")
    unknown = certificate_line(lineId="4", certificateId="01936f5e-0000-7000-8000-00000000dead")
    spent = {"tender": "giftCertificate", "certificateId": store.certificates[2 * nth]}
    ids = {"orderId": f"IM-{nth}", "customerId": f"C-{nth}"}
    paid = {"orderId": f"IM-{nth}", "paymentId": f"P-{nth}"}
    return [
        store.client_record(client(clientId=f"C-{nth}"), f"C-{nth}"),
        store.order_record(order(**ids, lines=[goods_line(), first])),
        store.order_record(
            order(
                **ids,
                lines=[goods_line(), first, second, unknown],
                total=1_750_000,
                orderVersion=2,
                eventType="order.changed",
            )
        ),
        store.payment_record(payment(orderId=f"spent-{nth}", paymentId=f"S-{nth}", **spent)),
        store.payment_record(payment(**paid, captureId="K-2")),
        store.payment_record(payment(**paid, captureId="K-2", eventId="again")),
        store.payment_record(payment(orderId=f"goods-{nth}")),
        store.order_record(b"\xff"),
        store.payment_record(b"{}"),
    ]


async def attempt(database: Database, store: Store, batch: list[InputRecord]) -> Failure | None:
    writer = BatchWriter(database, store.rules)
    try:
        await writer.commit(batch, writer.decode(batch))
    except Exception as error:  # noqa: BLE001 - what ingest makes of it is asserted
        return failure_of(error)
    return None


async def check(store: Store, nth: int) -> None:
    first, second, unknown = await store.lines(f"IM-{nth}")
    assert [one.standing.captured for one in (first, second, unknown)] == [500_000, 0, 0]
    assert first.unpaid_until is not None, "the payment that waited is folded too"
    assert (first.speaker, second.speaker) == tuple(store.certificates[2 * nth : 2 * nth + 2])
    assert sorted(await store.pending(2 * nth)) == ["certificate_spent", "payment_captured"]
    assert await store.pending(2 * nth + 1) == ["payment_captured"]
    assert await store.value("SELECT count(*) FROM spendings") == nth + 1
    assert await store.value("SELECT count(*) FROM inbox WHERE order_id = :id", id=f"IM-{nth}") == 4
    assert await store.value("SELECT count(*) FROM quarantine") == 3 * (nth + 1)
    assert await store.value("SELECT count(*) FROM events") == 3 * (nth + 1)


async def steps_survived(store: Store, way: Cuttable, database: Database, *, after_passing: bool) -> int:
    """Cut the way to PostgreSQL at each step in turn; return how many steps there were."""
    for nth in count():
        waited = {"orderId": f"IM-{nth}", "paymentId": f"P-{nth}", "eventType": "payment.authorized"}
        await store.commit(store.payment_record(payment(**waited)))
        batch = everything_in_one_batch(store, nth)
        way.cut_once_at(nth + 1, after_passing=after_passing)
        failure = await attempt(database, store, batch)
        way.never_mind()
        if failure is None:
            assert not way.was_cut.is_set()
            await check(store, nth)
            return nth
        assert failure is Failure.AWAY
        assert await attempt(database, store, batch) is None
        await check(store, nth)
        assert await attempt(database, store, batch) is None, "offsets not committed: it comes once more"
        await check(store, nth)
    raise AssertionError("unreachable")


@pytest.mark.parametrize("after_passing", [False, True], ids=["unheard", "unanswered"])
async def test_a_crash_between_any_two_steps_changes_nothing(
    fresh_database_url: str, store: Store, *, after_passing: bool
) -> None:
    store.certificates = await add_certificates(store.database, 2 * ENOUGH)
    async with cuttable(fresh_database_url) as (way, url):
        database = Database(url, pool_size=1)
        warm = [store.payment_record(payment(orderId="goods"))]
        assert await attempt(database, store, warm) is None
        steps = await steps_survived(store, way, database, after_passing=after_passing)
        await database.close()
    assert steps >= 15


async def looked_at_again(store: Store, database: Database) -> None:
    """An order's payments and buyer that its mapping missed are found."""
    late_match = LateMatch(database, store.rules, store.handed_over.extend, store.clock)
    while await late_match.round():
        pass


async def days_made(_: Store, database: Database) -> None:
    await make_days_ahead(database, lambda: datetime(2030, 1, 1, tzinfo=UTC))


async def marked(_: Store, database: Database) -> None:
    async with database.transaction() as connection:
        marks = MarkRepository(connection)
        await marks.register([(TOPICS.orders, 0), (TOPICS.payments, 0)])
        await marks.advance([(TOPICS.orders, 0, datetime(2030, 1, 1, tzinfo=UTC), 0)])


async def what_is_left(store: Store) -> list[object]:
    """All that such work changes, but for what is counted."""
    questions = (
        "SELECT order_id, recheck, recheck_fence IS NULL FROM orders",
        "SELECT relname FROM pg_class WHERE relname ~ '^(inbox|unmatched_payments)_2030' ORDER BY 1",
        "SELECT topic, partition, caught_up_to = '2030-01-01+00' FROM ingest_marks ORDER BY 1",
    )
    return [*(await store.everything()), *[await store.rows(question) for question in questions]]


async def with_a_missed_payment(store: Store) -> None:
    await store.commit(store.order_record(order(lines=[store.line()])))
    missed = store.payment_record(payment())
    async with store.database.transaction() as connection:
        await keep_unmatched(connection, missed)


@pytest.mark.parametrize("after_passing", [False, True], ids=["unheard", "unanswered"])
@pytest.mark.parametrize("work", [looked_at_again, days_made, marked])
async def test_a_crash_at_any_step_of_what_ingest_does_beside_its_batches_changes_nothing(
    fresh_database_url: str, postgres_url: str, store: Store, work: Work, *, after_passing: bool
) -> None:
    """Each step is cut in turn, always in the same database: whatever was done is not done twice."""
    store.clock = lambda: NOON
    whole = Database(await new_database(postgres_url))
    untroubled = replace(store, database=whole, offsets={}, handed_over=[])
    await add_certificates(whole, len(store.certificates), store.certificates)
    await with_a_missed_payment(untroubled)
    await work(untroubled, whole)
    await with_a_missed_payment(store)
    async with cuttable(fresh_database_url) as (way, url):
        database = Database(url, pool_size=1)
        async with database.connection():
            pass  # connecting is no step of the work
        for nth in count(1):
            way.cut_once_at(nth, after_passing=after_passing)
            with suppress(Exception):
                await work(store, database)
            way.never_mind()
            if not way.was_cut.is_set():
                break
        await work(store, database)
        await database.close()
    assert nth > 2
    assert await what_is_left(store) == await what_is_left(untroubled)
    await whole.close()
