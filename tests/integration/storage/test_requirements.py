"""What a database lacks is named, with whose it is to make."""

from datetime import timedelta

import asyncpg
import pytest

from giftcert.clock import utc_now
from giftcert.requirements.database import check_database_objects
from giftcert.requirements.finding import Finding, Maker
from giftcert.storage.schema_objects import FILE, actual_objects, as_text, known_revisions
from tests.integration.storage.pool_rows import Tables
from tests.shared_servers import as_owner, owning

pytestmark = pytest.mark.integration


async def found(tables: Tables, ahead: timedelta = timedelta()) -> list[Finding]:
    async with tables.database.connection() as connection:
        return await check_database_objects(connection, lambda: utc_now() + ahead)


async def as_the_owner(tables: Tables, statement: str) -> None:
    async with owning(tables.database) as owner:
        await owner.execute(statement)


async def test_the_list_is_what_the_migrations_make(tables: Tables) -> None:
    async with tables.database.connection() as connection:
        actual = as_text(await actual_objects(connection))
    assert actual == FILE.read_text("utf-8"), "run: python -m specs.generator.schema_objects"


async def test_a_migrated_database_lacks_nothing(tables: Tables) -> None:
    await as_the_owner(tables, "SELECT make_days('inbox', '2026-11-23', 1)")
    assert await found(tables) == []


@pytest.mark.parametrize(
    ("statement", "subject", "stops"),
    [
        ("DROP INDEX certificates_next_instant", "index certificates_next_instant", False),
        ("ALTER TABLE orders DROP COLUMN too_large", "column orders.too_large", True),
        ("DROP TABLE low_pools", "table low_pools", True),
        ("REVOKE UPDATE ON pending FROM giftcert_service", "right of giftcert_service on pending", True),
        ("GRANT DELETE ON events TO giftcert_service", "right of giftcert_service on events", False),
        ("ALTER TABLE outbox ALTER COLUMN event_id DROP NOT NULL", "column outbox.event_id", False),
    ],
)
async def test_what_is_gone_or_changed_is_named_for_whoever_runs_postgresql(
    tables: Tables, statement: str, subject: str, stops: bool
) -> None:
    await as_the_owner(tables, statement)
    named = {one.subject: one for one in await found(tables)}
    assert named[subject].maker is Maker.DATABASE
    assert named[subject].stops is stops


async def test_an_index_that_is_missing_is_named_with_how_to_make_it(tables: Tables) -> None:
    await as_the_owner(tables, "DROP INDEX certificates_next_instant")
    [one] = await found(tables)
    assert "CREATE INDEX certificates_next_instant ON public.certificates" in one.wrong


async def test_an_index_that_was_not_built_to_its_end_counts_as_missing(tables: Tables) -> None:
    await as_the_owner(
        tables,
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'pending_since'::regclass",
    )
    assert [one.subject for one in await found(tables)] == ["index pending_since"]


async def test_tables_of_an_older_revision_wait_for_migrate(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = [*known_revisions(), "9999_later"]
    monkeypatch.setattr("giftcert.requirements.database.known_revisions", lambda: newer)
    [one] = await found(tables)
    assert (one.maker, one.stops) == (Maker.MIGRATE, True)
    assert "this build needs 9999_later" in one.wrong


async def test_tables_that_a_newer_build_has_migrated_are_enough_if_all_we_use_is_there(
    tables: Tables,
) -> None:
    """While processes are replaced in turn, the old ones stay ready."""
    await as_the_owner(
        tables, "UPDATE alembic_version SET version_num = '9999'; DROP INDEX certificates_next_instant"
    )
    assert await found(tables) == []
    await as_the_owner(tables, "DROP TABLE low_pools")
    assert "table low_pools" in {one.subject for one in await found(tables)}


async def test_a_database_that_nobody_migrated_waits_for_migrate(tables: Tables) -> None:
    owner = await asyncpg.connect(as_owner(tables.url))
    await owner.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await owner.close()
    assert [(one.subject, one.maker) for one in await found(tables)] == [("the tables", Maker.MIGRATE)]


@pytest.mark.parametrize(("ahead", "names"), [(0.5, []), (3.0, ["the clock"]), (-3.0, ["the clock"])])
async def test_a_clock_that_differs_by_more_than_a_second_is_named(
    tables: Tables, ahead: float, names: list[str]
) -> None:
    assert [one.subject for one in await found(tables, timedelta(seconds=ahead))] == names
