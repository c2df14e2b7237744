import asyncio
import json
from contextlib import suppress
from random import Random

import pytest

from giftcert.storage.database import Database
from giftcert.storage.events import SHARDS, EventRepository
from tests.event_schemas import validate_event
from tests.integration.dispatch.dispatchers import StartDispatcher
from tests.integration.dispatch.recorded import (
    append,
    event_ids,
    reserved,
    shard_of,
    unpublished,
    until_none_waits,
)
from tests.integration.dispatch.stream_reader import StreamReader, first_sequences

pytestmark = [pytest.mark.integration, pytest.mark.made_up_events]


@pytest.mark.usefixtures("dispatching")
async def test_an_event_reaches_the_stream_under_its_certificate_with_cloud_events_headers(
    database: Database, certificates: list[str], reader: StreamReader
) -> None:
    await append(database, certificates[0], reserved())

    published = await reader.next()

    validate_event(published.event)
    assert published.key == certificates[0]
    assert published.event["eventType"] == "issue.reserved"
    assert (published.event["certificateId"], published.event["sequence"]) == (certificates[0], 1)
    assert published.event["payload"] == {"reservationId": "r-1", "reservedUntil": "2026-11-23T12:30:00Z"}
    assert published.event["cause"] == {"topic": "All_SalesOrder", "eventId": "so-1"}
    assert published.headers["ce_id"].decode() == published.event_id
    assert published.headers["ce_subject"].decode() == certificates[0]
    await until_none_waits(database)


async def append_often(database: Database, certificates: list[str], seed: int) -> None:
    """Append bursts to certificates by chance; every fifth transaction is rolled back."""
    chance = Random(seed)
    for number in range(60):
        records = [reserved(number) for _ in range(chance.randint(1, 4))]
        with suppress(ZeroDivisionError):
            async with database.transaction() as connection:
                await EventRepository(connection).append(chance.choice(certificates), records)
                if number % 5 == 0:
                    raise ZeroDivisionError


async def test_two_dispatchers_keep_the_order_of_every_certificate(
    database: Database, certificates: list[str], reader: StreamReader, start_dispatcher: StartDispatcher
) -> None:
    first, second = await start_dispatcher(), await start_dispatcher()
    await asyncio.gather(*(append_often(database, certificates, seed) for seed in range(6)))
    recorded = await event_ids(database)

    published = await reader.until(recorded)
    await until_none_waits(database)

    assert (first.returncode, second.returncode) == (None, None)
    assert {one.event_id for one in published} == recorded
    assert len(published) == len(recorded)
    for sequences in first_sequences(published).values():
        assert sequences == list(range(1, len(sequences) + 1))


@pytest.mark.usefixtures("dispatching")
async def test_an_event_is_not_told_before_it_is_committed(
    database: Database, certificates: list[str], reader: StreamReader
) -> None:
    shard = shard_of(certificates[0])
    neighbour = next(f"key-{number}" for number in range(50 * SHARDS) if shard_of(f"key-{number}") == shard)
    async with database.transaction() as uncommitted:
        await EventRepository(uncommitted).append(certificates[0], [reserved()])
        async with database.transaction() as connection:
            await EventRepository(connection).append_keyed(neighbour, [reserved()])
        assert (await reader.next()).key == neighbour
    assert (await reader.next()).key == certificates[0]


async def test_a_dispatcher_killed_between_publishing_and_deleting_is_repeated_with_the_same_content(
    database: Database, certificates: list[str], reader: StreamReader, start_dispatcher: StartDispatcher
) -> None:
    await append(database, certificates[0], *(reserved(number) for number in range(1, 6)))
    recorded = await event_ids(database)
    async with database.transaction() as holding:  # so that the deletion waits for us
        await holding.execute("SELECT FROM outbox FOR UPDATE")
        killed = await start_dispatcher()
        told_before = list(await reader.until(recorded))
        killed.kill()
        await killed.wait()
    assert await unpublished(database) == 5

    await start_dispatcher()
    for _ in range(5):
        await reader.next()
    repeated = reader.published[5:]

    assert [one.raw for one in repeated] == [one.raw for one in told_before]
    assert [one.headers for one in repeated] == [one.headers for one in told_before]
    assert [one.event["sequence"] for one in repeated] == [1, 2, 3, 4, 5]
    await until_none_waits(database)


@pytest.mark.usefixtures("dispatching")
async def test_a_long_backlog_is_published_window_by_window(
    database: Database, certificates: list[str], reader: StreamReader
) -> None:
    await append(database, certificates[0], *(reserved(number) for number in range(1_200)))

    published = await reader.until(await event_ids(database))

    assert first_sequences(published)[certificates[0]] == list(range(1, 1_201))


@pytest.mark.usefixtures("dispatching")
async def test_a_lost_connection_to_postgresql_is_made_anew(
    database: Database, certificates: list[str], reader: StreamReader
) -> None:
    await append(database, certificates[0], reserved(1))
    await reader.next()
    async with database.connection() as connection:
        ended = await connection.fetchval("""
            SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE application_name = 'giftcert-dispatch' AND datname = current_database()
        """)
        assert ended > 0
    await append(database, certificates[0], reserved(2))

    published = await reader.until(await event_ids(database))

    assert first_sequences(published)[certificates[0]] == [1, 2]


async def test_the_same_order_holds_for_keys_that_are_no_certificate(
    database: Database, reader: StreamReader, start_dispatcher: StartDispatcher
) -> None:
    async with database.transaction() as connection:
        for number in range(20):
            await EventRepository(connection).append_keyed("GC-5000", [reserved(number)])
    await start_dispatcher()

    published = await reader.until(await event_ids(database))

    assert [json.loads(one.raw)["payload"]["reservationId"] for one in published] == [
        f"r-{n}" for n in range(20)
    ]
