"""One session for a whole verification: its temporary tables hold what would not fit into memory.

That is what the stream holds, which events were not on it yet, which workflows are open, and which certificates are
the sample.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.storage.engine import Driver, driver_of

Session: TypeAlias = Driver

QUERY_SECONDS = 600.0
"""A question about millions of rows takes longer than the service lets its own statements take."""
# A page is folded while its snapshot is open.
_PATIENCE = """
    SET idle_in_transaction_session_timeout = '5min'; SET statement_timeout = '10min'; SET lock_timeout = '1min'
"""
_TABLES = """
    CREATE TEMPORARY TABLE stream_events (certificate_id uuid, sequence integer, event_id uuid NOT NULL,
        digest bytea NOT NULL);
    CREATE TEMPORARY TABLE waiting_events (event_id uuid PRIMARY KEY);
    CREATE TEMPORARY TABLE open_runs (certificate_id uuid NOT NULL);
    CREATE TEMPORARY TABLE sampled (certificate_id uuid PRIMARY KEY);
"""
_END = """
    DISCARD TEMPORARY; RESET idle_in_transaction_session_timeout; RESET statement_timeout; RESET lock_timeout
"""
_NOW = "SELECT clock_timestamp()"
_WAITING = "INSERT INTO waiting_events SELECT event_id FROM outbox"

StreamRow: TypeAlias = tuple[str | None, int | None, str, bytes]
"""Certificate id, sequence, event id and digest of one record of the stream, as COPY takes them."""

_COLUMNS = ("certificate_id", "sequence", "event_id", "digest")
_INDEX = """
    CREATE INDEX ON stream_events (certificate_id, sequence);
    CREATE INDEX ON stream_events (event_id) WHERE certificate_id IS NULL;
    ANALYZE stream_events;
    CREATE INDEX ON open_runs (certificate_id);
    ANALYZE open_runs;
"""
_OF_CERTIFICATES = """
    SELECT certificate_id::text, sequence, event_id::text, digest FROM stream_events
    WHERE certificate_id = ANY($1::uuid[]) GROUP BY 1, 2, 3, 4, stream_events.certificate_id
    ORDER BY stream_events.certificate_id, sequence
"""
_KEYED = """
    SELECT DISTINCT event_id::text, digest FROM stream_events
    WHERE certificate_id IS NULL AND event_id = ANY($1::uuid[])
"""


@asynccontextmanager
async def verification_session(engine: AsyncEngine) -> AsyncIterator[Session]:
    """Open a session with empty temporary tables, which vanish with it.

    They are written outside any transaction of ours that lasts: an open one would hold back the watermarks of ingest.
    """
    async with engine.connect() as connection:
        driver = await driver_of(connection)
        try:
            await driver.execute(_PATIENCE)
            await driver.execute(_TABLES)
            yield driver
        finally:
            if not driver.is_closed():
                await driver.execute(_END)


async def server_time(session: Session) -> datetime:
    """Return what the clock of PostgreSQL shows, by which events are stamped."""
    now: datetime = await session.fetchval(_NOW)
    return now


async def note_waiting_events(session: Session) -> None:
    """Note which events were not on the stream yet before it was read."""
    await session.execute(_WAITING, timeout=QUERY_SECONDS)


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """What stands on the stream under one sequence number of a certificate; repeats of one content count once."""

    sequence: int | None
    event_id: str
    digest: bytes


class PublishedRepository:
    """Writes and reads the temporary tables."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, rows: Sequence[StreamRow]) -> None:
        """Take in records of the stream."""
        await self._session.copy_records_to_table("stream_events", records=rows, columns=_COLUMNS)

    async def add_open_runs(self, certificate_ids: Iterable[str]) -> None:
        """Take in certificates whose workflow is open."""
        await self._session.copy_records_to_table("open_runs", records=[(one,) for one in certificate_ids])

    async def complete(self) -> None:
        """Say that all is taken in and will be asked for."""
        await self._session.execute(_INDEX, timeout=QUERY_SECONDS)

    async def of_certificates(self, certificate_ids: Sequence[str]) -> dict[str, list[StreamRecord]]:
        """Return what the stream holds of these certificates, in sequence."""
        found: dict[str, list[StreamRecord]] = {}
        for row in await self._session.fetch(_OF_CERTIFICATES, certificate_ids):
            found.setdefault(row[0], []).append(StreamRecord(row[1], row[2], row[3]))
        return found

    async def keyed(self, event_ids: Sequence[str]) -> dict[str, list[bytes]]:
        """Return the digests of what the stream holds under these ids of events about no certificate."""
        found: dict[str, list[bytes]] = {}
        for event_id, digest in await self._session.fetch(_KEYED, event_ids):
            found.setdefault(event_id, []).append(digest)
        return found
