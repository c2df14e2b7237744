"""The erasure of a client in all stores: what goes, what stays and why, as the command reports it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from temporalio.client import Client

from giftcert.lifecycle.erasure import Erasure, ErasureReport
from giftcert.storage.database import Database
from giftcert.temporal.runs import CertificateRuns
from kafka_ingest.replay import Replay
from tests.integration.kafka_ingest.ingest_store import NOON, TOPICS, Store
from tests.shared_servers import as_owner
from tests.unit.contracts.topic_records import client, order, raw

pytestmark = pytest.mark.integration
RECIPIENT = {"ref": "R-somebody", "channel": "email", "locale": "ru-RU"}


@pytest.fixture
async def owners(fresh_database_url: str) -> AsyncIterator[Database]:
    async with Database(as_owner(fresh_database_url)) as database:
        yield database


def erasing(store: Store, database: Database, temporal: Client) -> Erasure:
    return Erasure(database, store.keyring, CertificateRuns(temporal), "general", lambda: NOON)


def left(report: ErasureReport) -> dict[str, int]:
    return {one.store: one.remains for one in report.findings if not one.is_done}


def erased(report: ErasureReport) -> dict[str, int]:
    return {one.store: one.erased for one in report.findings if one.erased}


async def sell(store: Store, nth: int, customer: str) -> None:
    line = store.line(nth, recipient=RECIPIENT)
    sold = order(lines=[line], total=500_000, orderId=f"IM-{nth}", customerId=customer, buyerName="Somebody")
    await store.commit(store.order_record(sold))


async def test_all_that_may_go_goes_and_the_rest_is_named(
    store: Store, owners: Database, temporal: Client
) -> None:
    await store.commit(store.client_record(client(locale="ru-RU")))
    for nth, customer in enumerate(("C-77", "C-1", "C-2")):
        await sell(store, nth, customer)
    await store.commit(store.client_record(client(clientId="C-1", mergedInto="C-77", eventId="cl-1"), "C-1"))
    broken = raw(order(orderId="IM-0", eventId="so-bad", customerId="C-77", lines="none"))
    for value in (broken, broken + b" "):
        await store.commit(store.record(TOPICS.orders, value, "IM-0"))
    await store.commit(
        store.record(TOPICS.orders, raw(order(orderId="IM-00", customerId="C-9", lines="none")), "IM-00")
    )
    replaying = Replay(store.database, store.rules, "somebody")
    places = await store.rows("SELECT topic, partition, record_offset FROM quarantine ORDER BY quarantine_id")
    await replaying.dismiss(places[0], "no order")

    erasure = erasing(store, owners, temporal)
    before = await erasure.report("C-77")
    assert (before.subject.clients, before.subject.orders) == (["C-1", "C-77"], ["IM-0", "IM-1"])
    assert left(before) == {"clients": 2, "order_lines": 2, "inbox": 2, "quarantine": 2}

    first = await erasure.run("C-77", "dpo", "asked by letter")
    assert erased(first) == {"clients": 2, "order_lines": 2, "inbox": 2, "quarantine": 1}
    assert left(first) == {"quarantine": 1}, "one is open, and money may hang on it"
    [waiting] = [one for one in first.findings if one.store == "quarantine"]
    assert ":".join(map(str, places[1])) in waiting.why

    await replaying.dismiss(places[1], "no order")
    second = await erasure.run("C-77", "dpo", "asked by letter")
    assert (erased(second), second.is_done) == ({"quarantine": 1}, True)
    assert second.subject == first.subject, "who was merged into whom stays known"
    assert await store.rows("SELECT order_id FROM inbox WHERE original <> ''") == [("IM-2",)]
    assert await store.rows("SELECT order_id FROM order_lines WHERE recipient IS NOT NULL") == [("IM-2",)]
    acts = await store.rows(
        "SELECT payload->>'who' AS who, payload->>'what' AS what FROM events WHERE payload ? 'who'"
    )
    assert ("dpo", "erasure of client C-77: asked by letter") in acts


async def test_the_service_itself_cannot_erase_what_is_on_record(store: Store, temporal: Client) -> None:
    await store.commit(store.client_record(client(locale="ru-RU")))
    await sell(store, 0, "C-77")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await erasing(store, store.database, temporal).run("C-77", "dpo", "asked by letter")
    assert await store.value("SELECT locale FROM clients") == "ru-RU", "nothing of it is done"


async def test_what_comes_later_for_an_erased_client_is_reported_again(
    store: Store, owners: Database, temporal: Client
) -> None:
    await sell(store, 0, "C-77")
    erasure = erasing(store, owners, temporal)
    assert (await erasure.run("C-77", "dpo", "asked by letter")).is_done
    await sell(store, 1, "C-77")
    assert left(await erasure.report("C-77")) == {"inbox": 1}
