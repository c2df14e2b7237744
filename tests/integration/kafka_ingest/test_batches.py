"""Batches of records in PostgreSQL: what is stored, once, whatever comes again."""

from dataclasses import replace

import msgspec
import pytest

from giftcert.security.data_keys import Purpose
from tests.integration.kafka_ingest.ingest_store import TOPICS, Store
from tests.unit.contracts.topic_records import certificate_line, client, goods_line, order, payment

pytestmark = pytest.mark.integration
UNKNOWN = "01936f5e-0000-7000-8000-00000000dead"


async def test_goods_leave_one_compact_row_per_payment(store: Store) -> None:
    committed = await store.commit(
        store.order_record(order(lines=[goods_line()])), store.payment_record(payment())
    )
    assert committed.counts == {(TOPICS.orders, "goods"): 1, (TOPICS.payments, "unmatched"): 1}
    assert await store.value("SELECT count(*) FROM unmatched_payments") == 1
    assert await store.value("SELECT count(*) FROM orders") == 0
    assert not committed.wakes


async def test_a_sale_reaches_its_certificate_in_any_order_of_the_topics(store: Store) -> None:
    await store.commit(store.payment_record(payment(eventType="payment.authorized")))
    ordered = await store.commit(store.order_record(order(lines=[goods_line(), store.line()])))
    paid = await store.commit(store.payment_record(payment()))
    assert [one.signal for one in (*ordered.wakes, *paid.wakes)] == ["order_created", "payment_captured"]
    assert await store.value("SELECT count(*) FROM unmatched_payments") == 0
    [wake] = paid.wakes
    assert (wake.certificate_id, wake.order_id, wake.cause) == (store.certificates[0], "IM-1001", "pay-1")
    assert [one.product for one in ordered.wakes] == ["GC-5000"], "it may start the workflow"
    assert (await store.line_row()).standing.is_paid
    assert await store.pending() == ["payment_captured"], "one row for a line, however much has changed"


async def test_each_write_of_a_pending_row_draws_a_number_and_keeps_since_when_it_waits(store: Store) -> None:
    statement = "SELECT number, since, signalled_at FROM pending"
    await store.commit(store.order_record(order(lines=[goods_line(), store.line()])))
    await store.rows_changed("UPDATE pending SET signalled_at = clock_timestamp()")
    [(number, since, _)] = await store.rows(statement)
    await store.commit(store.payment_record(payment()))
    [(newer, still, signalled_at)] = await store.rows(statement)
    assert newer > number
    assert (still, signalled_at) == (since, None)


async def test_what_is_moved_from_the_waiting_payments_keeps_its_place_and_content(store: Store) -> None:
    await store.commit(store.payment_record(payment(), partition=3))
    await store.commit(store.order_record(order(lines=[store.line()])))
    [(partition, offset, event_id)] = await store.rows(
        "SELECT partition, record_offset, event_id FROM inbox WHERE event_type = 'payment.captured'"
    )
    assert (partition, offset, event_id) == (3, 0, "pay-1")
    again = await store.commit(store.payment_record(payment(eventId="again"), partition=3))
    assert not again.wakes
    assert not await store.events()


async def test_originals_are_sealed_and_do_not_say_whom_a_certificate_is_for(store: Store) -> None:
    await store.commit(store.order_record(order(lines=[store.line()])))
    [(original,)] = await store.rows("SELECT original FROM inbox")
    assert b"IM-1001" not in original
    owner = f"{TOPICS.orders}:0:0".encode()
    said = msgspec.json.decode(await store.seals.open(original, Purpose.ORIGINAL, owner))
    assert said["orderId"] == "IM-1001"
    assert "recipient" not in said["lines"][0]
    row = await store.line_row()
    assert row.recipient is not None
    assert row.recipient.ref == "R-5"


async def test_a_till_that_sends_its_day_again_doubles_nothing(store: Store) -> None:
    def day(sending: int) -> list[object]:
        return [
            store.order_record(order(lines=[store.line()], eventId=f"o-{sending}")),
            store.payment_record(payment(eventType="payment.authorized", eventId=f"a-{sending}")),
            store.payment_record(payment(captureId="K-1", eventId=f"c-{sending}")),
        ]

    await store.commit(*day(1))
    before = await store.everything()
    committed = await store.commit(*day(2))
    assert await store.everything() == before
    assert committed.counts[TOPICS.payments, "repeat"] == 2
    assert not committed.wakes


async def test_a_contradiction_is_told_and_kept_once(store: Store) -> None:
    await store.commit(store.order_record(order(lines=[store.line()])), store.payment_record(payment()))
    before = await store.line_row()
    other = store.payment_record(payment(allocations=None, eventId="pay-2"))
    for _ in range(2):
        await store.commit(other)
    [(event_type, payload)] = await store.events()
    assert event_type == "error.unexpectedEvent"
    assert payload["reason"] == "contradictsEarlier"
    assert payload["offset"] == other.offset
    assert await store.line_row() == before
    assert await store.value("SELECT count(*) FROM quarantine") == 1


async def test_a_contradiction_sent_again_under_new_event_ids_is_told_once(store: Store) -> None:
    """A till that sends its day again sends what was refused in it again too, also in one batch."""
    said = {"captureId": "K-1", "allocations": None}
    await store.commit(
        store.order_record(order(lines=[store.line()])), store.payment_record(payment(**said, amount=1))
    )
    others = [store.payment_record(payment(**said, amount=2, eventId=f"again-{nth}")) for nth in range(4)]
    await store.commit(others[0])
    await store.commit(*others[1:3])
    await store.commit(others[3], store.payment_record(payment(**said, amount=3, eventId="other")))
    assert [payload["eventId"] for _, payload in await store.events()] == ["again-0", "other"]
    assert await store.value("SELECT count(*) FROM quarantine") == 2


async def test_a_waiting_payment_that_contradicts_is_told_once_although_its_topic_is_read_anew(
    store: Store,
) -> None:
    said = {"captureId": "K-1", "allocations": None}
    waiting = [store.payment_record(payment(**said, amount=nth, eventId=f"p-{nth}")) for nth in (1, 2)]
    await store.commit(*waiting)
    await store.commit(store.order_record(order(lines=[store.line()])))
    await store.commit(*waiting)
    assert [payload["eventId"] for _, payload in await store.events()] == ["p-2"]


async def test_malformed_bytes_are_told_once_and_kept_sealed(store: Store) -> None:
    broken = store.payment_record(b'\x00\xff{"cvc": "123456"}')
    good = store.payment_record(payment())
    for _ in range(2):
        await store.commit(broken, good)
    [(event_type, payload)] = await store.events()
    assert (event_type, payload["topic"], payload["offset"]) == ("error.malformedEvent", TOPICS.payments, 0)
    [(key, value)] = await store.rows("SELECT record_key, record_value FROM quarantine")
    assert b"123456" not in value
    context = f"{TOPICS.payments}:0:0".encode()
    assert await store.seals.open(value, Purpose.QUARANTINED_VALUE, context) == broken.value
    assert await store.seals.open(key, Purpose.QUARANTINED_KEY, context) == b"k"


async def test_a_topic_made_anew_hides_nothing_that_stands_where_another_record_lay(store: Store) -> None:
    before = store.payment_record(b"{")
    now = replace(before, value=b"[")
    tombstone = replace(before, value=None)
    for record in (before, now, tombstone, before, now, tombstone):
        await store.commit(record)
    assert [payload["offset"] for _, payload in await store.events()] == [0, 0, 0]
    sealed = await store.rows("SELECT record_value FROM quarantine ORDER BY quarantine_id")
    context = f"{TOPICS.payments}:0:0".encode()
    opened = [
        value and await store.seals.open(value, Purpose.QUARANTINED_VALUE, context) for (value,) in sealed
    ]
    assert opened == [b"{", b"[", None]


async def test_a_tombstone_where_none_is_meant_is_malformed(store: Store) -> None:
    await store.commit(store.order_record(None))
    assert await store.rows("SELECT reason, record_value FROM quarantine") == [("emptyValue", None)]


async def test_an_unknown_certificate_is_told_and_its_money_alerted(store: Store) -> None:
    line = certificate_line(certificateId=UNKNOWN)
    await store.commit(store.order_record(order(lines=[line], total=500_000)))
    paid = store.payment_record(payment(amount=500_000, allocations=None))
    for _ in range(2):
        await store.commit(paid)
    assert [event for event, _ in await store.events()] == [
        "error.unknownCertificate",
        "alert.paymentWithoutCertificate",
    ]
    [(_, alert)] = (await store.events())[1:]
    assert alert["amount"] == {"amount": 500_000, "currency": "RUB"}
    row = await store.line_row()
    assert (row.report.certificate, row.report.captured, row.speaker) == (UNKNOWN, 500_000, None)


async def test_a_repaired_line_has_somebody_who_speaks_for_its_money(store: Store) -> None:
    line = certificate_line(certificateId=UNKNOWN)
    await store.commit(store.order_record(order(lines=[line])))
    repaired = order(lines=[store.line()], orderVersion=2, eventType="order.changed")
    await store.commit(store.order_record(repaired))
    assert (await store.line_row()).speaker == store.certificates[0]
    assert await store.pending() == ["order_changed"]


async def test_spending_reaches_the_certificate_that_pays(store: Store) -> None:
    spent = store.certificates[1]
    paid = payment(tender="giftCertificate", certificateId=spent)
    for _ in range(2):
        await store.commit(store.payment_record(paid))
    await store.commit(store.order_record(order(lines=[store.line(0)])))
    assert await store.rows("SELECT certificate_id::text, applied_at FROM spendings") == [(spent, None)]
    assert await store.pending(1) == ["certificate_spent"]
    assert await store.pending(0) == ["payment_captured"]


async def test_clients_are_kept_by_their_latest_word(store: Store) -> None:
    later = client(locale="en-GB", occurredAt="2026-11-23T12:00:00Z", eventId="cl-2")
    await store.commit(store.client_record(later), store.client_record(client()))
    await store.commit(store.client_record(client(eventId="again")))
    assert await store.rows("SELECT locale, event_id FROM clients") == [("en-GB", "cl-2")]


async def test_a_record_that_spoils_its_transaction_is_found_among_good_ones(store: Store) -> None:
    records = [store.payment_record(payment(orderId=f"IM-{nth}")) for nth in range(20)]
    poison = store.order_record(order(orderId="a\0b", lines=[goods_line()]))
    sale = store.order_record(order(lines=[store.line()]))
    committed = await store.commit(*records[:7], poison, *records[7:], sale)
    assert await store.value("SELECT count(*) FROM unmatched_payments") == 20
    assert await store.pending() == ["order_created"]
    [(event_type, payload)] = await store.events()
    assert event_type == "error.processingFailed"
    assert (payload["topic"], payload["offset"], payload["reason"]) == (TOPICS.orders, 0, "recordFails")
    assert committed.counts[TOPICS.orders, "failed"] == 1
    assert [one.certificate_id for one in committed.wakes] == [store.certificates[0]]


async def test_a_poison_that_comes_again_is_told_once(store: Store) -> None:
    poison = store.order_record(order(orderId="a\0b", lines=[goods_line()]))
    for _ in range(2):
        await store.commit(poison)
    assert len(await store.events()) == 1
