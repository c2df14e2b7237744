"""One session for a whole verification: its temporary tables hold what would not fit into memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeAlias

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.storage.engine import driver_of

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_PATIENCE = "SET idle_in_transaction_session_timeout = '5min'"  # a page is folded while its snapshot is open
_TABLES = """
    CREATE TEMPORARY TABLE told_events (certificate_id uuid, sequence integer, event_id uuid NOT NULL,
        digest bytea NOT NULL);
    CREATE TEMPORARY TABLE open_runs (certificate_id uuid NOT NULL);
    CREATE TEMPORARY TABLE sampled (certificate_id uuid PRIMARY KEY);
"""
_END = "DISCARD TEMPORARY; RESET idle_in_transaction_session_timeout"
_NOW = "SELECT clock_timestamp()"


@asynccontextmanager
async def verification_session(engine: AsyncEngine) -> AsyncIterator[Session]:
    """Open a session with empty temporary tables, which vanish with it.

    They are written outside any transaction of ours that lasts: an open one would hold back the marks of ingest.
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
    """Return what the clock of PostgreSQL shows, by which events and deliveries are stamped."""
    now: datetime = await session.fetchval(_NOW)
    return now
