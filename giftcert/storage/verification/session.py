"""One session for a whole verification: its temporary tables hold what would not fit into memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeAlias

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.storage.engine import driver_of

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

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
