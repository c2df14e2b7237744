import asyncio

import asyncpg
import pytest

from giftcert.storage.database import Database
from giftcert.storage.migrate import OutdatedDatabaseError, migrate
from tests.integration.storage.pool_rows import Tables
from tests.processes import PATIENCE_SECONDS
from tests.shared_servers import as_owner

pytestmark = pytest.mark.integration


@pytest.fixture
async def empty_database_url(fresh_database_url: str) -> str:
    connection = await asyncpg.connect(as_owner(fresh_database_url))
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await connection.close()
    return as_owner(fresh_database_url)


async def test_several_migrations_at_once_are_one(empty_database_url: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(migrate, empty_database_url) for _ in range(4)))
    await asyncio.to_thread(migrate, empty_database_url)
    database = Database(empty_database_url)
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1
    await database.close()


async def test_a_migration_that_fails_leaves_nothing(empty_database_url: str) -> None:
    connection = await asyncpg.connect(empty_database_url)
    await connection.execute(
        "CREATE TABLE quarantine (in_the_way integer)"
    )  # made late in the first revision
    with pytest.raises(Exception, match="already exists"):
        await asyncio.to_thread(migrate, empty_database_url)
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    await connection.close()
    assert [row["tablename"] for row in tables] == ["quarantine"]


async def test_a_connection_that_the_server_ended_is_replaced_unseen(tables: Tables) -> None:
    has_ended = asyncio.Event()
    async with tables.database.connection() as connection:
        connection.add_termination_listener(lambda _: has_ended.set())
    killer = await asyncpg.connect(tables.url)
    await killer.execute(
        """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name = 'giftcert' AND datname = current_database()"""
    )
    await killer.close()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await has_ended.wait()  # asyncpg has read what the server sent last
    assert await tables.rows("SELECT 1 AS one") == [{"one": 1}]


async def test_tables_of_an_older_release_are_refused_with_what_to_do(empty_database_url: str) -> None:
    connection = await asyncpg.connect(empty_database_url)
    await connection.execute(
        "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('0010')"
    )
    await connection.close()
    with pytest.raises(OutdatedDatabaseError, match="delete the state folder") as refused:
        await asyncio.to_thread(migrate, empty_database_url)
    assert "\n" not in str(refused.value)
