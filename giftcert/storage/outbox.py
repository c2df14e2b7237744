"""Transactional outbox: events that are recorded and not yet published, shard by shard.

A look begins behind ``emptied_to`` of each shard, where no row lies below or can come (ADR 14). ``Watermark`` finds
a position up to which everyone who drew one has ended, ``raise_bounds`` moves the bounds behind what is published.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from asyncpg import Record

from giftcert.contracts.stream import StoredEvent
from giftcert.storage.database import Connection, StandstillError
from giftcert.storage.events import EVENT, stored_event
from giftcert.storage.repository import Repository
from giftcert.storage.stream_comparison import PUBLISHED

_LOOK_SECONDS = 5.0  # then the server is taken for gone
# The probe of a shard is ordered and limited, so that it is one descent of the index whatever the statistics say.
_FIRST = """LATERAL (
    SELECT o.position, o.event_id FROM outbox AS o
    WHERE o.shard = s.shard AND o.position > s.emptied_to ORDER BY o.position LIMIT 1
) AS first"""
_LOOK = "SELECT last_position, oldest_running, event_waits FROM look_for_event($1, $2)"
_RAISE = f"""
WITH bounds AS MATERIALIZED (
    SELECT s.shard, least(first.position - 1, $1) AS bound FROM outbox_shards AS s LEFT JOIN {_FIRST} ON true
), free AS (
    SELECT s.shard, bound FROM outbox_shards AS s JOIN bounds USING (shard)
    WHERE s.emptied_to < bound ORDER BY s.shard FOR NO KEY UPDATE OF s SKIP LOCKED
)
UPDATE outbox_shards AS s SET emptied_to = greatest(emptied_to, bound) FROM free WHERE s.shard = free.shard
"""  # noqa: S608 - made of constants
# Locks those that ran longest ago until the transaction ends, and passes over those that others hold. The commit does
# not wait for the disk: a deletion lost in a crash of PostgreSQL is a repeat, which readers drop.
_LOCK_SHARDS = f"""
    WITH waiting AS MATERIALIZED (SELECT s.shard FROM outbox_shards AS s, {_FIRST}), next AS (
        SELECT s.shard FROM outbox_shards AS s JOIN waiting USING (shard)
        ORDER BY s.last_run LIMIT $1 FOR NO KEY UPDATE OF s SKIP LOCKED
    )
    UPDATE outbox_shards AS s SET last_run = clock_timestamp() FROM next WHERE s.shard = next.shard
    RETURNING s.shard, s.emptied_to, (SELECT count(*) FROM waiting) > $1 AS others_wait,
        set_config('synchronous_commit', 'off', true),
        (SELECT topic IS NULL OR compared_in = database_life() FROM stream_comparison) AS may_publish
"""  # noqa: S608 - made of constants
# A statement of its own, after the lock: it sees what the last holders of the shards have deleted. Cut by position, it
# has of each shard the first events.
_WINDOW = f"""
WITH window_of_shards AS (
    SELECT o.* FROM unnest($1::smallint[], $2::bigint[]) AS s (shard, emptied_to), LATERAL (
        SELECT shard, position, event_id FROM outbox AS o
        WHERE o.shard = s.shard AND o.position > s.emptied_to ORDER BY o.position LIMIT $3
    ) AS o ORDER BY o.position LIMIT $3
)
SELECT o.shard, o.position, {EVENT} FROM window_of_shards AS o JOIN events AS e USING (event_id) ORDER BY o.position
"""  # noqa: S608 - made of constants
# One by one: a row between them may have become visible since the window was read.
_DELETE = f"""
WITH deleted AS (
    DELETE FROM outbox USING unnest($1::smallint[], $2::bigint[]) AS published (shard, position)
    WHERE outbox.shard = published.shard AND outbox.position = published.position
)
{PUBLISHED.replace("$2", "$4").replace("$1", "$3")}
"""  # noqa: S608 - made of constants
_OLDEST = f"""
SELECT min(e.recorded_at) FROM outbox_shards AS s, {_FIRST} JOIN events AS e USING (event_id)
"""  # noqa: S608 - made of constants


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at the outbox finds."""

    last_position: int  # that was drawn
    oldest_running: int  # transaction
    event_waits: bool


class Watermark:
    """The position up to which everyone who drew one has ended."""

    def __init__(self) -> None:
        self.position = -1
        self._sought: tuple[int, int] | None = None

    @property
    def is_sought(self) -> bool:
        """Whether a higher position waits for transactions to end."""
        return self._sought is not None

    def seek(self, position: int, fence: int) -> None:
        """Wait for those who drew up to a position; ``fence`` is a transaction id given after it was seen drawn."""
        self._sought = position, fence

    def observe(self, look: Look) -> None:
        """Take a later look into account."""
        if self._sought is not None and look.oldest_running >= self._sought[1]:
            self.position, self._sought = self._sought[0], None


@dataclass(frozen=True, slots=True)
class Window:
    """The next events of some locked shards, in the order in which they must be published."""

    places: tuple[tuple[int, int], ...]  # shard and position of each
    events: tuple[StoredEvent, ...]
    more_wait: bool  # in these shards or in others


async def look(connection: Connection, empty_at: int, times: int = 1) -> Look:
    """Have the server look so many times, or until an event waits in whatever shard.

    ``empty_at`` is the watermark at which a look found nothing: while it is also the last position, nothing can wait.
    """
    [row] = await connection.fetch(_LOOK, empty_at, times, timeout=_LOOK_SECONDS)
    return Look(*row)


async def next_transaction(connection: Connection) -> int:
    """Return a transaction id that is higher than all given before."""
    return int(await connection.fetchval("SELECT pg_current_xact_id()::text::bigint"))


async def raise_bounds(connection: Connection, watermark: int) -> None:
    """Have later looks begin behind what is published, in the shards that nobody holds."""
    await connection.execute(_RAISE, watermark)


async def oldest_waiting(connection: Connection) -> datetime | None:
    """Return when the event that waits longest was recorded."""
    oldest: datetime | None = await connection.fetchval(_OLDEST)
    return oldest


class OutboxRepository(Repository):
    """Reads and empties the outbox."""

    async def lock_window(self, limit: int, shards: int = 1) -> Window | None:
        """Lock so many shards with waiting events that ran longest ago, and return the next; ``None`` if none is free.

        Positions of a certificate's events rise with their sequence, as they are drawn under its lock. Raises
        `StandstillError` where this database was not compared with the stream.
        """
        locked = await self._lock(shards)
        if not locked:
            return None
        numbers, bounds, others_wait, _, may_publish = zip(*locked, strict=True)
        if not may_publish[0]:  # an older copy was put in the database's place under this connection
            raise StandstillError("notCompared")
        rows = await self._fetch(_WINDOW, numbers, bounds, limit)
        places = tuple((row["shard"], row["position"]) for row in rows)
        return Window(places, tuple(map(stored_event, rows)), others_wait[0] or len(rows) == limit)

    async def _lock(self, shards: int) -> list[Record]:
        return await self._fetch(_LOCK_SHARDS, shards)

    async def delete(self, window: Window, positions: Mapping[int, int] | None = None) -> None:
        """Forget what is on the stream; ``positions``: the offset behind it, by partition."""
        if window.places:
            partitions = positions or {}
            values = (*zip(*window.places, strict=True), list(partitions), list(partitions.values()))
            await self._execute(_DELETE, *values)
