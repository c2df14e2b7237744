"""Ids and texts of partners that look like numbers or addresses: applied whole, and never on the stream."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from giftcert.domain.certificate.state import Status
from giftcert.storage.events import EVENT
from tests.integration.kafka_ingest.ingest_store import Store, reserve_all
from tests.integration.kafka_ingest.leading import Leading
from tests.leaks import texts_of_every_table
from tests.unit.contracts.topic_records import certificate_line, client, order, payment

pytestmark = pytest.mark.integration
OURS, OTHERS = "4539578763621486", "4111111111111111"
DOTTED = "4539.5787.6362.1486"
FULL_WIDTH = "".join(chr(0xFF10 + int(digit)) for digit in OURS)


@dataclass
class Shop:
    """An order of one certificate, of which OURS is the number of another."""

    store: Store
    leading: Leading
    reservation: str

    @property
    def certificate_id(self) -> str:
        return self.store.certificates[0]

    async def sells(
        self, order_id: str = "IM-1001", line_id: str = "2", recipient: Any = None, **said: Any
    ) -> None:
        """Order and pay; ``said`` are further fields of both messages."""
        line = certificate_line(
            lineId=line_id,
            certificateId=self.certificate_id,
            reservationId=self.reservation,
            recipient=recipient,
        )
        ordered = order(orderId=order_id, lines=[line], total=500_000, **said)
        paid = payment(orderId=order_id, amount=500_000, allocations=None, **said)
        ordered["eventType"], paid["eventType"] = "order.created", "payment.captured"
        for record in (self.store.order_record(ordered), self.store.payment_record(paid)):
            await self.store.commit(record)
            await self.leading.lead()

    async def status(self) -> Status:
        return (await self.leading.state(self.certificate_id)).status

    async def published(self) -> list[dict[str, Any]]:
        """All that the stream is told, as it is stored."""
        async with self.store.database.connection() as connection:
            rows = await connection.fetch(f"SELECT {EVENT} FROM events AS e ORDER BY recorded_at, event_id")  # noqa: S608
        return [dict(row) for row in rows]

    async def masked(self) -> list[str]:
        """What error.malformedEvent says of texts that were masked."""
        return [
            payload["detail"]
            for event_type, payload in await self.store.events()
            if event_type == "error.malformedEvent" and payload["reason"] == "maskedText"
        ]


@pytest.fixture
async def shop(store: Store) -> Shop:
    reservation = str(uuid4())
    await reserve_all(store.database, {store.certificates[0]: reservation})
    statement = "UPDATE certificate_secrets SET number_fingerprint = :known WHERE certificate_id = :id"
    known = store.keyring.fingerprint(OURS)
    await store.rows_changed(statement, known=known, id=store.certificates[1])
    return Shop(store, Leading(store.database, store.keyring), reservation)


@pytest.mark.parametrize(
    "order_id", [OURS, DOTTED, FULL_WIDTH, f"IM{OURS}7", "anna@example.com", "+7 921 123-45-67"]
)
async def test_an_order_whose_id_may_not_be_told_is_sold_under_it_and_masked_in_events(
    shop: Shop, order_id: str
) -> None:
    await shop.sells(order_id, paymentId=order_id, customerId=order_id)
    assert await shop.status() is Status.ISSUED
    assert await shop.store.value("SELECT order_id FROM orders") == order_id
    published = await shop.published()
    assert order_id not in str(published)
    ids = {one for event in published for one in _ids(event["payload"])}
    assert len(ids) == 1  # one mask, so that readers still see what belongs together
    assert await shop.masked() == []
    assert await shop.store.value("SELECT count(*) FROM quarantine") == 0


async def test_digits_alone_are_what_shops_number_orders_with(shop: Shop) -> None:
    await shop.sells(OTHERS, paymentId="89211234567", customerId=OTHERS)
    [issued] = [one for one in await shop.published() if one["event_type"] == "issue.completed"]
    assert f'"{OTHERS}"' in issued["payload"]
    assert '"89211234567"' in issued["payload"]


@pytest.mark.parametrize(
    "text", [OTHERS, DOTTED, FULL_WIDTH, f"so{OTHERS}", "anna@example.com", "89211234567"]
)
async def test_another_text_is_masked_told_and_never_quarantined(shop: Shop, text: str) -> None:
    recipient = {"ref": text, "channel": "email", "locale": text}
    await shop.store.commit(shop.store.client_record(client(locale=text, preferredChannel=text)))
    await shop.sells(line_id=text, recipient=recipient, eventId=text)
    assert await shop.status() is Status.ISSUED
    assert await shop.store.value("SELECT line_id FROM order_lines") == text
    assert text not in str(await shop.published())
    what = "looks like a number, an address or a phone number, and was masked"
    assert set(await shop.masked()) == {
        f"locale, preferred_channel: {what}",
        f"recipient.locale, recipient.ref: {what}",
        f"event_id, lines.line_id: {what}",
        f"event_id: {what}",
    }
    assert await shop.store.value("SELECT count(*) FROM quarantine") == 0


async def test_the_channel_of_a_payment_that_is_an_address_is_masked(shop: Shop) -> None:
    await shop.store.commit(shop.store.payment_record(payment(channel="anna@example.com")))
    await shop.sells()
    assert "anna@example.com" not in str(await shop.published())


@pytest.mark.parametrize("eventType", ["order.created", "order.unknown", "payment.captured"])
async def test_no_field_that_is_not_known_is_kept_in_clear(shop: Shop, eventType: str) -> None:  # noqa: N803
    unknown = {"card": OTHERS, "cvc": "654321", "deep": [{"holder": "Anna Ivanova"}]}
    await shop.sells(**unknown)
    spoilt = order(eventType=eventType, orderId="IM-1002", total=-1, **unknown)
    await shop.store.commit(shop.store.order_record(spoilt))
    await shop.store.commit(shop.store.payment_record(payment(orderId="IM-1003", **unknown)))
    stored = [text async for text in texts_of_every_table(shop.store.database)]
    assert len(stored) > 20
    for secret in (OTHERS, "654321", "Anna Ivanova"):
        assert not [text for text in stored if secret.encode() in text]


def _ids(payload: str) -> list[str]:
    said = json.loads(payload)
    ids = [said.get("orderId"), said.get("customerId"), *said.get("paymentIds", [])]
    return [one for one in ids if one is not None]
