import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from giftcert.contracts.stream import EventRecord
from giftcert.domain.cause import Cause
from giftcert.storage.events import EventRepository
from tests.integration.dispatch.recorded import shard_of
from tests.integration.storage.pool_rows import Tables

pytestmark = [pytest.mark.integration, pytest.mark.made_up_events]


def record(nth: int = 0) -> EventRecord:
    return EventRecord(
        event_type="audit.operatorActed",
        occurred_at=datetime.now(UTC),
        channel="im",
        payload={"nth": nth},
        cause=Cause("All_Payments", "pay-1", datetime.now(UTC)),
        balance=500_000,
        currency="RUB",
    )


async def told(tables: Tables) -> list[dict[str, Any]]:
    """The events of certificates, in the order in which they are published."""
    return await tables.rows(
        """SELECT * FROM outbox JOIN events USING (event_id)
            WHERE certificate_id IS NOT NULL ORDER BY position"""
    )


async def test_events_of_one_transaction_follow_each_other(tables: Tables) -> None:
    await tables.fill(1)
    [certificate_id] = await tables.certificate_ids()
    async with tables.database.transaction() as connection:
        events = EventRepository(connection)
        assert await events.append(certificate_id, [record(1), record(2)]) == 2
        assert await events.append(certificate_id, [record(3)]) == 3
    stored = await told(tables)
    assert [(event["sequence"], event["payload"]["nth"]) for event in stored] == [(1, 1), (2, 2), (3, 3)]
    assert {event["shard"] for event in stored} == {shard_of(certificate_id)}
    assert stored[0]["stream_key"] == certificate_id
    assert (stored[0]["cause_topic"], stored[0]["cause_event_id"]) == ("All_Payments", "pay-1")


async def test_sequence_numbers_have_no_gap_whoever_appends_and_whatever_is_undone(tables: Tables) -> None:
    await tables.fill(1)
    [certificate_id] = await tables.certificate_ids()

    async def append(number: int) -> None:
        with suppress(ZeroDivisionError):
            async with tables.database.transaction() as connection:
                await EventRepository(connection).append(certificate_id, [record(number)] * 3)
                if number % 3 == 0:
                    raise ZeroDivisionError

    await asyncio.gather(*(append(number) for number in range(30)))
    stored = await told(tables)
    assert [event["sequence"] for event in stored] == list(range(1, 61))


async def test_an_event_of_no_certificate_has_a_key_and_no_sequence(tables: Tables) -> None:
    async with tables.database.transaction() as connection:
        await EventRepository(connection).append_keyed("GC-5000", [record()])
    [event] = await tables.rows("SELECT * FROM outbox JOIN events USING (event_id)")
    assert (event["stream_key"], event["certificate_id"], event["sequence"]) == ("GC-5000", None, None)
    assert event["shard"] == shard_of("GC-5000")


async def test_an_unknown_certificate_has_no_events(tables: Tables) -> None:
    async with tables.database.connection() as connection:
        assert await EventRepository(connection).append(str(uuid4()), [record()]) is None
    assert await tables.rows("SELECT 1 FROM events") == []


async def test_sql_chooses_the_same_shard_as_python(tables: Tables) -> None:
    await tables.fill(20)
    await tables.reserve(20)
    stored = await told(tables)
    assert len(stored) == 20
    assert all(event["shard"] == shard_of(event["stream_key"]) for event in stored)
