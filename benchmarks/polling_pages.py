"""Pages that dispatch reads to look for events, after very many were published: ``python -m benchmarks.polling_pages``.

Without vacuum, which a long transaction of somebody else may hold off for hours: then deleted rows stay in the index.
"""

import asyncio
import json
from dataclasses import asdict, dataclass

import asyncpg

from benchmarks.measurement import new_folder, options, servers
from benchmarks.outbox_rows import empty_outbox, record_backlog
from giftcert.storage import outbox
from giftcert.storage.database import Database
from giftcert.storage.migrate import migrate

STEP = 20_000
"""Events between two raises of the bounds; dispatch raises them after every thousand or so."""


@dataclass(frozen=True)
class Pages:
    """Pages read by one look of the poller with nothing to publish, and to lock a shard when one event waits."""

    look: int
    lock_shard: int


@dataclass(frozen=True)
class Growth:
    """Before any event, after many were published, and how it would be without lower bounds."""

    published: int
    empty: Pages
    after: Pages
    without_bounds: Pages


async def measure(url: str, published: int) -> Growth:
    """Publish so many events and count."""
    database = Database(url)
    connection = await asyncpg.connect(url)
    await connection.execute("ALTER TABLE outbox SET (autovacuum_enabled = off)")
    empty = await _pages(database, connection)
    for _ in range(0, published, STEP):
        await record_backlog(database, STEP)
        await empty_outbox(database)
        await outbox.raise_bounds(connection, (await _watermark(connection)).position)
    after = await _pages(database, connection)
    await connection.execute("UPDATE outbox_shards SET emptied_to = 0")
    without = await _pages(database, connection)
    await connection.close()
    await database.close()
    return Growth(published, empty, after, without)


async def _watermark(connection: "asyncpg.Connection[asyncpg.Record]") -> outbox.Watermark:
    """Look until nobody who drew a position runs any more."""
    watermark = outbox.Watermark()
    last = (await outbox.look(connection, -1)).last_position
    watermark.seek(last, await outbox.next_transaction(connection))
    while watermark.is_sought:
        watermark.observe(await outbox.look(connection, -1))
    return watermark


async def _pages(database: Database, connection: "asyncpg.Connection[asyncpg.Record]") -> Pages:
    position = (await _watermark(connection)).position
    look = await _touched(connection, outbox._LOOK, position, 1)  # noqa: SLF001 - the statement is what is measured
    await record_backlog(database, 3)
    lock_shard = await _touched(connection, outbox._LOCK_SHARDS, 1)  # noqa: SLF001
    await empty_outbox(database)
    return Pages(look, lock_shard)


async def _touched(connection: "asyncpg.Connection[asyncpg.Record]", statement: str, *values: object) -> int:
    transaction = connection.transaction()
    await transaction.start()
    plan = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *values)
    await transaction.rollback()
    root = json.loads(plan)[0]["Plan"]
    return int(root["Shared Hit Blocks"] + root["Shared Read Blocks"])


def main() -> None:
    """Print the pages."""
    published = options(published=400_000).published
    with new_folder() as folder, servers(folder, "postgres") as addresses:
        url = addresses["database_owner_url"]
        migrate(url)
        print(json.dumps(asdict(asyncio.run(measure(url, published))), indent=1))


if __name__ == "__main__":
    main()
