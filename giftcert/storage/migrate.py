"""Bring the tables to the newest revision."""

import asyncio
from functools import partial
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

MIGRATIONS = Path(__file__).parent / "migrations"
ADVISORY_LOCK = 0x67696674  # "gift": any number that no other user of the database takes


class OutdatedDatabaseError(Exception):
    """The tables are of a release that this one cannot upgrade."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"the tables are of another release of giftcert (revision {revision}), which cannot be upgraded: "
            "delete the state folder (GIFTCERT_STATE_DIR), or give an empty database, and start again"
        )


def migrate(database_url: str) -> None:
    """Upgrade the database to the newest revision; several at once wait for each other and do it once.

    Runs an event loop of its own: elsewhere, ``asyncio.to_thread(migrate, …)``. Raises ``OutdatedDatabaseError``.
    """
    asyncio.run(_upgrade(database_url))


async def _upgrade(database_url: str) -> None:
    connect = partial(asyncpg.connect, database_url)
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=connect, poolclass=NullPool, hide_parameters=True
    )
    try:
        async with engine.begin() as connection:
            # Held until the transaction ends: a second migration waits here, then finds nothing left to do.
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
            await connection.run_sync(_upgrade_on)
    except DBAPIError as error:
        raise (error.orig and error.orig.__cause__) or error from None  # as asyncpg raised it
    finally:
        await engine.dispose()


def _upgrade_on(connection: Connection) -> None:
    configuration = Config(attributes={"connection": connection})
    configuration.set_main_option("script_location", str(MIGRATIONS))
    revisions = {one.revision for one in ScriptDirectory.from_config(configuration).walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in revisions:
        raise OutdatedDatabaseError(current)
    command.upgrade(configuration, "head")
