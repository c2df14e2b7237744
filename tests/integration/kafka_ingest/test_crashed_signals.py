"""A signaller that crashes around any step: the sweep tells the rest, a certificate applies each message once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client

from activities.temporal_client import connect
from giftcert.cli.namespace import ensure_namespace
from giftcert.security.keyring import Keyring
from giftcert.settings import Settings
from giftcert.storage.deliveries import DeliveryRepository
from giftcert.storage.engine import engine_at
from giftcert.telemetry import Health
from kafka_ingest.signal import Signal
from kafka_ingest.signalling import Signaller
from kafka_ingest.source import KeptRecord
from kafka_ingest.sweeping import Sweep
from kafka_ingest.transaction import BatchWriter
from kafka_ingest.trouble import Trouble
from tests.conftest import new_database
from tests.crashes import BEFORE, CrashError, Step, around_each, crash
from tests.integration.kafka_ingest.ingest_doors import signals_of, until
from tests.integration.kafka_ingest.ingest_store import Store, add_certificates
from tests.unit.contracts.topic_records import order, payment
from worker import running

pytestmark = pytest.mark.integration
RESERVE_ALL = """
    UPDATE certificates SET status = 'reserved', reservation_id = certificate_id, reservation_channel = 'im',
        reserved_at = now(), reserved_until = now() + interval '1 hour', reservation_ended = false
"""
LONG_AGO = (  # so that the sweep takes all that waits, at once
    "UPDATE deliveries SET created_at = created_at - interval '1 hour' WHERE sent_at IS NULL",
    "UPDATE shards SET last_run = last_run - interval '1 hour'",
)
SOLD = ["order_stated", "payment_authorized", "payment_captured"]


@dataclass
class Shop:
    """Sells the certificates of a database, by a worker that goes on whoever else crashes."""

    store: Store
    client: Client
    sold: int = 0

    def sale(self) -> list[KeptRecord]:
        """The records of one sale, of the next certificate."""
        ids = {"orderId": f"IM-{self.sold}", "paymentId": f"P-{self.sold}"}
        line = self.store.line(self.sold, reservationId=self.store.certificates[self.sold])
        self.sold += 1
        return [
            self.store.order_record(order(orderId=ids["orderId"], total=500_000, lines=[line])),
            self.store.payment_record(payment(**ids, amount=500_000, eventType="payment.authorized")),
            self.store.payment_record(payment(**ids, amount=500_000)),
        ]

    async def process(self, batch: list[KeptRecord], crashed: asyncio.Event | None = None) -> None:
        """What a process does that gets this batch: until it crashes, else until nothing is left to be sent."""
        trouble = Trouble(self.store.engine, Health(), "orders-0")
        signaller = Signaller(self.store.engine, Signal(self.client), trouble)
        async with signaller.running():
            committed = await self.store.commit(*batch)
            for statement in LONG_AGO:
                await self.store.rows_changed(statement)
            await Sweep(self.store.engine, signaller, trouble).round()
            signaller.take(committed.unsent)

            async def is_over() -> bool:
                return crashed.is_set() if crashed else signaller.is_idle and await self.none_waits()

            await until(is_over)

    async def none_waits(self) -> bool:
        return bool(await self.store.value("SELECT count(*) = 0 FROM deliveries WHERE sent_at IS NULL"))

    async def applied(self, nth: int) -> None:
        """See that a certificate was told all in order, however often, and applied it once."""
        certificate_id = self.store.certificates[nth]

        async def is_issued() -> bool:
            statement = "SELECT status FROM certificates WHERE certificate_id = :id"
            return bool(await self.store.value(statement, id=certificate_id) == "issued")

        await until(is_issued)
        assert list(dict.fromkeys(await signals_of(self.client, certificate_id))) == SOLD
        told = "SELECT event_type, sequence FROM events WHERE certificate_id = :id ORDER BY sequence"
        events = await self.store.rows(told, id=certificate_id)
        assert events == [("issue.ordered", 1), ("issue.completed", 2), ("notification.requested", 3)]
        keys = "SELECT count(*) FROM applied_messages WHERE certificate_id = :id"
        assert await self.store.value(keys, id=certificate_id) == len(SOLD)


@pytest.fixture(scope="module")
async def shop(postgres_url: str, keyring_file: Path, temporal_address: str) -> AsyncIterator[Shop]:
    url = await new_database(postgres_url)
    addresses: dict[str, Any] = {"database_url": url, "temporal_address": temporal_address}
    namespace = f"signals-{uuid4().hex[:12]}"
    settings = Settings(_env_file=None, keyring=keyring_file, temporal_namespace=namespace, **addresses)
    client, engine = await connect(settings), engine_at(url)
    await ensure_namespace(client)
    async with running(settings):
        store = Store(engine, Keyring.load(keyring_file), await add_certificates(engine, 50))
        await store.rows_changed(RESERVE_ALL)
        yield Shop(store, client)
    await engine.dispose()


async def crashed_and_gone_on(shop: Shop, crashed: asyncio.Event) -> None:
    """One process crashes; another gets the same batch, as its offsets may not be committed, and sweeps."""
    nth, batch = shop.sold, shop.sale()
    try:
        await shop.process(batch, crashed)
    except CrashError:
        assert crashed.is_set()
    await shop.process(batch)
    await shop.applied(nth)


@around_each(
    (DeliveryRepository, "add"),
    (DeliveryRepository, "unsent_of"),
    (BatchWriter, "commit"),  # leaving it, deliveries are committed that nobody holds
    (DeliveryRepository, "claim_left_over"),
    (DeliveryRepository, "mark_sent"),
    (DeliveryRepository, "count_unsent"),
    (Signal, "_start_with"),  # of the first message
    (Signal, "_is_taken_by_running"),  # of those that follow
)
async def test_what_a_dead_process_left_is_sent_by_the_next(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    await crashed_and_gone_on(shop, crash(monkeypatch, step, moment))


@around_each((Signal, "send"))
@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_a_process_that_dies_at_one_of_several_signals(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str, nth: int
) -> None:
    await crashed_and_gone_on(shop, crash(monkeypatch, step, moment, nth=nth))


async def test_marking_that_fails_is_tried_again_whatever_the_failure(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signaller that marks no more would in the end take no more, and nobody would notice."""
    nth, batch = shop.sold, shop.sale()
    happened = crash(monkeypatch, (DeliveryRepository, "mark_sent"), BEFORE)
    await shop.process(batch)
    assert happened.is_set()
    await shop.applied(nth)
