"""A client that is erased: whom its certificates are for stands nowhere, however the messages meet."""

from datetime import timedelta
from uuid import uuid4

import pytest

from giftcert.domain.certificate.messages import AuthorizeRedemption
from giftcert.storage import ingest_fences
from giftcert.storage.database import Database
from kafka_ingest.decoder import decode
from kafka_ingest.records import InputRecord, partitions_of
from kafka_ingest.transaction import BatchTransaction
from tests.integration.kafka_ingest.ingest_store import NOON, TOPICS, Store, add_certificates, reserve_all
from tests.integration.kafka_ingest.leading import Leading
from tests.unit.contracts.topic_records import client, order, payment, withdrawal

pytestmark = pytest.mark.integration
RECIPIENT = {"ref": "R-somebody", "channel": "email", "locale": "ru-RU"}


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
    async with store.database.transaction() as connection:
        await ingest_fences.enter(connection, partitions_of([record]))
        await BatchTransaction(connection, store.rules, NOON).ingest(decode([record], TOPICS, 1_048_576))
        await erase(store)
        for _ in range(3):
            assert await store.late_match.round(), "the order's transaction is open"
    assert await recipients(store) == 1
    await store.settled()
    assert await recipients(store) == 0


async def test_whatever_became_of_the_certificates_the_recipient_is_stored_nowhere(
    store: Store, database: Database
) -> None:
    """Reserved, ordered, sold, spent, refunded, expired and released; then each order gets another version."""
    store.certificates = await add_certificates(database, 7)
    reserved, ordered, issued, spent, refunded, expired, released = range(7)
    reservations = {one: str(uuid4()) for one in store.certificates}
    await reserve_all(database, reservations)
    leading = Leading(database, store.keyring)

    async def paid(nth: int) -> None:
        paying = {"orderId": f"IM-{nth}", "paymentId": f"P-{nth}", "amount": 500_000, "allocations": None}
        await store.commit(store.payment_record(payment(eventId=f"c-{nth}", **paying)))
        await leading.lead()
        if nth == refunded:
            back = payment(eventType="payment.refunded", refundId="R-1", eventId="r-1", **paying)
            await store.commit(store.payment_record(back))

    def version(nth: int, number: int, **changes: object) -> InputRecord:
        line = store.line(nth, reservationId=reservations[store.certificates[nth]], recipient=RECIPIENT)
        names = {"orderId": f"IM-{nth}", "orderVersion": number, "eventId": f"so-{nth}-{number}"}
        return store.order_record(order(lines=[line], total=500_000, **names | changes))

    for nth in (expired, ordered, issued, spent, refunded, released):
        await store.commit(version(nth, 1))
        await leading.lead()
        if nth in (issued, spent, refunded, expired):
            await paid(nth)
        if nth == released:
            gone = withdrawal(orderId=f"IM-{nth}", eventId="gone")
            await store.commit(store.order_record(gone))
        await leading.lead()
        if nth == expired:
            await leading.lifecycle.advance(store.certificates[nth], NOON + timedelta(days=366))
    hold = AuthorizeRedemption(
        redemption_id="R-1", amount=100_000, channel="pos", order_id="POS-1", currency="RUB"
    )
    await leading.lifecycle.act(store.certificates[spent], hold, NOON)
    captured = payment(
        tender="giftCertificate",
        certificateId=store.certificates[spent],
        orderId="POS-1",
        channel="pos",
        amount=100_000,
        redemptionId="R-1",
        allocations=None,
        paymentId="P-S",
        eventId="p-s",
    )
    await store.commit(store.payment_record(captured))
    await leading.lead()
    statuses = [(await leading.state(one)).shown_status for one in store.certificates]
    assert statuses == [
        "reserved",
        "ordered",
        "issued",
        "partiallyRedeemed",
        "refunded",
        "expired",
        "available",
    ]
    assert await places_of(store, RECIPIENT["ref"]) == {"order_lines", "events"}
    told_before = await store.value("SELECT count(*) FROM events")

    await erase(store)
    await store.settled()
    for nth in (*range(1, 7), reserved):
        later = {"eventType": "order.changed", "occurredAt": "2026-11-23T12:00:00Z"}
        await store.commit(version(nth, 3, **later) if nth else version(nth, 1))
        await leading.lead()
    await paid(ordered)
    await leading.lead()
    await store.settled()
    assert (await leading.state(store.certificates[ordered])).shown_status == "issued"
    assert await store.value("SELECT count(*) FROM events") > told_before
    assert await places_of(store, RECIPIENT["ref"]) == {"events"}
    since = "SELECT payload FROM events WHERE payload->'recipient'->>'ref' = :ref AND stream_key = :key"
    key = store.certificates[ordered]
    assert await store.rows(since, ref=RECIPIENT["ref"], key=key) == [], "announced after the erasure"


async def places_of(store: Store, word: str) -> set[str]:
    """Return the tables in which a word stands in any column."""
    tables = await store.rows(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
    )
    statement = "SELECT EXISTS (SELECT FROM {} AS t WHERE t::text LIKE '%' || :word || '%')"
    return {name for (name,) in tables if await store.value(statement.format(name), word=word)}


async def test_a_client_known_again_after_its_erasure_may_have_recipients(store: Store) -> None:
    await erase(store)
    await store.settled()
    await store.commit(store.client_record(client(occurredAt="2026-12-01T00:00:00Z")))
    await store.commit(store.order_record(sold(store)))
    assert await recipients(store) == 1
