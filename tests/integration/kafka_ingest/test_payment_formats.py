"""Payments in another format issue and refund like those of the contract, and are repeats of each other."""

from dataclasses import replace
from typing import Any

import pytest

from giftcert.contracts.acquirer_payments import AcquirerPayments
from giftcert.storage.database import Database
from tests.integration.kafka_ingest.ingest_store import TOPICS, Store, reserve_all
from tests.integration.kafka_ingest.leading import Leading, recorded
from tests.unit.contracts.topic_records import order, payment

pytestmark = pytest.mark.integration
RESERVATION = "01936f5e-0000-7000-8000-00000000000a"


def acquired(event_type: str, **changes: Any) -> dict[str, Any]:
    return {
        "event_id": f"a-{event_type}",
        "event_type": event_type,
        "occurred_at": "2026-11-23T13:05:00+03:00",
        "channel": 1,
        "order_id": "IM-1001",
        "payment_id": "P-9",
        "tender": "card",
        "amount": "5000.00",
        "currency": "RUB",
    } | changes


async def test_a_sale_is_paid_and_refunded_in_another_format_and_a_repeat_in_ours_changes_nothing(
    store: Store, database: Database
) -> None:
    leading, certificate_id = Leading(database, store.keyring), store.certificates[0]
    await reserve_all(database, {certificate_id: RESERVATION})
    await store.commit(store.order_record(order(lines=[store.line()], total=500_000)))
    store.topics = replace(TOPICS, decode_payment=AcquirerPayments({1: "im"}))
    await store.commit(store.payment_record(acquired("captured", capture_id="K-1")))
    await leading.lead()
    store.topics = TOPICS
    same = payment(eventId="c-1", captureId="K-1", amount=500_000, allocations=None)
    committed = await store.commit(store.payment_record(same))
    assert (committed.counts[TOPICS.payments, "repeat"], committed.rejections) == (1, [])
    store.topics = replace(TOPICS, decode_payment=AcquirerPayments({1: "im"}))
    await store.commit(store.payment_record(acquired("refunded", refund_id="R-1")))
    await leading.lead()
    types = [event_type for event_type, _ in await recorded(database, certificate_id)]
    assert types == ["issue.ordered", "issue.completed", "notification.requested", "refund.completed"]


async def test_a_payment_that_breaks_the_format_is_quarantined_and_named_in_the_owner_s_words(
    store: Store,
) -> None:
    store.topics = replace(TOPICS, decode_payment=AcquirerPayments({1: "im"}))
    await store.commit(store.payment_record(acquired("captured", amount="5000.005")))
    [(event_type, said)] = await store.events()
    assert event_type == "error.malformedEvent"
    assert (said["reason"], said["detail"]) == (
        "invalidField",
        "amount: expected at most 2 digits behind the point",
    )
