"""Disclosures and lost work, spoilt behind the service's back: the right check says so, and no other."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from tests.integration.verification.conftest import World
from tests.integration.verification.sold_world import (
    ASKED,
    HELD,
    ISSUED,
    PARTLY,
    PRICE,
    order_of,
)
from tests.integration.verification.spoiling import OtherRuns, fold_otherwise, tell

pytestmark = pytest.mark.integration


async def test_8_a_disclosure_without_a_record_is_named(world: World) -> None:
    await world.spoil("DELETE FROM disclosures")
    assert await world.broken() == {8: {"disclosureUnrecorded"}}


CHANGES = {
    "UPDATE disclosures SET sequence = 1": {"disclosureUnpublished", "disclosureUnrecorded"},
    "UPDATE disclosures SET disclosed_to = 'eve'": {"disclosureUnpublished"},
    "UPDATE disclosures SET disclosed_at = disclosed_at - interval '1 day'": {"disclosureUnpublished"},
}


@pytest.mark.parametrize(("change", "rules"), CHANGES.items())
async def test_8_a_record_of_which_the_stream_was_not_told_so_is_named(
    world: World, change: str, rules: set[str]
) -> None:
    await world.spoil(change)
    assert await world.broken() == {8: rules}


async def test_8_a_disclosure_while_a_refund_is_open_is_named(world: World) -> None:
    said = {"disclosedTo": "crm", "purpose": "notification", "notificationId": "N-2"}
    await tell(world, world.ids[PARTLY], event_type="audit.cvcDisclosed", payload=said)
    await world.spoil(
        """INSERT INTO disclosures (certificate_id, disclosed_to, purpose, notification_id, disclosed_at, sequence)
            SELECT certificate_id, 'crm', 'notification', 'N-2', occurred_at, sequence
            FROM events WHERE certificate_id = :id ORDER BY sequence DESC LIMIT 1""",
        of=PARTLY,
    )
    assert await world.broken() == {8: {"disclosureNotAllowed"}}


async def refund_comes(world: World, nth: int = ISSUED) -> None:
    """Ingest commits a refund; the certificate has not looked yet."""
    await world.sales.store.commit(world.sales.refunded(nth, PRICE))


async def line_changes_and_nobody_is_told(world: World) -> None:
    await refund_comes(world)
    await world.spoil("DELETE FROM pending")


async def line_stands_otherwise_than_its_order_says(world: World) -> None:
    await world.spoil(
        "UPDATE order_lines SET standing = jsonb_set(standing, '{missing}', '7') WHERE order_id = :order_id",
        order_id=order_of(ISSUED),
    )


async def line_is_gone(world: World) -> None:
    await world.spoil("DELETE FROM order_lines WHERE order_id = 'IM-S'")


async def order_was_overwritten_by_an_older_one(world: World) -> None:
    await fold_otherwise(world, order_of(ISSUED), lambda order: replace(order, revision=order.revision - 1))


async def spending_comes(world: World) -> None:
    await world.sales.store.commit(world.sales.spends(HELD, 50_000))


async def spending_is_passed_over(world: World) -> None:
    await spending_comes(world)
    await world.spoil("DELETE FROM pending")


async def work_cannot_be_decided(world: World) -> None:
    await world.spoil(
        """UPDATE certificates SET parked = jsonb_build_array(jsonb_build_object('kind', 'line', 'key', order_id,
            'line_key', line_key, 'revision', 2, 'build', 'b', 'error', 'KeyError', 'since', now()))
            WHERE certificate_id = :id""",
        of=ISSUED,
    )


async def instant_passes(world: World) -> None:
    await world.spoil(
        "UPDATE certificates SET next_instant = now() - interval '10 min' WHERE certificate_id = :id",
        of=ISSUED,
    )


async def certificate_sleeps_for_ever(world: World) -> None:
    await world.spoil("UPDATE certificates SET next_instant = NULL WHERE certificate_id = :id", of=ISSUED)


async def nobody_decides(world: World) -> None:
    await refund_comes(world)
    await world.spoil("UPDATE pending SET since = now() - interval '10 min'")


async def workflow_is_gone(world: World) -> None:
    world.runs = OtherRuns(world.runs, hidden=world.ids[ISSUED])


async def workflow_that_a_refund_needs_is_gone(world: World) -> None:
    world.runs = OtherRuns(world.runs, hidden=world.ids[ASKED])


async def nobody_hears_of_a_quarantined_record(world: World) -> None:
    await world.spoil(
        "INSERT INTO quarantine (topic, partition, record_offset, fingerprint, reason, detail)"
        " VALUES ('All_Payments', 0, 99, '', 'notJson', '')"
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
    await world.spoil("DELETE FROM order_lines WHERE order_id = 'IM-S'")
    await world.spoil("DELETE FROM orders WHERE order_id = 'IM-S'")


async def order_is_garbled(world: World) -> None:
    await world.spoil("UPDATE orders SET aggregate = '\\x81a7' || aggregate WHERE order_id = 'IM-S'")


async def line_of_an_order_is_garbled(world: World) -> None:
    await world.spoil("UPDATE order_lines SET standing = '[]' WHERE order_id = 'IM-S'")


async def certificate_of_an_order_is_garbled(world: World) -> None:
    await world.spoil("UPDATE certificates SET state = '[]' WHERE certificate_id = :id", of=ISSUED)


async def shard_is_never_published(world: World) -> None:
    await world.spoil("DELETE FROM outbox_shards WHERE shard = 7")


LOSSES: dict[str, tuple[Callable[[World], Awaitable[None]], str]] = {
    "a line that changed without anybody being told": (line_changes_and_nobody_is_told, "undecided"),
    "a line that stands otherwise than its order says": (
        line_stands_otherwise_than_its_order_says,
        "standingDiffers",
    ),
    "a line that is gone": (line_is_gone, "standingDiffers"),
    "an order that was overwritten by an older one": (order_was_overwritten_by_an_older_one, "inputLost"),
    "a spending that was passed over": (spending_is_passed_over, "spendingLost"),
    "work that could not be decided": (work_cannot_be_decided, "parked"),
    "an instant that passed unseen": (instant_passes, "overdue"),
    "a sold certificate that never looks again": (certificate_sleeps_for_ever, "asleep"),
    "work that waits too long": (nobody_decides, "pending"),
    "a sold certificate without its workflow": (workflow_is_gone, "runMissing"),
    "an open refund without its workflow": (workflow_that_a_refund_needs_is_gone, "runMissing"),
    "a quarantined record of which nobody was told": (
        nobody_hears_of_a_quarantined_record,
        "quarantineUnreported",
    ),
    "one of two records at a place, of which nobody was told": (
        nobody_hears_of_one_of_two_records_at_one_place,
        "quarantineUnreported",
    ),
    "a payment that its known order never got": (
        payment_of_a_known_order_is_left_behind,
        "paymentLeftBehind",
    ),
    "an order that was forgotten": (order_is_forgotten, "orderLost"),
    "an order that cannot be decoded": (order_is_garbled, "orderUnreadable"),
    "a line that cannot be decoded": (line_of_an_order_is_garbled, "orderUnreadable"),
    "a certificate that cannot be decoded": (certificate_of_an_order_is_garbled, "orderUnreadable"),
    "a shard that nobody publishes": (shard_is_never_published, "shardMissing"),
}


@pytest.mark.parametrize(("spoil", "rule"), LOSSES.values(), ids=LOSSES)
async def test_9_what_vanishes_is_named(
    world: World, spoil: Callable[[World], Awaitable[None]], rule: str
) -> None:
    await spoil(world)
    assert await world.broken() == {9: {rule}}


async def parked_line_changes(world: World) -> None:
    """What is pending beside parked work is not named once more."""
    await work_cannot_be_decided(world)
    await nobody_decides(world)
    await instant_passes(world)


WAITING = {
    "a refund that has just come": (refund_comes, {}),
    "a spending that has just come": (spending_comes, {}),
    "parked work, whatever else comes": (parked_line_changes, {9: {"parked"}}),
}


@pytest.mark.parametrize(("come", "broken"), WAITING.values(), ids=WAITING)
async def test_9_what_waits_for_a_short_time_breaks_nothing(
    world: World, come: Callable[[World], Awaitable[None]], broken: dict[int, set[str]]
) -> None:
    await come(world)
    assert await world.broken() == broken
