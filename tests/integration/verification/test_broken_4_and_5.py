"""Money and the fold of the stream, spoilt behind the service's back: the right check says so, and no other."""

import json
from datetime import timedelta
from uuid import UUID

import pytest
from aiokafka import ConsumerRecord

from tests.integration.verification.conftest import World
from tests.integration.verification.sold_world import (
    BLOCKED,
    ISSUED,
    ORDERED,
    PARTLY,
    REFUNDED,
    publish_all,
)
from tests.integration.verification.spoiling import Written, as_it_was, is_of

pytestmark = pytest.mark.integration


async def test_4_more_than_the_nominal_is_named_and_is_not_what_the_stream_says(world: World) -> None:
    await world.drop_constraints("certificates")
    await world.spoil(
        "UPDATE certificates SET held = 1 WHERE certificate_id = :id", id=UUID(world.ids[ISSUED])
    )
    assert await world.broken() == {4: {"moneyOutOfBounds"}, 5: {"foldDiffers"}}


async def test_4_a_hold_that_no_redemption_has_is_named(world: World) -> None:
    await world.spoil("UPDATE redemptions SET held = held + 1 WHERE held > 0")
    assert await world.broken() == {4: {"holdsDiffer"}}


CHANGED_REFUND = """UPDATE certificates SET state = jsonb_set(state, '{orders,0,payments,1}',
    (state #> '{orders,0,payments,1}') || CAST(:change AS jsonb)) WHERE certificate_id = :id"""


async def test_4_a_refund_of_more_than_came_without_a_case_is_named(world: World) -> None:
    more = {"amount": 600_000, "allocations": [{"line_id": "2", "amount": 600_000}]}
    await world.spoil(CHANGED_REFUND, change=json.dumps(more), id=UUID(world.ids[REFUNDED]))
    assert await world.broken() == {4: {"refundedUncaptured"}}


async def test_4_a_refund_of_a_payment_that_brought_less_is_named(world: World) -> None:
    other = {"payment_id": "P-other"}
    await world.spoil(CHANGED_REFUND, change=json.dumps(other), id=UUID(world.ids[REFUNDED]))
    assert await world.broken() == {4: {"refundedOfOther"}}


async def test_5_certificates_that_are_not_what_their_events_say_are_named(world: World) -> None:
    changes = {
        ISSUED: "UPDATE certificates SET balance = balance - 1 WHERE certificate_id = :id",
        BLOCKED: "UPDATE certificates SET held = 1, balance = balance - 1 WHERE certificate_id = :id",
        PARTLY: "UPDATE certificates SET status = 'partiallyRedeemed' WHERE certificate_id = :id",
        ORDERED: "UPDATE certificates SET blocked = true WHERE certificate_id = :id",
        REFUNDED: "UPDATE certificates SET refund_state = 'rejected' WHERE certificate_id = :id",
    }
    for nth, change in changes.items():
        await world.spoil(change, id=UUID(world.ids[nth]))
    found = (await world.verify()).violations
    assert {one.rule for one in found} == {"foldDiffers"}
    assert {one.subject for one in found} == {world.ids[nth] for nth in changes}


async def test_5_an_event_that_says_other_than_the_fold_is_named(world: World) -> None:
    await world.spoil(
        "UPDATE events SET balance = balance - 1 WHERE certificate_id = :id AND event_type = 'issue.completed'",
        id=UUID(world.ids[ISSUED]),
    )
    await world.spoil("UPDATE events SET published_at = NULL")
    await world.tell_again(lambda _: ())
    await publish_all(world.engine, world.settings)
    assert await world.broken() == {5: {"eventDiffers"}}


async def test_5_an_event_that_nobody_publishes_is_named(world: World) -> None:
    await world.tell_again(
        lambda record: () if is_of(record, world.ids[ISSUED], "audit.cvcDisclosed") else as_it_was(record)
    )
    unpublish = """UPDATE events SET published_at = NULL, recorded_at = now() - CAST(:age AS interval)
        WHERE event_type = 'audit.cvcDisclosed'"""
    await world.spoil(unpublish, age=timedelta(seconds=5))
    assert await world.broken() == {}
    await world.spoil(unpublish, age=timedelta(minutes=2))
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
    assert await world.broken() == {5: {"toldUnrecorded"}}


async def test_5_an_event_about_no_certificate_that_the_stream_lacks_is_named(world: World) -> None:
    await world.tell_again(
        lambda record: () if json.loads(record.value)["eventType"] == "issue.blocked" else as_it_was(record)
    )
    assert await world.broken() == {5: {"missingOnStream"}}
