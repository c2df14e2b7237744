"""Roles of PostgreSQL: the owner changes tables, the service changes no evidence, the reader changes nothing."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from uuid import uuid4

import asyncpg
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from giftcert.cli.services import warn_of_too_many_rights
from giftcert.settings import Settings
from giftcert.storage.database import Connection
from giftcert.storage.migrate import migrate
from tests.integration.storage.pool_rows import Tables
from tests.shared_servers import as_owner, as_reader, named, on, owning

pytestmark = pytest.mark.integration
EVIDENCE = ("events", "disclosures", "audit_links", "inbox", "inbox_default")
TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
CHANGE, LOCK, LOOK = "UPDATE {0} SET {1} = {1}", "SELECT FROM {} FOR UPDATE", "SELECT FROM {} LIMIT 1"
REFUSED = asyncpg.InsufficientPrivilegeError


@pytest.fixture
async def service(fresh_database_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(fresh_database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def reader(fresh_database_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(as_reader(fresh_database_url))
    yield connection
    await connection.close()


async def test_tests_and_product_reach_the_tables_as_the_service(tables: Tables) -> None:
    [row] = await tables.rows(
        "SELECT current_user::text AS name, rolsuper FROM pg_roles WHERE rolname = current_user"
    )
    assert row == {"name": "giftcert_service", "rolsuper": False}


@pytest.mark.parametrize("table", EVIDENCE)
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM {}",
        "TRUNCATE {}",
        "DROP TABLE {}",
        "ALTER TABLE {} DISABLE TRIGGER ALL",
        "CREATE TRIGGER t BEFORE INSERT ON {} EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "CREATE RULE r AS ON INSERT TO {} DO INSTEAD NOTHING",
        "GRANT UPDATE ON {} TO giftcert_service",
    ],
)
async def test_the_service_removes_no_evidence(service: Connection, table: str, statement: str) -> None:
    try:
        await service.execute(statement.format(table))
    except REFUSED:
        return
    assert "GRANT" in statement  # which PostgreSQL answers with a warning, and does nothing
    assert not await service.fetchval("SELECT has_table_privilege($1, 'UPDATE')", table)


@pytest.mark.parametrize("table", EVIDENCE)
async def test_the_service_changes_no_evidence(service: Connection, table: str) -> None:
    column = "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0"
    for (name,) in await service.fetch(column, table):
        with pytest.raises(REFUSED):
            await service.execute(CHANGE.format(table, name))
    with pytest.raises(REFUSED):
        await service.execute(LOCK.format(table))


async def test_the_service_reads_and_adds_to_everything_but_the_revision(
    service: Connection,
) -> None:
    may = "SELECT has_table_privilege($1, 'SELECT'), has_table_privilege($1, 'INSERT')"
    for (table,) in await service.fetch(TABLES):
        assert tuple(await service.fetchrow(may, table) or ()) == (True, table != "alembic_version")


async def test_a_reader_reads_everything_and_changes_nothing(
    reader: Connection,
) -> None:
    for (table,) in await reader.fetch(TABLES):
        await reader.execute(LOOK.format(table))
        for statement in ("DELETE FROM {}", "INSERT INTO {} DEFAULT VALUES"):
            with pytest.raises(REFUSED):
                await reader.execute(statement.format(table))
    with pytest.raises(REFUSED):
        await reader.fetchval("SELECT drop_days('inbox', '2999-01-01')")


async def test_the_service_makes_and_drops_days_of_ingest_alone(
    service: Connection,
) -> None:
    day = date(2026, 11, 23)
    await service.execute("SELECT make_days('inbox', $1, 1)", day)
    with pytest.raises(REFUSED):
        await service.execute("DELETE FROM inbox_20261123")
    with pytest.raises(REFUSED):
        await service.execute("DROP TABLE inbox_20261123")
    for table in ("events", "audit_links", "pg_catalog.pg_class"):
        with pytest.raises(REFUSED, match="is not kept in days"):
            await service.execute("SELECT make_days($1, $2, 1)", table, day)
        with pytest.raises(REFUSED, match="is not kept in days"):
            await service.execute("SELECT drop_days($1, $2)", table, day)
    assert await service.fetchval("SELECT drop_days('inbox', $1)", date(2026, 11, 24)) == ["inbox_20261123"]


async def test_what_the_owner_lends_looks_at_his_own_tables_only(
    service: Connection,
) -> None:
    """A table of the caller's session may have the name of one of ours."""
    await service.execute("CREATE TEMPORARY TABLE unmatched_payments_default (received_on date)")
    await service.execute("INSERT INTO pg_temp.unmatched_payments_default VALUES ('2020-01-01')")
    assert await service.fetchval("SELECT drop_days('unmatched_payments', '2021-01-01')") == []
    lent = await service.fetch("""
        SELECT proname, proconfig, has_function_privilege('giftcert_read_only', pg_proc.oid, 'EXECUTE') AS anybody
        FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef ORDER BY proname
    """)
    assert [row["proname"] for row in lent] == ["drop_days", "make_days"]
    assert all("search_path=public, pg_temp" in row["proconfig"] for row in lent)
    assert not any(row["anybody"] for row in lent)


async def test_a_table_that_is_made_later_is_the_services_to_use(tables: Tables) -> None:
    async with owning(tables.database) as owner:
        await owner.execute("CREATE TABLE later (number bigint GENERATED ALWAYS AS IDENTITY, word text)")
    await tables.run("INSERT INTO later (word) VALUES ('x')")
    await tables.run("UPDATE later SET word = 'y'")


async def test_a_process_that_could_change_what_is_on_record_says_so_when_it_starts(
    fresh_database_url: str,
) -> None:
    logged: dict[str, list[str]] = {}
    for url in (fresh_database_url, as_owner(fresh_database_url), named(fresh_database_url, "no_such")):
        with capture_logs() as lines:
            await warn_of_too_many_rights(Settings(_env_file=None, database_url=SecretStr(url)))
        logged[url] = [str(one["event"]) for one in lines]
    assert [len(lines) for lines in logged.values()] == [0, 1, 0]
    assert "giftcert_service" in logged[as_owner(fresh_database_url)][0]


async def test_an_owner_who_is_nobody_special_migrates(postgres_url: str) -> None:
    """As where an administrator made the roles and gave him nothing but a database."""
    name = f"owned_{uuid4().hex[:12]}"
    await on(postgres_url, f"CREATE ROLE {name} LOGIN PASSWORD '{name}'")
    await on(postgres_url, f"CREATE DATABASE {name} OWNER {name}")
    try:
        port = named(postgres_url, name).rpartition("@")[2]
        await asyncio.to_thread(migrate, f"postgresql://{name}:{name}@{port}")
        connection = await asyncpg.connect(named(postgres_url, name))
        await connection.execute("SET ROLE giftcert_service")
        await connection.execute("SELECT make_days('inbox', '2026-11-23', 1)")
        with pytest.raises(REFUSED):
            await connection.execute("DELETE FROM events")
        await connection.close()
    finally:
        await on(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")
        await on(postgres_url, f"DROP ROLE {name}")
