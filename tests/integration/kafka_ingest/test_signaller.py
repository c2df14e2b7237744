"""Signaller and sweep: one signal per kind, patience with one certificate, no waiting for it by the others."""

import asyncio
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.common import TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from giftcert import outage_report
from giftcert.clock import utc_now
from giftcert.health import Health
from giftcert.storage.database import Database
from giftcert.storage.sweep import OVERDUE, STALLED, UNDECIDED, UNSIGNALLED
from giftcert.temporal import search_attributes
from giftcert.temporal.runs import CertificateRuns
from giftcert.temporal.signals import Wake
from giftcert.temporal.workflow_starts import signal_certificate, workflow_id
from kafka_ingest import outages as ingest_outages
from kafka_ingest.outages import IngestOutages
from kafka_ingest.signaller import TEMPORAL, Signaller
from kafka_ingest.sweeper import Sweeper
from tests.cuttable import cuttable
from tests.integration.kafka_ingest.ingest_process import signals_of, until
from tests.integration.kafka_ingest.ingest_store import Store
from tests.processes import PATIENCE_SECONDS
from tests.shared_servers import owning
from tests.unit.contracts.topic_records import order, payment

pytestmark = pytest.mark.integration
SOLD = ["order_created", "payment_captured"]
SECOND = timedelta(seconds=1)


@dataclass
class Temporal:
    """Stands in for Temporal where a test decides what it refuses, when it answers, and what it still runs."""

    refuses: set[str] = field(default_factory=set)
    away: bool = False
    missing: bool = False
    sent: list[Wake] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    ended: list[tuple[str, str]] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)
    terminated: list[str] = field(default_factory=list)

    async def send(self, wake: Wake) -> bool:
        await self.open.wait()
        if self.away:
            raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")
        if wake.certificate_id in self.refuses:
            raise ValueError("refused")
        self.sent.append(wake)
        return self.missing

    async def ended_since(self, _: object) -> list[tuple[str, str]]:
        return self.ended

    async def has_lost_its_task(self, certificate_id: str, _: object) -> bool:
        return certificate_id in self.lost

    async def end(self, certificate_id: str, _: str) -> None:
        self.terminated.append(certificate_id)

    def of(self, certificate_id: str) -> list[str]:
        return [str(one.signal) for one in self.sent if one.certificate_id == certificate_id]


@dataclass
class Clock:
    """Stands still unless a test moves it."""

    ahead: timedelta = timedelta()

    def __call__(self) -> Any:
        return utc_now() + self.ahead


@dataclass
class Scene:
    store: Store
    temporal: Temporal
    clock: Clock
    outages: IngestOutages
    signaller: Signaller
    sweeper: Sweeper

    async def sold(self, numbers: Iterable[int]) -> list[Wake]:
        wakes = []
        for nth in numbers:
            line = self.store.line(nth)
            stated = self.store.order_record(order(orderId=f"IM-{nth}", lines=[line], total=500_000))
            paid = self.store.payment_record(payment(orderId=f"IM-{nth}", paymentId=f"P-{nth}"))
            wakes += (await self.store.commit(stated, paid)).wakes
        return wakes

    async def unsignalled(self) -> int:
        count: int = await self.store.value("SELECT count(*) FROM pending WHERE signalled_at IS NULL")
        return count

    async def due(self, nth: int, *, timer: timedelta | None = None, late: timedelta = SECOND) -> None:
        """A certificate is to look at itself at an instant that has passed; its timer is set so much later."""
        at = self.clock() - late
        await self.store.rows_changed(
            "UPDATE certificates SET next_instant = :at, timer_at = :timer WHERE certificate_id = CAST(:id AS uuid)",
            at=at,
            timer=None if timer is None else at + timer,
            id=self.store.certificates[nth],
        )


@pytest.fixture
async def scene(store: Store) -> Scene:
    temporal, clock = Temporal(), Clock()
    temporal.open.set()
    store.clock = clock
    outages = IngestOutages(database=store.database, health=Health(), place=("orders", 0, 7), clock=clock)
    signaller = Signaller(store.database, temporal.send, outages, clock)
    sweeper = Sweeper(store.database, temporal.send, temporal, outages, "im", clock)  # type: ignore[arg-type]
    return Scene(store, temporal, clock, outages, signaller, sweeper)


async def is_idle(scene: Scene) -> bool:
    return not scene.signaller._queues and not scene.signaller._sent


# Signaller ------------------------------------------------------------------------------------------


async def test_each_certificate_is_signalled_once_for_each_kind_of_a_burst(scene: Scene) -> None:
    scene.temporal.open.clear()
    wakes = await scene.sold(range(4))
    async with scene.signaller.running():
        scene.signaller.take(wakes)
        scene.signaller.take(wakes)
        scene.temporal.open.set()
        await until(partial(is_idle, scene))
        assert all(scene.temporal.of(one) == SOLD for one in scene.store.certificates)

        async def all_are_marked() -> bool:
            return await scene.unsignalled() == 0

        await until(all_are_marked)


async def test_one_that_is_refused_holds_up_nobody(scene: Scene) -> None:
    scene.temporal.refuses = {scene.store.certificates[0]}
    async with scene.signaller.running():
        scene.signaller.take(await scene.sold(range(2)))
        await until(partial(is_idle, scene))
    assert scene.temporal.of(scene.store.certificates[0]) == []
    assert scene.temporal.of(scene.store.certificates[1]) == SOLD


async def test_while_temporal_is_away_signals_wait_and_go_when_it_is_back(scene: Scene) -> None:
    scene.temporal.away = True
    async with scene.signaller.running():
        scene.signaller.take(await scene.sold(range(2)))

        async def it_is_noticed() -> bool:
            return scene.outages.parts == {TEMPORAL}

        await until(it_is_noticed)
        scene.temporal.away = False
        await until(partial(is_idle, scene))
    assert scene.outages.parts == set()
    assert all(scene.temporal.of(one) == SOLD for one in scene.store.certificates[:2])


# Sweep ----------------------------------------------------------------------------------------------


async def test_the_sweep_signals_what_was_left_and_leaves_what_is_young(scene: Scene) -> None:
    await scene.sold([0])
    assert await scene.sweeper.round() == 0
    scene.clock.ahead += UNSIGNALLED + SECOND
    await scene.sold([1])
    assert await scene.sweeper.round() == 1
    assert scene.temporal.of(scene.store.certificates[0]) == ["payment_captured"]
    [wake] = scene.temporal.sent
    assert (wake.order_id, wake.cause, wake.product) == ("IM-0", "pay-1", "GC-5000")


async def test_what_is_signalled_and_not_decided_is_signalled_again_ever_less_often(scene: Scene) -> None:
    await scene.sold([0])
    began, rounds = scene.clock.ahead, []
    for _ in range(200):
        scene.clock.ahead += SECOND
        if await scene.sweeper.round():
            rounds.append((scene.clock.ahead - began).total_seconds())
    assert rounds[0] == pytest.approx(UNSIGNALLED.total_seconds() + 1, abs=2)
    assert rounds[1] - rounds[0] == pytest.approx(UNDECIDED.total_seconds() + 1, abs=2)
    assert 4 <= len(rounds) <= 6


async def test_news_of_a_line_is_signalled_soon_however_long_older_news_waits(scene: Scene) -> None:
    await scene.sold([0])
    scene.clock.ahead += timedelta(hours=1)
    assert await scene.sweeper.round() == 1
    voided = payment(orderId="IM-0", paymentId="P-0", eventType="payment.voided", eventId="v")
    await scene.store.commit(scene.store.payment_record(voided))
    assert await scene.sweeper.round() == 1
    assert [str(one.signal) for one in scene.temporal.sent] == ["payment_captured", "payment_voided"]


async def test_what_temporal_did_not_take_is_found_at_the_next_look(scene: Scene) -> None:
    await scene.sold(range(2))
    await scene.due(2)
    scene.clock.ahead += UNSIGNALLED + SECOND
    scene.temporal.away = True
    with pytest.raises(RPCError):
        await scene.sweeper.round()
    scene.temporal.away = False
    assert await scene.sweeper.round() == 3


async def test_a_certificate_that_is_due_without_a_timer_is_signalled_at_once(scene: Scene) -> None:
    await scene.due(0)
    await scene.due(1, timer=timedelta(hours=1))
    await scene.due(2, timer=timedelta())
    await scene.due(3, late=-SECOND)
    assert await scene.sweeper.round() == 2
    assert {one.certificate_id for one in scene.temporal.sent} == set(scene.store.certificates[:2])


async def test_one_that_is_overdue_is_signalled_although_it_has_a_timer(scene: Scene) -> None:
    await scene.due(0, timer=timedelta())
    scene.clock.ahead += OVERDUE + SECOND
    assert await scene.sweeper.round() == 1
    assert await scene.sweeper.round() == 0


async def test_parked_certificates_are_passed_over(scene: Scene) -> None:
    await scene.sold([0])
    await scene.due(1)
    await scene.store.rows_changed("UPDATE certificates SET parked = '[]'")
    scene.clock.ahead += timedelta(minutes=1)
    assert await scene.sweeper.round() == 0


async def test_a_run_that_was_gone_is_started_again_and_told_of_on_the_stream(scene: Scene) -> None:
    await scene.due(0, timer=timedelta(), late=OVERDUE + SECOND)
    scene.temporal.missing = True
    await scene.sweeper.round()
    [(event_type, payload)] = await scene.store.events()
    assert (event_type, payload["reason"]) == ("error.processingFailed", "workflowMissing")


async def test_a_run_that_was_terminated_is_started_again_though_nothing_is_due(scene: Scene) -> None:
    await scene.due(0, timer=timedelta(), late=-timedelta(days=300))
    scene.temporal.ended = [(scene.store.certificates[0], "run-1"), (scene.store.certificates[1], "run-2")]
    assert await scene.sweeper.round() > 0
    assert [one.certificate_id for one in scene.temporal.sent] == [scene.store.certificates[0]]
    scene.clock.ahead += timedelta(minutes=1)
    await scene.sweeper.round()
    assert len(scene.temporal.sent) == 1, "it is known, also while Temporal lists it"


async def test_two_processes_share_what_is_left(scene: Scene) -> None:
    await scene.sold(range(4))
    scene.clock.ahead += UNSIGNALLED + SECOND
    assert sum(await asyncio.gather(*(scene.sweeper.round() for _ in range(4)))) == 4
    assert len(scene.temporal.sent) == 4


async def test_a_look_reads_a_few_pages_whatever_went_through_without_vacuum(scene: Scene) -> None:
    store = scene.store
    async with owning(store.database) as owner:
        await owner.execute("ALTER TABLE pending SET (autovacuum_enabled = false)")
    many = """
        INSERT INTO pending (certificate_id, order_id, kind, channel, since)
        SELECT gen_random_uuid(), 'IM', 'order_created', 'im', :at FROM generate_series(1, 20000)
    """
    for _ in range(2):
        await store.rows_changed(many, at=scene.clock())
        await store.rows_changed("DELETE FROM pending")
    scene.clock.ahead += timedelta(minutes=5)
    await scene.sweeper.round()
    scene.clock.ahead += timedelta(minutes=1)
    await scene.sweeper.round()
    assert await pages_of_a_look(store, scene) <= 10


async def pages_of_a_look(store: Store, scene: Scene) -> int:
    statement = """
        EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT FROM pending
        WHERE since >= (SELECT looked_to FROM sweep_bounds WHERE kind = 'pending') AND since < :at ORDER BY since
    """
    await store.rows_changed("SET enable_seqscan = off")
    plan = (await store.value(statement, at=scene.clock()))[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


# Outages --------------------------------------------------------------------------------------------


async def test_an_outage_that_lasts_is_told_once_a_minute_with_its_place(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage_report, "PATIENCE_SECONDS", 0.0)
    for _ in range(3):
        await scene.outages.goes_on("Temporal", ValueError("4000 1234 5678 9010"))
    [(event_type, payload)] = await scene.store.events()
    assert event_type == "error.processingFailed"
    assert (payload["component"], payload["detail"]) == ("ingest", "ValueError")
    assert (payload["topic"], payload["partition"], payload["offset"]) == ("orders", 0, 7)
    scene.outages.over("Temporal")
    assert scene.outages.parts == set()


async def test_outages_of_two_parts_at_one_place_are_both_told(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage_report, "PATIENCE_SECONDS", 0.0)
    for part in ("Temporal", ingest_outages.STUCK, "Temporal"):
        await scene.outages.goes_on(part, TimeoutError())
    published = [payload["reason"] for _, payload in await scene.store.events()]
    assert published == ["temporalFails", "partitionStandsStill"]


async def test_a_consumer_that_hangs_is_told_of(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage_report, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(ingest_outages, "WATCH_SECONDS", 0.02)
    scene.outages.beat()
    watching = asyncio.create_task(scene.outages.watch())

    async def is_told() -> bool:
        return bool(await scene.store.events())

    await until(is_told)
    watching.cancel()
    [(_, payload)] = await scene.store.events()
    assert payload["reason"] == "ingestStandsStill"
    scene.outages.beat()
    assert scene.outages.parts == set()


async def test_a_partition_that_stands_still_is_told_of_while_others_go_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage_report, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(ingest_outages, "WATCH_SECONDS", 0.02)
    watching = asyncio.create_task(scene.outages.watch())
    async with asyncio.timeout(PATIENCE_SECONDS):
        for read in itertools.count():
            scene.outages.beat()
            scene.outages.wait_at([("payments", 0, read), ("orders", 2, 5)])
            if published := await scene.store.events():
                break
    assert published[0][1]["reason"] == "partitionStandsStill"
    assert [published[0][1][part] for part in ("topic", "partition", "offset")] == ["orders", 2, 5]
    scene.outages.wait_at([])

    async def is_well() -> bool:
        return scene.outages.parts == set()

    await until(is_well)
    watching.cancel()


async def test_an_outage_of_postgresql_is_told_when_it_is_back(
    scene: Scene, fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage_report, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(ingest_outages, "WATCH_SECONDS", 0.02)
    async with cuttable(fresh_database_url) as (way, url):
        database = Database(url, pool_size=1)
        outages = IngestOutages(database=database, health=Health(), place=("orders", 2, 5), clock=scene.clock)
        way.cut()
        await outages.goes_on("PostgreSQL", OSError("away"))
        assert await scene.store.events() == []
        way.mend()
        watching = asyncio.create_task(outages.watch())

        async def is_told() -> bool:
            return bool(await scene.store.events())

        await until(is_told)
        watching.cancel()
        await database.close()
    [(_, payload)] = await scene.store.events()
    assert (payload["reason"], payload["partition"], payload["offset"]) == ("postgresqlFails", 2, 5)


async def test_a_run_that_no_signal_moves_is_replaced_where_its_task_was_lost(scene: Scene) -> None:
    await scene.sold([0, 1])
    await scene.due(2)
    await scene.due(3)
    waiting, due = scene.store.certificates[:2], scene.store.certificates[2:4]
    scene.temporal.lost = {waiting[0], due[0]}
    scene.clock.ahead = UNSIGNALLED + SECOND
    await scene.sweeper.round()
    assert scene.temporal.terminated == [], "they were signalled only now"
    scene.clock.ahead += STALLED
    before = {one: len(scene.temporal.of(one)) for one in (*waiting, *due)}
    await scene.sweeper._restart_stalled(scene.clock())
    assert sorted(scene.temporal.terminated) == sorted(scene.temporal.lost)
    after = {one: len(scene.temporal.of(one)) for one in (*waiting, *due)}
    assert {one for one in after if after[one] > before[one]} == scene.temporal.lost
    published = [payload for event_type, payload in await scene.store.events() if "reason" in payload]
    assert {one["reason"] for one in published} == {"workflowMissing"}
    assert len(published) == 2
    await scene.sweeper.round()
    assert len(scene.temporal.terminated) > 2, "the sweep looks by itself"


# The real Temporal ----------------------------------------------------------------------------------


async def test_a_workflow_is_started_with_what_support_looks_for(scene: Scene, temporal: Client) -> None:
    for wake in await scene.sold([0]):
        await signal_certificate(temporal, wake)
    handle = temporal.get_workflow_handle(workflow_id(scene.store.certificates[0]))
    description = await handle.describe()
    found: TypedSearchAttributes = description.typed_search_attributes
    assert found[search_attributes.ORDER_ID] == "IM-0"
    assert found[search_attributes.CHANNEL] == "im"
    assert found[search_attributes.PRODUCT] == "GC-5000"
    assert await signals_of(temporal, scene.store.certificates[0]) == SOLD


async def test_a_signal_for_an_ended_workflow_starts_another(scene: Scene, temporal: Client) -> None:
    ordered, captured = await scene.sold([1])
    await signal_certificate(temporal, ordered)
    await temporal.get_workflow_handle(workflow_id(scene.store.certificates[1])).terminate()
    assert await signal_certificate(temporal, captured), "it says that none ran"
    assert await signals_of(temporal, scene.store.certificates[1]) == ["payment_captured"]


async def test_runs_that_were_terminated_are_listed(scene: Scene, temporal: Client) -> None:
    [ordered, _] = await scene.sold([2])
    await signal_certificate(temporal, ordered)
    certificate_id = scene.store.certificates[2]
    handle = temporal.get_workflow_handle(workflow_id(certificate_id))
    await handle.terminate()
    runs = CertificateRuns(temporal)

    async def is_listed() -> bool:
        ended = await runs.ended_since(utc_now() - timedelta(minutes=1))
        return certificate_id in {one for one, _ in ended}

    await until(is_listed)
    assert certificate_id not in {one for one, _ in await runs.ended_since(utc_now() + timedelta(minutes=1))}
