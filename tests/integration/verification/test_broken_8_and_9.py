"""Disclosures and lost messages, spoilt behind the service's back: the right check says so, and no other."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest

from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.disclosures import DisclosureRepository, DisclosureRequest
from tests.integration.verification.conftest import World
from tests.integration.verification.sold_world import (
    ASKED,
    ISSUED,
    PARTLY,
    REFUNDED,
    publish_all,
)
from tests.integration.verification.spoiling import OtherRuns, as_it_was

pytestmark = pytest.mark.integration


async def test_8_a_disclosure_without_a_record_is_named(world: World) -> None:
    await world.spoil("DELETE FROM disclosures")
    assert await world.broken() == {8: {"disclosureUnrecorded"}}


CHANGES = {
    "UPDATE disclosures SET sequence = 1": {"disclosureUntold", "disclosureUnrecorded"},
    "UPDATE disclosures SET disclosed_to = 'eve'": {"disclosureUntold"},
}


@pytest.mark.parametrize(("change", "rules"), CHANGES.items())
async def test_8_a_record_of_which_the_stream_was_not_told_so_is_named(
    world: World, change: str, rules: set[str]
) -> None:
    await world.spoil(change)
    assert await world.broken() == {8: rules}


async def test_8_a_disclosure_while_a_refund_is_open_is_named(world: World) -> None:
    certificate_id = world.ids[PARTLY]
    request = DisclosureRequest(
        certificate_id=UUID(certificate_id), disclosed_to="crm", purpose="notification", notification_id="N-2"
    )
    async with world.engine.begin() as connection:
        stored = await CertificateRepository(connection).load(certificate_id)
        await DisclosureRepository(connection)._record(request, stored, datetime.now(UTC))
    await world.tell_again(as_it_was)
    await publish_all(world.engine, world.settings)
    assert await world.broken() == {8: {"disclosureNotAllowed"}}


async def delivery_vanishes(world: World) -> None:
    await world.spoil(
        "DELETE FROM deliveries WHERE certificate_id = :id AND message_key LIKE 'payment.captured%'",
        id=UUID(world.ids[ISSUED]),
    )


async def delivery_is_not_sent(world: World) -> None:
    await world.spoil(
        "UPDATE deliveries SET sent_at = NULL, created_at = now() - interval '2 min' WHERE certificate_id = :id",
        id=UUID(world.ids[ISSUED]),
    )


async def applied_is_forgotten(world: World, nth: int) -> None:
    await world.spoil(
        "UPDATE deliveries SET sent_at = now() - interval '1 h' WHERE certificate_id = :id",
        id=UUID(world.ids[nth]),
    )
    await world.spoil(
        "DELETE FROM applied_messages WHERE certificate_id = :id AND message_key LIKE 'order.created%'",
        id=UUID(world.ids[nth]),
    )


async def message_never_reaches_a_finished_certificate(world: World) -> None:
    await applied_is_forgotten(world, REFUNDED)


async def message_is_overtaken(world: World) -> None:
    await applied_is_forgotten(world, ISSUED)


async def workflow_is_gone(world: World) -> None:
    world.runs = OtherRuns(world.runs, hidden=world.ids[ISSUED])


async def workflow_that_a_refund_needs_is_gone(world: World) -> None:
    world.runs = OtherRuns(world.runs, hidden=world.ids[ASKED])


async def nobody_hears_of_a_quarantined_record(world: World) -> None:
    await world.spoil(
        "INSERT INTO quarantine (topic, partition, record_offset, reason, detail) VALUES ('All_Payments', 0, 99,"
        " 'notJson', '')"
    )


async def nobody_hears_of_one_of_two_records_at_one_place(world: World) -> None:
    place = "SELECT topic, partition, record_offset, 'notJson', '', '\\x01'::bytea FROM quarantine LIMIT 1"
    await world.spoil(
        "INSERT INTO quarantine (topic, partition, record_offset, reason, detail, fingerprint) " + place
    )


async def payment_of_a_known_order_is_left_behind(world: World) -> None:
    await world.spoil("UPDATE orders SET recheck = false WHERE order_id = 'IM-0'")
    await world.spoil(
        "INSERT INTO unmatched_payments VALUES (current_date, 'IM-0', 'All_Payments', 0, 98, '')"
    )


async def order_is_forgotten(world: World) -> None:
    await world.spoil("DELETE FROM unknown_lines WHERE order_id = 'IM-S'")
    await world.spoil("DELETE FROM orders WHERE order_id = 'IM-S'")


async def work_of_a_shard_is_never_taken(world: World) -> None:
    await world.spoil("DELETE FROM shards WHERE purpose = 'events' AND shard = 7")


async def paying_certificate_is_not_told(world: World) -> None:
    original = {"tender": "giftCertificate", "certificateId": world.ids[ISSUED]}
    await world.spoil(
        "INSERT INTO inbox (identity, content, order_id, topic, partition, record_offset, event_id, event_type,"
        " original) SELECT 'spent', '', 'IM-77', topic, 0, 97, event_id, event_type, convert_to(CAST("
        " convert_from(original, 'UTF8')::jsonb || CAST(:original AS jsonb) AS text), 'UTF8')"
        " FROM inbox WHERE event_type = 'payment.captured' LIMIT 1",
        original=json.dumps(original),
    )


LOSSES: dict[str, tuple[Callable[[World], Awaitable[None]], str]] = {
    "a delivery that vanished": (delivery_vanishes, "inputUndelivered"),
    "a delivery that nobody sends": (delivery_is_not_sent, "unsent"),
    "a message that never reached a finished certificate": (
        message_never_reaches_a_finished_certificate,
        "deliveryLost",
    ),
    "a message that a later one overtook": (message_is_overtaken, "deliveryOvertaken"),
    "a sold certificate without its workflow": (workflow_is_gone, "runMissing"),
    "an open refund without its workflow": (workflow_that_a_refund_needs_is_gone, "runMissing"),
    "a quarantined record of which nobody was told": (
        nobody_hears_of_a_quarantined_record,
        "quarantineUntold",
    ),
    "one of two records at a place, of which nobody was told": (
        nobody_hears_of_one_of_two_records_at_one_place,
        "quarantineUntold",
    ),
    "a payment that its known order never got": (
        payment_of_a_known_order_is_left_behind,
        "paymentLeftBehind",
    ),
    "an order that was forgotten": (order_is_forgotten, "orderLost"),
    "a shard whose work nobody takes": (work_of_a_shard_is_never_taken, "shardMissing"),
    "a payment of which the paying certificate was not told": (
        paying_certificate_is_not_told,
        "spendingUndelivered",
    ),
}


@pytest.mark.parametrize(("spoil", "rule"), LOSSES.values(), ids=LOSSES)
async def test_9_what_vanishes_is_named(
    world: World, spoil: Callable[[World], Awaitable[None]], rule: str
) -> None:
    await spoil(world)
    assert await world.broken() == {9: {rule}}
