"""Ids of others have up to 200 characters, in whatever script, everywhere: topics, tables, indexes, Temporal."""

from uuid import uuid4

import pytest
from temporalio.client import Client

from giftcert.contracts.inputs import LONGEST_IDENTIFIER
from giftcert.domain.certificate.state import Status
from giftcert.temporal.signals import Signal, Wake
from giftcert.temporal.workflow_starts import signal_certificate, workflow_id
from tests.integration.kafka_ingest.ingest_store import Store, reserve_all
from tests.integration.kafka_ingest.leading import Leading, recorded
from tests.unit.contracts.topic_records import certificate_line, client, order, payment
from tests.waiting import until

pytestmark = pytest.mark.integration
CHARACTERS = [
    "x",
    "\u044f",
    "\U0001f381",
    ":",
]  # a payment's identity escapes colons, which makes it thrice as long


def longest(character: str, last: str) -> str:
    return character * (LONGEST_IDENTIFIER - len(last)) + last


@pytest.mark.parametrize("character", CHARACTERS)
async def test_a_sale_under_the_longest_ids_is_paid_spent_and_refunded(store: Store, character: str) -> None:
    def of(name: str) -> str:
        return longest(character, name)

    leading, certificate_id, reservation = (
        Leading(store.database, store.keyring),
        store.certificates[0],
        str(uuid4()),
    )
    await reserve_all(store.database, {certificate_id: reservation})
    order_id, said = of("O"), {"orderId": of("O"), "paymentId": of("P"), "amount": 500_000}
    recipient = {"ref": of("R"), "channel": "email", "locale": "ru-RU"}
    line = certificate_line(
        lineId=of("L"), certificateId=certificate_id, reservationId=reservation, recipient=recipient
    )
    allocations = [{"lineId": of("L"), "amount": 500_000}]
    spent = {
        "tender": "giftCertificate",
        "certificateId": certificate_id,
        "redemptionId": of("H"),
        "orderId": of("S"),
        "paymentId": of("Q"),
        "captureId": of("K"),
        "amount": 1,
        "allocations": None,
    }
    refund = {"eventType": "payment.refunded", "refundId": of("F"), "eventId": of("f")}
    for record in (
        store.client_record(client(clientId=of("C"), mergedInto=of("M"), eventId=of("c")), of("C")),
        store.order_record(
            order(orderId=order_id, eventId=of("o"), customerId=of("C"), lines=[line], total=500_000)
        ),
        store.payment_record(payment(**said, eventId=of("p"), captureId=of("K"), allocations=allocations)),
        store.payment_record(payment(**spent, eventId=of("s"))),
        store.payment_record(payment(**said, **refund, allocations=allocations)),
    ):
        committed = await store.commit(record)
        assert not committed.rejections
        await leading.lead()
    assert (await leading.state(certificate_id)).status is Status.REFUNDED
    published = [event_type for event_type, _ in await recorded(store.database, certificate_id)]
    assert published[:3] == ["issue.ordered", "issue.completed", "notification.requested"]
    assert {"alert.redemptionUncovered", "refund.completed"} < set(published)


@pytest.mark.parametrize("character", CHARACTERS)
async def test_a_workflow_starts_under_the_longest_order_id_and_is_found_by_it(
    temporal: Client, character: str
) -> None:
    order_id, certificate_id = longest(character, uuid4().hex[:8]), str(uuid4())
    wake = Wake(
        certificate_id=certificate_id,
        signal=Signal.ORDER_CREATED,
        channel="im",
        product="GC-5000",
        order_id=order_id,
        cause=longest(character, "c"),
    )
    assert await signal_certificate(temporal, wake)
    handle = temporal.get_workflow_handle(workflow_id(certificate_id))
    found = (await handle.describe()).typed_search_attributes
    [shown] = [pair.value for pair in found if pair.key.name == "OrderId"]
    assert order_id.startswith(str(shown))
    assert len(str(shown)) >= 160

    async def is_found() -> bool:
        query = f"OrderId = '{shown}'"
        return workflow_id(certificate_id) in {run.id async for run in temporal.list_workflows(query)}

    await until(is_found)
