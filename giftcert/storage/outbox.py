"""Events that are recorded and not yet published, shard by shard; the work of dispatch."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.contracts.envelope import StoredEvent
from giftcert.contracts.records import EventRecord
from giftcert.storage.events import EventRepository
from giftcert.storage.shards import shard_of

_LOOK_SECONDS = 5.0  # then the server is taken for gone
# Ordered as the index of unpublished events, so that it is read whatever the statistics say: a bare EXISTS scanned
# the table once they were taken with a backlog.
_ANY = "SELECT shard FROM events WHERE published_at IS NULL ORDER BY shard, position LIMIT 1"
# Locks the shard until the transaction ends. One that another process holds is passed over, one without work too.
# The commit does not wait for the disk: a mark lost in a crash of PostgreSQL is a repeat, which readers drop.
_CLAIM = text("""
    WITH next AS (
        SELECT s.shard FROM shards s, LATERAL (
            SELECT FROM events e WHERE e.shard = s.shard AND e.published_at IS NULL ORDER BY e.position LIMIT 1
        ) AS waiting
        WHERE s.purpose = 'events' ORDER BY s.last_run LIMIT 1 FOR UPDATE OF s SKIP LOCKED
    )
    UPDATE shards SET last_run = clock_timestamp() FROM next
    WHERE shards.purpose = 'events' AND shards.shard = next.shard
    RETURNING shards.shard, set_config('synchronous_commit', 'off', true)
""")
# A statement of its own, after the lock: it sees what the last holder of the shard has marked.
_WINDOW = text("""
    SELECT event_id::text AS event_id, stream_key, certificate_id::text AS certificate_id, sequence, event_type,
        occurred_at, recorded_at, channel, sale_channel, status, refund_state, product_id AS product, nominal,
        currency, balance, held, cause_topic, cause_event_id, payload::text AS payload
    FROM events WHERE shard = :shard AND published_at IS NULL ORDER BY position LIMIT :limit
""")
_MARK = text("UPDATE events SET published_at = clock_timestamp() WHERE event_id = ANY(:ids)")
_OLDEST = text("""
    SELECT min(first.recorded_at) FROM shards s, LATERAL (
        SELECT e.recorded_at FROM events e WHERE e.shard = s.shard AND e.published_at IS NULL
        ORDER BY e.position LIMIT 1
    ) AS first
    WHERE s.purpose = 'events'
""")
_TOLD_SINCE = text("""
    SELECT EXISTS (
        SELECT FROM events WHERE shard = :shard AND published_at IS NULL AND stream_key = :stream_key
            AND event_type = :event_type AND recorded_at > :since
    )
""")


async def has_unpublished(driver: "asyncpg.Connection[asyncpg.Record]") -> bool:
    """Return whether any event waits, in whatever shard: one look at one index.

    Asked hundreds of times a second, so it needs no transaction and goes to asyncpg directly.
    """
    return await driver.fetchval(_ANY, timeout=_LOOK_SECONDS) is not None


class OutboxRepository:
    """Reads and marks unpublished events; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def claim_shard(self) -> int | None:
        """Lock the shard with waiting events that ran longest ago, or return ``None`` if there is none free."""
        row = (await self._connection.execute(_CLAIM)).one_or_none()
        return None if row is None else int(row.shard)

    async def window(self, shard: int, limit: int) -> list[StoredEvent]:
        """Return the next unpublished events of a shard, in the order in which they must be published.

        Events of one certificate are written under its row's lock, so their positions rise with their sequence and
        none can appear below one already seen. Between other keys the order does not matter.
        """
        rows = (await self._connection.execute(_WINDOW, {"shard": shard, "limit": limit})).all()
        return [StoredEvent(**row._mapping) for row in rows]  # noqa: SLF001 - the public name of a row's mapping

    async def mark_published(self, event_ids: Sequence[str]) -> None:
        """Remember that these are on the stream."""
        await self._connection.execute(_MARK, {"ids": [UUID(one) for one in event_ids]})

    async def oldest_unpublished(self) -> datetime | None:
        """Return when the event that waits longest was recorded."""
        moment: datetime | None = (await self._connection.execute(_OLDEST)).scalar_one()
        return moment

    async def append_once(self, stream_key: str, record: EventRecord, since: datetime) -> bool:
        """Append an event unless one of its type and key was recorded after ``since`` and still waits.

        Returns:
            Whether it was appended.
        """
        values = {
            "shard": shard_of(stream_key),
            "stream_key": stream_key,
            "event_type": record.event_type,
            "since": since,
        }
        if (await self._connection.execute(_TOLD_SINCE, values)).scalar_one():
            return False
        await EventRepository(self._connection).append_keyed(stream_key, [record])
        return True
