"""Money and the fold of the stream, spoilt behind the service's back: the right check says so, and no other."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from aiokafka import ConsumerRecord

from giftcert.domain.cause import Cause
from giftcert.domain.order.state import Order, RefundPart
from tests.integration.verification.conftest import World
from tests.integration.verification.sold_world import (
    BLOCKED,
    ISSUED,
    ORDERED,
    PARTLY,
    PRICE,
    REFUNDED,
    order_of,
)
from tests.integration.verification.spoiling import (
    Written,
    as_it_was,
    fold_otherwise,
    is_of,
    publish_as_recorded,
    unpublish,
)

pytestmark = pytest.mark.integration


async def test_4_more_than_the_nominal_is_named_and_is_not_what_the_stream_says(world: World) -> None:
    await world.drop_constraints("certificates")
    await world.spoil("UPDATE certificates SET held = 1 WHERE certificate_id = :id", of=ISSUED)
    assert await world.broken() == {4: {"moneyOutOfBounds"}, 5: {"foldDiffers"}}


async def test_4_a_hold_that_no_redemption_has_is_named(world: World) -> None:
    await world.spoil("UPDATE redemptions SET held = held + 1 WHERE held > 0")
    assert await world.broken() == {4: {"holdsDiffer"}}


async def test_4_a_refund_of_more_than_came_without_a_case_is_named(world: World) -> None:
    def more(order: Order) -> Order:
        part = order.refunds[0]._replace(amount=600_000, allocations=(("2", 600_000),))
        return replace(order, refunds=(part,))

    await fold_otherwise(world, order_of(REFUNDED), more)
    assert await world.broken() == {4: {"refundedUncaptured"}, 9: {"undecided"}}


async def test_4_a_refund_of_a_payment_that_brought_less_is_named(world: World) -> None:
    def of_another(order: Order) -> Order:
        moment = datetime.now(UTC)
        cause = Cause("All_Payments", "pay-x", moment, "im")
        part = RefundPart("P-other", "R-other", PRICE, "RUB", (("2", PRICE),), 1, moment, cause)
        return replace(order, refunds=(part,))

    await fold_otherwise(world, order_of(ISSUED), of_another)
    assert await world.broken() == {4: {"refundedOfOther"}, 9: {"undecided"}}


async def test_5_certificates_that_are_not_what_their_events_say_are_named(world: World) -> None:
    changes = {
        ISSUED: "UPDATE certificates SET balance = balance - 1 WHERE certificate_id = :id",
        BLOCKED: "UPDATE certificates SET held = 1, balance = balance - 1 WHERE certificate_id = :id",
        PARTLY: "UPDATE certificates SET status = 'partiallyRedeemed' WHERE certificate_id = :id",
        ORDERED: "UPDATE certificates SET blocked = true WHERE certificate_id = :id",
        REFUNDED: "UPDATE certificates SET refund_state = 'rejected' WHERE certificate_id = :id",
    }
    for nth, change in changes.items():
        await world.spoil(change, of=nth)
    found = [one for one in (await world.verify()).violations if one.invariant == 5]
    assert {one.rule for one in found} == {"foldDiffers"}
    assert {one.subject for one in found} == {world.ids[nth] for nth in changes}


async def test_5_an_event_that_says_other_than_the_fold_is_named(world: World) -> None:
    await world.spoil(
        "UPDATE events SET balance = balance - 1 WHERE certificate_id = :id AND event_type = 'issue.completed'",
        of=ISSUED,
    )
    await publish_as_recorded(world)
    assert await world.broken() == {5: {"eventDiffers"}}


async def test_5_an_event_that_nobody_publishes_is_named(world: World) -> None:
    await world.tell_again(
        lambda record: () if is_of(record, world.ids[ISSUED], "audit.cvcDisclosed") else as_it_was(record)
    )
    age = "UPDATE events SET recorded_at = now() - CAST(:age AS interval) WHERE event_type = 'audit.cvcDisclosed'"
    await unpublish(world, "audit.cvcDisclosed")
    await world.spoil(age, age=timedelta(seconds=5))
    assert await world.broken() == {}
    await world.spoil(age, age=timedelta(minutes=10))
    assert await world.broken() == {5: {"unpublished"}}


async def test_5_a_stream_that_forgets_is_named(world: World) -> None:
    await world.tell_again(as_it_was, {"cleanup.policy": "compact", "retention.ms": "-1"})
    findings = await world.verify()
    assert [(one.rule, one.seen) for one in findings.violations] == [
        ("streamForgets", "cleanup.policy=compact")
    ]


async def test_5_an_event_about_no_certificate_that_was_never_recorded_is_named(world: World) -> None:
    def with_stranger(record: ConsumerRecord) -> Written:
        yield record.key, record.value
        event = json.loads(record.value)
        if event["eventType"] == "issue.blocked":
            event["eventId"] = "01936f5e-0000-7000-8000-00000000ffff"
            yield record.key, json.dumps(event).encode()

    await world.tell_again(with_stranger)
    assert await world.broken() == {5: {"publishedUnrecorded"}}


async def test_5_an_event_about_no_certificate_that_the_stream_lacks_is_named(world: World) -> None:
    await world.tell_again(
        lambda record: () if json.loads(record.value)["eventType"] == "issue.blocked" else as_it_was(record)
    )
    assert await world.broken() == {5: {"missingOnStream"}}
