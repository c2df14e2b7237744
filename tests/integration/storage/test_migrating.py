import asyncio

import asyncpg
import pytest

from giftcert.storage.engine import driver_of, engine_at
from giftcert.storage.migrate import OutdatedDatabaseError, migrate
from tests.integration.storage.pool_rows import Tables
from tests.processes import PATIENCE_SECONDS
from tests.waiting import until

pytestmark = pytest.mark.integration


@pytest.fixture
async def empty_database_url(fresh_database_url: str) -> str:
    connection = await asyncpg.connect(fresh_database_url)
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await connection.close()
    return fresh_database_url


async def test_several_migrations_at_once_are_one(empty_database_url: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(migrate, empty_database_url) for _ in range(4)))
    await asyncio.to_thread(migrate, empty_database_url)
    engine = engine_at(empty_database_url)
    async with engine.connect() as connection:
        revisions = await connection.exec_driver_sql("SELECT version_num FROM alembic_version")
        assert len(revisions.all()) == 1
    await engine.dispose()


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


async def test_the_drivers_own_connection_is_in_the_transaction(tables: Tables) -> None:
    await tables.fill(1)
    async with tables.engine.connect() as connection:
        await connection.begin()
        driver = await driver_of(connection)
        await driver.execute("UPDATE products SET currency = 'XXX'")
        await connection.rollback()
    assert await tables.rows("SELECT 1 FROM products WHERE currency = 'XXX'") == []


async def until_closed(driver: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Wait until asyncpg has read what the server sent last."""

    async def is_closed() -> bool:
        return bool(driver.is_closed())

    async with asyncio.timeout(PATIENCE_SECONDS):
        await until(is_closed)


async def test_a_connection_that_the_server_ended_is_replaced_unseen(tables: Tables) -> None:
    async with tables.engine.connect() as connection:
        driver = await driver_of(connection)
    killer = await asyncpg.connect(tables.url)
    await killer.execute(
        """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name = 'giftcert' AND datname = current_database()"""
    )
    await killer.close()
    await until_closed(driver)
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
