"""Signallers: order per certificate, patience with one, no waiting for it by the others."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from temporalio.client import Client
from temporalio.common import TypedSearchAttributes

from giftcert.contracts.codec import decode_message
from giftcert.storage.deliveries import UnsentDelivery
from giftcert.storage.shards import shard_of
from giftcert.telemetry import Health
from kafka_ingest import trouble as trouble_module
from kafka_ingest.signal import Signal
from kafka_ingest.signalling import Signaller
from kafka_ingest.sweeping import Sweep
from kafka_ingest.trouble import Trouble
from tests.integration.kafka_ingest.ingest_doors import signals_of, until
from tests.integration.kafka_ingest.ingest_store import Store, add_certificates
from tests.unit.contracts.topic_records import order, payment
from workflows import search_attributes
from workflows.names import workflow_id

pytestmark = pytest.mark.integration


@dataclass
class Recorded:
    """Stands in for Temporal where a test decides what it refuses and when it answers."""

    refuses: set[str] = field(default_factory=set)
    sent: list[UnsentDelivery] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, delivery: UnsentDelivery) -> None:
        await self.open.wait()
        if delivery.certificate_id in self.refuses:
            raise ValueError("refused")
        self.sent.append(delivery)

    def of(self, certificate_id: str) -> list[str]:
        sent = (one for one in self.sent if one.certificate_id == certificate_id)
        return [type(decode_message(one.message)).__name__ for one in sent]


def signaller(store: Store, signal: object) -> tuple[Signaller, Trouble]:
    trouble = Trouble(store.engine, Health(), "orders-0")
    return Signaller(store.engine, signal, trouble), trouble  # type: ignore[arg-type]


async def unsent(store: Store) -> int:
    count: int = await store.value("SELECT count(*) FROM deliveries WHERE sent_at IS NULL")
    return count


async def sold(store: Store, numbers: Iterable[int]) -> list[UnsentDelivery]:
    deliveries = []
    for nth in numbers:
        stated = store.order_record(order(orderId=f"IM-{nth}", lines=[store.line(nth)]))
        paid = store.payment_record(payment(orderId=f"IM-{nth}", paymentId=f"P-{nth}"))
        deliveries += (await store.commit(stated, paid)).unsent
    return deliveries


async def test_each_certificate_is_told_in_order_whatever_order_it_was_handed_over_in(store: Store) -> None:
    deliveries = await sold(store, range(4))
    recorded = Recorded()
    sends, _ = signaller(store, recorded)
    async with sends.running():
        sends.take(reversed(deliveries))
        sends.take(deliveries)
        recorded.open.set()

        async def is_idle() -> bool:
            return sends.is_idle

        await until(is_idle)
    assert all(recorded.of(one) == ["OrderStated", "PaymentCaptured"] for one in store.certificates)
    assert await unsent(store) == 0


async def test_one_that_is_refused_holds_up_only_itself(store: Store) -> None:
    deliveries = await sold(store, range(2))
    recorded = Recorded(refuses={store.certificates[0]})
    recorded.open.set()
    sends, trouble = signaller(store, recorded)
    async with sends.running():
        sends.take(deliveries)

        async def others_are_sent() -> bool:
            return await unsent(store) == 2

        await until(others_are_sent)
        assert trouble.parts == {"a signal"}
        recorded.refuses.clear()

        async def all_are_sent() -> bool:
            return await unsent(store) == 0

        await until(all_are_sent)
        assert trouble.parts == set()
    assert recorded.of(store.certificates[0]) == ["OrderStated", "PaymentCaptured"]


def new_id_in(shard: int) -> str:
    """A certificate id of this shard; others share theirs once in a while."""
    while shard_of(certificate_id := str(uuid4())) != shard:
        pass
    return certificate_id


@pytest.mark.parametrize(
    ("shards", "swept"), [((3, 4), 1), ((3, 3), 2)], ids=["shards of their own", "one shard"]
)
async def test_the_sweep_takes_a_shard_where_something_was_left_and_leaves_what_is_young(
    store: Store, shards: tuple[int, int], swept: int
) -> None:
    store.certificates = await add_certificates(store.engine, 2, [new_id_in(shard) for shard in shards])
    await sold(store, range(2))
    await store.rows_changed(
        "UPDATE deliveries SET created_at = created_at - interval '1 hour' WHERE certificate_id = :id",
        id=store.certificates[0],
    )
    recorded = Recorded()
    recorded.open.set()
    sends, trouble = signaller(store, recorded)
    sweep = Sweep(store.engine, sends, trouble)
    async with sends.running():
        assert await sweep.round() == 2 * swept
        assert await sweep.round() == 0, "it was just swept"

        async def is_sent() -> bool:
            return await unsent(store) == 4 - 2 * swept

        await until(is_sent)
    for certificate_id in store.certificates[:swept]:
        assert recorded.of(certificate_id) == ["OrderStated", "PaymentCaptured"]
    assert len(recorded.sent) == 2 * swept


async def test_a_delivery_is_handed_over_with_all_that_waits_before_it(store: Store) -> None:
    await store.commit(store.order_record(order(lines=[store.line()])))
    committed = await store.commit(store.payment_record(payment()))
    kinds = [type(decode_message(one.message)).__name__ for one in committed.unsent]
    assert kinds == ["OrderStated", "PaymentCaptured"]


async def test_a_lasting_trouble_is_told_once_a_minute(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trouble_module, "PATIENCE_SECONDS", 0.0)
    health = Health()
    trouble = Trouble(store.engine, health, "orders-0")
    for _ in range(3):
        await trouble.goes_on("Temporal", ValueError("4000 1234 5678 9010"))
    assert health.waiting_for == "Temporal"
    [(event_type, payload)] = await store.events()
    assert event_type == "error.processingFailed"
    assert payload["component"] == "ingest"
    assert payload["detail"] == "ValueError"
    trouble.over("Temporal")
    assert health.waiting_for is None


async def test_a_workflow_is_started_with_what_support_looks_for(store: Store, temporal: Client) -> None:
    stated, paid = await sold(store, [0])
    signal = Signal(temporal)
    await signal.send(stated)
    await signal.send(paid)
    handle = temporal.get_workflow_handle(workflow_id(store.certificates[0]))
    description = await handle.describe()
    found: TypedSearchAttributes = description.typed_search_attributes
    assert found[search_attributes.ORDER_ID] == "IM-0"
    assert found[search_attributes.CHANNEL] == "im"
    assert found[search_attributes.PRODUCT] == "GC-5000"
    assert found[search_attributes.CERTIFICATE_STATUS] == "ordered"
    assert await description.static_summary() == "Gift certificate GC-5000, order IM-0"
    assert await signals_of(temporal, store.certificates[0]) == ["order_stated", "payment_captured"]


async def test_a_message_for_an_ended_workflow_starts_another(store: Store, temporal: Client) -> None:
    deliveries = await sold(store, [1])
    signal = Signal(temporal)
    await signal.send(deliveries[0])
    handle = temporal.get_workflow_handle(workflow_id(store.certificates[1]))
    await handle.terminate()
    await signal.send(deliveries[-1])
    assert await signals_of(temporal, store.certificates[1]) == ["payment_captured"]
