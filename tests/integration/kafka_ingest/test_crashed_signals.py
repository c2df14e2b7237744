"""A process that crashes around any step of a signal: another or the sweep signals, a certificate decides once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client

from giftcert.clock import utc_now
from giftcert.health import Health
from giftcert.lifecycle import order_changes
from giftcert.security.keyring import Keyring
from giftcert.settings import Settings
from giftcert.storage.database import Database
from giftcert.storage.pending import PendingRepository
from giftcert.storage.sweep import SweepRepository
from giftcert.temporal import workflow_starts
from giftcert.temporal.client import connect
from giftcert.temporal.namespace import ensure_namespace
from giftcert.temporal.runs import CertificateRuns
from kafka_ingest.outages import IngestOutages
from kafka_ingest.records import InputRecord
from kafka_ingest.signaller import Signaller
from kafka_ingest.sweeper import Sweeper
from kafka_ingest.writer import BatchWriter
from tests.conftest import new_database
from tests.crashes import BEFORE, CrashError, Step, around_each, crash
from tests.integration.kafka_ingest.ingest_process import SOLD, signals_of, until
from tests.integration.kafka_ingest.ingest_store import Store, add_certificates
from tests.unit.contracts.topic_records import order, payment
from worker import running

pytestmark = pytest.mark.integration
RESERVE_ALL = """
    UPDATE certificates SET status = 'reserved', reservation_id = certificate_id, reservation_channel = 'im',
        reserved_at = now(), reserved_until = now() + interval '1 hour', reservation_ended = false
"""


@dataclass
class Shop:
    """Sells the certificates of a database, by a worker that goes on whoever else crashes."""

    store: Store
    client: Client
    sold: int = 0
    ahead: timedelta = timedelta()

    def sale(self) -> list[InputRecord]:
        """The records of one sale, of the next certificate."""
        ids = {"orderId": f"IM-{self.sold}", "paymentId": f"P-{self.sold}"}
        line = self.store.line(self.sold, reservationId=self.store.certificates[self.sold])
        self.sold += 1
        return [
            self.store.order_record(order(orderId=ids["orderId"], total=500_000, lines=[line])),
            self.store.payment_record(payment(**ids, amount=500_000, eventType="payment.authorized")),
            self.store.payment_record(payment(**ids, amount=500_000)),
        ]

    async def process(self, batch: list[InputRecord], crashed: asyncio.Event | None = None) -> None:
        """What a process does that gets this batch: until it crashes, else until nothing is left to be signalled."""
        self.ahead += timedelta(minutes=1)  # the sweep finds all that waits
        outages = IngestOutages(
            database=self.store.database, health=Health(), place=("orders", 0, 0), clock=self.clock
        )
        signaller = Signaller(self.store.database, self.send, outages, self.clock)
        sweeper = Sweeper(
            self.store.database, self.send, CertificateRuns(self.client), outages, "im", self.clock
        )
        async with signaller.running():
            committed = await self.store.commit(*batch)
            await sweeper.round()
            signaller.take(committed.wakes)

            async def is_over() -> bool:
                if crashed:
                    return crashed.is_set()
                return not signaller._queues and not signaller._sent and await self.none_waits()

            await until(is_over)

    def clock(self) -> Any:
        return utc_now() + self.ahead

    async def send(self, wake: Any) -> bool:
        return await workflow_starts.signal_certificate(self.client, wake)

    async def none_waits(self) -> bool:
        return bool(await self.store.value("SELECT count(*) = 0 FROM pending"))

    async def is_issued_once(self, nth: int) -> None:
        """See that a certificate was signalled what happened, however often, and was issued once."""
        certificate_id = self.store.certificates[nth]

        async def is_issued() -> bool:
            statement = "SELECT status FROM certificates WHERE certificate_id = :id"
            return bool(await self.store.value(statement, id=certificate_id) == "issued")

        await until(is_issued)
        assert set(await signals_of(self.client, certificate_id)) <= set(SOLD)
        recorded = "SELECT event_type, sequence FROM events WHERE certificate_id = :id ORDER BY sequence"
        events = await self.store.rows(recorded, id=certificate_id)
        assert events == [("issue.ordered", 1), ("issue.completed", 2), ("notification.requested", 3)]


@pytest.fixture(scope="module")
async def shop(postgres_url: str, keyring_file: Path, temporal_address: str) -> AsyncIterator[Shop]:
    url = await new_database(postgres_url)
    addresses: dict[str, Any] = {"database_url": url, "temporal_address": temporal_address}
    namespace = f"signals-{uuid4().hex[:12]}"
    settings = Settings(_env_file=None, keyring=keyring_file, temporal_namespace=namespace, **addresses)
    client, database = await connect(settings), Database(url)
    await ensure_namespace(client)
    async with running(settings):
        store = Store(database, Keyring.load(keyring_file), await add_certificates(database, 50))
        await store.rows_changed(RESERVE_ALL)
        yield Shop(store, client)
    await database.close()


async def crashed_and_gone_on(shop: Shop, crashed: asyncio.Event) -> None:
    """One process crashes; another gets the same batch, as its offsets may not be committed, and sweeps."""
    nth, batch = shop.sold, shop.sale()
    try:
        await shop.process(batch, crashed)
    except CrashError:
        assert crashed.is_set()
    await shop.process(batch)
    await shop.is_issued_once(nth)


@around_each(
    (order_changes, "save"),
    (BatchWriter, "commit"),  # leaving it, rows are pending that nobody signals
    (SweepRepository, "claim_pending"),
    (Signaller, "take"),
    (workflow_starts, "signal_certificate"),
)
async def test_what_a_dead_process_left_is_signalled_by_the_next(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    await crashed_and_gone_on(shop, crash(monkeypatch, step, moment))


@around_each((workflow_starts, "signal_certificate"))
async def test_a_process_that_dies_at_one_of_several_signals(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    await crashed_and_gone_on(shop, crash(monkeypatch, step, moment, nth=2))


async def test_marking_that_fails_is_tried_again_whatever_the_failure(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signaller that marks no more would keep all that it ever sent."""
    nth, batch = shop.sold, shop.sale()
    happened = crash(monkeypatch, (PendingRepository, "mark_signalled"), BEFORE)
    await shop.process(batch)
    await shop.is_issued_once(nth)
    assert happened.is_set()
