"""Causes, spoilt behind the service's back: what nobody said, asked for or waited for is named."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.verification.conftest import World
from tests.integration.verification.sold_world import (
    BLOCKED,
    EXPIRED,
    HELD,
    ISSUED,
    LAPSED,
    ORDERED,
    RESERVED,
    SPENT,
    publish_all,
)
from tests.integration.verification.spoiling import as_it_was, publish_as_recorded

pytestmark = pytest.mark.integration


async def test_10_an_event_of_a_message_that_nobody_received_is_named(world: World) -> None:
    await world.spoil("DELETE FROM inbox WHERE event_id = 'so-0'")
    assert await world.broken() == {10: {"causeUnknown"}}


async def test_10_a_purchase_of_a_payment_that_nobody_received_is_named(world: World) -> None:
    await world.spoil("DELETE FROM spendings WHERE certificate_id = :id", of=SPENT)
    assert await world.broken() == {10: {"causeUnknown"}}


async def test_10_what_the_inbox_has_forgotten_is_no_violation(world: World) -> None:
    await world.spoil("DELETE FROM inbox")
    world.settings = world.settings.model_copy(update={"inbox_retention": timedelta(days=1)})
    assert await world.broken() == {}


async def test_10_what_an_old_message_brings_about_by_now_is_no_violation(world: World) -> None:
    """It waited, say for a line that another certificate held, until its original was forgotten."""
    await world.spoil("DELETE FROM inbox WHERE event_id = 'so-0'")
    await world.spoil(
        "UPDATE events SET occurred_at = now() - interval '1 year' WHERE cause_event_id = 'so-0'"
    )
    await publish_as_recorded(world)
    assert await world.broken() == {}


async def test_10_an_order_id_that_is_masked_in_the_event_is_no_violation(world: World) -> None:
    await world.spoil(
        "UPDATE events SET payload = jsonb_set(payload, '{orderId}', '\"*****\"') WHERE cause_event_id = 'so-0'"
    )
    await publish_as_recorded(world)
    assert await world.broken() == {}


async def test_10_money_that_no_message_told_of_is_named(world: World) -> None:
    await world.spoil(
        "UPDATE events SET cause_topic = NULL, cause_event_id = NULL WHERE certificate_id = :id"
        " AND event_type = 'issue.completed'",
        of=ISSUED,
    )
    await publish_as_recorded(world)
    assert await world.broken() == {10: {"causeMissing"}}


async def test_10_a_certificate_that_was_issued_without_any_payment_is_named(world: World) -> None:
    """Its tables and its event say that it was, and the event's cause is a message that came."""
    await world.spoil(
        "UPDATE certificates SET status = 'issued', balance = nominal WHERE certificate_id = :id", of=ORDERED
    )
    await world.spoil("UPDATE order_lines SET holder_status = 'issued' WHERE holder = :id", of=ORDERED)
    found = (await world.verify()).violations
    assert ("issuedUnpaid", world.ids[ORDERED]) in {(one.rule, one.subject) for one in found}


@pytest.mark.parametrize(
    ("spoil", "nth"),
    [
        ("DELETE FROM reservations WHERE certificate_id = :id", RESERVED),
        ("DELETE FROM reservations WHERE certificate_id = :id", LAPSED),
        ("DELETE FROM redemptions WHERE certificate_id = :id", HELD),
    ],
)
async def test_10_what_no_channel_asked_for_is_named(world: World, spoil: str, nth: int) -> None:
    await world.spoil(spoil, of=nth)
    assert "requestMissing" in (await world.broken())[10]


async def test_10_an_act_of_nobody_is_named(world: World) -> None:
    await world.spoil(
        'UPDATE events SET payload = payload || \'{"by": ""}\' WHERE certificate_id = :id'
        " AND event_type = 'audit.blocked'",
        of=BLOCKED,
    )
    await publish_as_recorded(world)
    assert await world.broken() == {10: {"requestMissing"}}


async def test_10_a_reservation_that_ran_out_before_its_time_is_named(world: World) -> None:
    await world.spoil(
        "UPDATE reservations SET reserved_until = now() + interval '1 h' WHERE certificate_id = :id",
        of=LAPSED,
    )
    assert await world.broken() == {10: {"tooEarly"}}


async def test_10_a_validity_that_ended_before_its_time_is_named(world: World) -> None:
    await world.spoil(
        "UPDATE events SET payload = jsonb_set(payload, '{validUntil}', '\"2999-01-01T00:00:00Z\"')"
        " WHERE certificate_id = :id AND event_type = 'issue.completed'",
        of=EXPIRED,
    )
    await publish_as_recorded(world)
    assert await world.broken() == {10: {"tooEarly"}}


async def test_10_a_hold_that_lapsed_before_its_time_is_named(world: World) -> None:
    await world.tell_again(as_it_was)
    await world.lifecycle.advance(world.ids[HELD], datetime.now(UTC) + timedelta(hours=1))
    await publish_all(world.database, world.settings)
    assert await world.broken() == {}
    await world.spoil(
        "UPDATE redemptions SET expires_at = now() + interval '1 day' WHERE certificate_id = :id", of=HELD
    )
    assert await world.broken() == {10: {"tooEarly"}}
