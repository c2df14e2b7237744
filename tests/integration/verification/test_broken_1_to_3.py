"""Counts, reservations and order lines, spoilt behind the service's back: the right check says so, and no other."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from giftcert.domain.cause import Cause
from tests.integration.verification.conftest import World
from tests.integration.verification.sold_world import (
    BLOCKED,
    CANCELLED,
    ISSUED,
    ORDERED,
    POOL,
    RESERVED,
    order_of,
)
from tests.integration.verification.spoiling import tell

pytestmark = pytest.mark.integration


async def test_1_a_certificate_that_is_gone_is_missed(world: World) -> None:
    await world.drop_constraints("certificate_secrets", "f")
    await world.spoil(
        "DELETE FROM certificates WHERE certificate_id = (SELECT certificate_id FROM certificates"
        " WHERE sequence = 0 LIMIT 1)"
    )
    findings = await world.verify()
    [of_batches, kept] = findings.violations
    assert of_batches.seen == f"{POOL - 1} over all statuses"
    assert (kept.rule, kept.about) == ("keptCountDiffers", "available")
    assert await world.broken() == {1: {"countDiffers", "keptCountDiffers"}}


async def test_1_a_batch_that_was_recorded_otherwise_is_named(world: World) -> None:
    await world.spoil("UPDATE batches SET quantity = quantity + 1")
    assert await world.broken() == {1: {"countDiffers", "batchUnrecorded"}}


async def test_2_a_reserved_certificate_without_its_reservation_is_named(world: World) -> None:
    await world.spoil(
        "UPDATE reservations SET resolved_at = now(), resolution = 'retired' WHERE certificate_id = :id",
        of=RESERVED,
    )
    assert await world.broken() == {2: {"reservedWithoutReservation"}}


async def test_2_a_second_live_reservation_is_named(world: World) -> None:
    await world.drop_index("reservations_one_live")
    await world.spoil(
        "INSERT INTO reservations SELECT gen_random_uuid(), certificate_id, channel, reserved_by, reserved_at,"
        " reserved_until FROM reservations WHERE certificate_id = :id",
        of=RESERVED,
    )
    assert await world.broken() == {2: {"strayReservation"}}


async def test_2_a_reservation_of_what_is_held_already_is_named(world: World) -> None:
    payload = {
        "reservationId": "01936f5e-0000-7000-8000-00000000000a",
        "reservedUntil": "2026-11-23T12:30:00Z",
    }
    await tell(world, world.ids[RESERVED], event_type="issue.reserved", payload=payload)
    assert await world.broken() == {2: {"heldTwice"}, 10: {"requestMissing"}}


@pytest.mark.parametrize("other", [ORDERED, BLOCKED])
async def test_3_a_line_with_two_live_certificates_is_named(world: World, other: int) -> None:
    await world.drop_index("certificates_live_line")
    await world.spoil(
        "UPDATE certificates AS c SET order_id = o.order_id, line_key = o.line_key FROM certificates AS o"
        " WHERE o.certificate_id = :id AND c.certificate_id = :other",
        of=ISSUED,
        other=UUID(world.ids[other]),
    )
    assert await world.broken() == {3: {"holderDiffers"}}


async def test_3_a_certificate_whose_line_nobody_holds_is_named(world: World) -> None:
    await world.spoil("UPDATE order_lines SET holder = NULL, holder_status = NULL WHERE order_id = 'IM-0'")
    assert (await world.broken())[3] == {"holderDiffers"}


async def test_3_a_line_that_is_held_by_a_certificate_without_its_sale_is_named(world: World) -> None:
    await world.spoil(
        "UPDATE order_lines SET holder = :released, holder_status = 'ordered' WHERE order_id = :order_id",
        released=UUID(world.ids[CANCELLED]),
        order_id=order_of(CANCELLED),
    )
    assert await world.broken() == {3: {"strayHolder"}}


async def test_3_a_certificate_that_was_issued_twice_is_named(world: World) -> None:
    payload = {
        "orderId": "IM-0",
        "lineId": "2",
        "amount": {"amount": 500_000, "currency": "RUB"},
        "paymentIds": ["P-0"],
        "validUntil": "2027-11-23T12:00:00Z",
    }
    cause = Cause("All_Payments", "pay-0-", datetime.now(UTC))
    await tell(world, world.ids[ISSUED], event_type="issue.completed", cause=cause, payload=payload)
    assert await world.broken() == {3: {"issuedTwice"}}
