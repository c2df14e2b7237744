"""Sequences, spoilt on the stream or in the database: the right check says so, and no other."""

import json

import pytest
from aiokafka import ConsumerRecord

from tests.integration.verification.conftest import World
from tests.integration.verification.sold_world import (
    ISSUED,
    RESERVED,
)
from tests.integration.verification.spoiling import Written, as_it_was, is_of

pytestmark = pytest.mark.integration


async def test_6_a_repeat_is_no_violation(world: World) -> None:
    await world.tell_again(lambda record: [(record.key, record.value)] * 2)
    assert await world.broken() == {}


async def test_6_a_doubled_event_is_named(world: World) -> None:
    def doubled(record: ConsumerRecord) -> Written:
        yield record.key, record.value
        if is_of(record, world.ids[ISSUED], "issue.completed"):
            event = json.loads(record.value) | {"eventId": "01936f5e-0000-7000-8000-00000000ffff"}
            yield record.key, json.dumps(event).encode()

    await world.tell_again(doubled)
    assert await world.broken() == {6: {"otherContent"}}


@pytest.mark.parametrize("event_type", ["issue.completed", "issue.blocked"])
async def test_6_a_repeat_with_other_content_is_named(world: World, event_type: str) -> None:
    def repeated(record: ConsumerRecord) -> Written:
        yield record.key, record.value
        event = json.loads(record.value)
        if event["eventType"] == event_type:
            yield record.key, json.dumps(event | {"channel": "pos"}).encode()

    await world.tell_again(repeated)
    assert await world.broken() == {6: {"otherContent"}}


async def test_6_a_lost_event_is_named(world: World) -> None:
    await world.tell_again(
        lambda record: () if is_of(record, world.ids[ISSUED], "issue.ordered") else as_it_was(record)
    )
    assert await world.broken() == {6: {"missingOnStream"}}


async def test_6_a_gap_in_what_is_recorded_is_named(world: World) -> None:
    await world.spoil(
        "DELETE FROM events WHERE certificate_id = :id AND event_type = 'issue.ordered'", of=ISSUED
    )
    assert await world.broken() == {6: {"gap", "publishedUnrecorded"}}


async def test_6_a_count_that_runs_ahead_of_its_events_is_named(world: World) -> None:
    await world.spoil("UPDATE certificates SET sequence = sequence + 1 WHERE certificate_id = :id", of=ISSUED)
    assert await world.broken() == {6: {"gap"}}


async def test_6_a_record_that_is_no_event_of_ours_is_named(world: World) -> None:
    strange = iter([b"hello"])
    await world.tell_again(lambda record: [(record.key, record.value), *((b"k", one) for one in strange)])
    assert await world.broken() == {6: {"noEvent"}}


async def test_6_events_of_a_certificate_that_we_never_made_are_named(world: World) -> None:
    def with_stranger(record: ConsumerRecord) -> Written:
        yield record.key, record.value
        if is_of(record, world.ids[RESERVED], "issue.reserved"):
            stranger = "01936f5e-0000-7000-8000-00000000ffff"
            event = json.loads(record.value) | {"certificateId": stranger}
            yield stranger.encode(), json.dumps(event).encode()

    await world.tell_again(with_stranger)
    assert await world.broken() == {6: {"publishedUnrecorded"}}
