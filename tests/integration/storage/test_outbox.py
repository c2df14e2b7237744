"""What a look at the outbox finds, and what it costs, whatever order transactions commit in."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from giftcert.contracts.stream import EventRecord
from giftcert.storage import outbox
from giftcert.storage.database import Connection
from giftcert.storage.events import SHARDS, EventRepository
from giftcert.storage.outbox import Look, OutboxRepository, Watermark
from tests.integration.dispatch.recorded import reserved, shard_of
from tests.integration.storage.pool_rows import Tables
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.made_up_events]
KEY = "GC-5000"


@asynccontextmanager
async def uncommitted(tables: Tables) -> AsyncIterator[Connection]:
    """A transaction that has recorded an event, and so drawn a position, and commits when the body is over."""
    async with tables.database.transaction() as connection:
        await EventRepository(connection).append_keyed(KEY, [reserved()])
        yield connection


async def record(tables: Tables, *records: EventRecord, key: str = KEY) -> None:
    async with tables.database.transaction() as connection:
        await EventRepository(connection).append_keyed(key, records or [reserved()])


async def publish_all(tables: Tables) -> int:
    """Empty the outbox as dispatch does; return how many events that were."""
    count = 0
    while True:
        async with tables.database.transaction() as connection:
            repository = OutboxRepository(connection)
            window = await repository.lock_window(100)
            if window is None:
                return count
            await repository.delete(window)
        count += len(window.events)


class Looking:
    """The poller's looks, one by one."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self.connection = connection
        self.watermark = Watermark()

    async def look(self, empty_at: int = -1) -> Look:
        found = await outbox.look(self.connection, empty_at)
        self.watermark.observe(found)
        if not self.watermark.is_sought:
            self.watermark.seek(found.last_position, await outbox.next_transaction(self.connection))
        return found

    async def raise_bounds(self) -> None:
        """Look as often as it takes where nobody holds a transaction open, and raise the bounds."""
        for _ in range(3):
            await self.look()
        await outbox.raise_bounds(self.connection, self.watermark.position)

    async def catch_up(self) -> Look:
        """Look until nobody's transaction holds the watermark back; those of other databases do so too."""
        while True:
            found = await self.look()
            if self.watermark.position == found.last_position:
                return found


@pytest.fixture
async def looking(tables: Tables) -> AsyncIterator[Looking]:
    connection = await asyncpg.connect(tables.url)
    yield Looking(connection)
    await connection.close()


@pytest.fixture
async def somebody_who_reads(tables: Tables) -> AsyncIterator[None]:
    """A transaction that sees all as it was, and draws no id, so that it holds no watermark back."""
    connection = await asyncpg.connect(tables.url)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.fetchval("SELECT count(*) FROM outbox")
        yield
    await connection.close()


async def bounds(tables: Tables) -> list[int]:
    rows = await tables.rows("SELECT emptied_to FROM outbox_shards ORDER BY shard")
    return [row["emptied_to"] for row in rows]


async def test_the_first_event_of_a_new_database_is_seen(tables: Tables, looking: Looking) -> None:
    for _ in range(3):
        assert not (await looking.look(looking.watermark.position)).event_waits
    await record(tables)
    assert (await looking.look(looking.watermark.position)).event_waits


async def test_the_watermark_stays_below_a_position_whose_transaction_is_open(
    tables: Tables, looking: Looking
) -> None:
    async with uncommitted(tables):
        await record(tables)
        await publish_all(tables)
        for _ in range(5):
            assert not (await looking.look()).event_waits
        assert looking.watermark.position < 1
    found = await looking.catch_up()
    assert found.event_waits
    assert found.last_position == 2


async def test_the_watermark_waits_for_the_newest_transaction_too(tables: Tables, looking: Looking) -> None:
    """Nobody has ended since it began, so that the end of a snapshot is not above its id."""
    async with uncommitted(tables), uncommitted(tables):
        for _ in range(5):
            await looking.look()
        assert looking.watermark.position < 1
    found = await looking.catch_up()
    assert (looking.watermark.position, found.event_waits) == (2, True)


async def test_a_bound_never_passes_an_event_that_commits_after_a_later_one_was_published(
    tables: Tables, looking: Looking
) -> None:
    async with uncommitted(tables):
        await record(tables)  # of the same shard, with a higher position
        assert await publish_all(tables) == 1
        await looking.raise_bounds()
        assert max(await bounds(tables)) < 1
    assert await publish_all(tables) == 1
    await looking.catch_up()
    await looking.raise_bounds()
    assert set(await bounds(tables)) == {2}


async def test_a_bound_stops_below_the_first_event_that_waits(tables: Tables, looking: Looking) -> None:
    for _ in range(3):
        await record(tables)
    await tables.run("DELETE FROM outbox WHERE position <> 2")
    await looking.catch_up()
    await looking.raise_bounds()
    assert (await bounds(tables))[shard_of(KEY)] == 1
    assert sorted(await bounds(tables))[1:] == (SHARDS - 1) * [3]
    assert await publish_all(tables) == 1


async def test_a_window_has_the_first_events_of_as_many_shards_as_are_wanted(tables: Tables) -> None:
    keys = ["GC-1", "GC-2", "GC-3"]
    assert len({shard_of(key) for key in keys}) == 3
    for key in [*keys, *keys]:
        await record(tables, key=key)
    async with tables.database.transaction() as connection:
        first = await OutboxRepository(connection).lock_window(3, shards=2)
        assert first is not None
        assert [event.stream_key for event in first.events] == ["GC-1", "GC-2", "GC-1"]
        assert first.more_wait
        async with tables.database.transaction() as other:
            second = await OutboxRepository(other).lock_window(3, shards=2)
            assert second is not None
            assert [event.stream_key for event in second.events] == ["GC-3", "GC-3"]
            await OutboxRepository(other).delete(second)
        await OutboxRepository(connection).delete(first)
    left = await tables.rows("SELECT position FROM outbox")
    assert [row["position"] for row in left] == [5]


async def test_a_shard_that_somebody_publishes_keeps_its_bound_until_later(
    tables: Tables, looking: Looking
) -> None:
    await record(tables)
    async with tables.database.transaction() as connection:
        window = await OutboxRepository(connection).lock_window(1)
        assert window is not None
        await tables.run("DELETE FROM outbox")
        async with asyncio.timeout(2):
            await looking.raise_bounds()
        [(shard, _)] = window.places
        assert (await bounds(tables))[shard] == 0
    await looking.catch_up()
    await looking.raise_bounds()
    assert set(await bounds(tables)) == {1}


async def test_whoever_draws_a_position_has_a_transaction_id_before(tables: Tables) -> None:
    """On this the watermark rests: else a fence could be taken between the two."""
    await tables.run_as_owner("""
        CREATE FUNCTION had_id() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
            IF pg_current_xact_id_if_assigned() IS NULL THEN RAISE 'no transaction id'; END IF;
            RETURN nextval('drawn');
        END $$
    """)
    await tables.run_as_owner("CREATE SEQUENCE drawn")
    await tables.run_as_owner("ALTER TABLE outbox ALTER position DROP IDENTITY")
    await tables.run_as_owner("ALTER TABLE outbox ALTER position SET DEFAULT had_id()")
    await record(tables, reserved(1), reserved(2))
    assert len(await tables.rows("SELECT position FROM outbox")) == 2


async def pages(connection: "asyncpg.Connection[asyncpg.Record]", statement: str, *values: object) -> int:
    """How many pages a statement touches, as the server counts them; what it does is undone."""
    async with connection.transaction():
        plan = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *values)
    root = json.loads(plan)[0]["Plan"]
    return int(root["Shared Hit Blocks"] + root["Shared Read Blocks"])


@pytest.mark.usefixtures("somebody_who_reads")
async def test_a_look_costs_as_little_after_many_published_events_without_vacuum(
    tables: Tables, looking: Looking
) -> None:
    """Somebody reads for long, as a report does: what is deleted meanwhile stays, in table and index."""
    await tables.run_as_owner("ALTER TABLE outbox SET (autovacuum_enabled = off)")
    await record(tables, key="0")
    await publish_all(tables)

    async def is_one_page() -> bool:  # transactions of other databases hold the watermark back too
        await looking.raise_bounds()
        return await pages(looking.connection, outbox._LOOK, looking.watermark.position, 1) == 1

    await until(is_one_page)

    for key in range(80):
        await record(tables, *(reserved() for _ in range(100)), key=str(key))
        await publish_all(tables)
        await looking.raise_bounds()

    await until(is_one_page)
    await record(tables)
    probe = f"SELECT FROM outbox_shards AS s, {outbox._FIRST}"
    with_bounds = await pages(looking.connection, probe)
    await tables.run("UPDATE outbox_shards SET emptied_to = 0")
    assert with_bounds <= SHARDS * 3 + 2
    assert await pages(looking.connection, probe) > 2 * with_bounds
