"""Connections that are lent, and what is raised where the server gives none."""

import asyncio
import traceback
from contextlib import AsyncExitStack

import asyncpg
import pytest

from giftcert.storage.database import DATABASE_ERRORS, LOCK_TIMEOUT, Database, OverloadedError, begin_request
from giftcert.storage.verification.session import verification_session
from tests.shared_servers import as_owner, named

pytestmark = pytest.mark.integration


async def test_a_refused_connection_is_told_as_the_server_tells_it(postgres_url: str) -> None:
    database = Database(named(postgres_url, "there_is_none"))
    with pytest.raises(DATABASE_ERRORS) as refused:
        async with database.transaction():
            pass
    assert isinstance(refused.value, asyncpg.InvalidCatalogNameError)
    await database.close()


async def test_what_is_raised_within_a_transaction_undoes_it(fresh_database_url: str) -> None:
    database = Database(as_owner(fresh_database_url), pool_size=1)

    async def fails() -> None:
        async with database.transaction() as connection:
            await connection.execute("CREATE TABLE gone ()")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    async with database.transaction() as connection:
        assert await connection.fetchval("SELECT to_regclass('gone')") is None
    await database.close()


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        ("INSERT INTO kept VALUES ($1)", ["4000000000000002"]),  # there already: DETAIL quotes it
        ("INSERT INTO kept VALUES ($1)", [None]),
        ("INSERT INTO kept VALUES ($1)", ["a secret that is too long to be kept"]),
        ("SELECT $1::text::uuid", ["a secret that is no UUID"]),
        ("SELECT $1::text::jsonb", ['{"a secret": that is no JSON}']),
        ("SELECT $1::integer", ["a secret that asyncpg refuses"]),
        ("SELECT $1::timestamptz", ["a secret that is no instant"]),
        ("SELECT 1", ["a secret too many"]),
    ],
)
async def test_no_error_of_the_database_says_a_value(
    fresh_database_url: str, statement: str, values: list[object]
) -> None:
    async with Database(as_owner(fresh_database_url), pool_size=1) as database:
        async with database.transaction() as connection:
            await connection.execute(
                "CREATE TABLE kept (number varchar(20) PRIMARY KEY CHECK (number <> 'no'))"
            )
            await connection.execute("INSERT INTO kept VALUES ('4000000000000002')")
        with pytest.raises(DATABASE_ERRORS) as refused:
            async with database.transaction() as connection:
                await connection.execute(statement, *values)
    told = "".join(traceback.format_exception(refused.value)) + repr(refused.value.__dict__)
    assert "4000000000000002" not in told
    assert "secret" not in told


async def test_a_connection_whose_task_is_cancelled_is_closed(fresh_database_url: str) -> None:
    """Nobody knows how far its BEGIN or COMMIT came, so nobody may go on with it."""
    used: list[int] = []
    async with Database(fresh_database_url, pool_size=1) as database:

        async def work() -> None:
            async with database.transaction() as connection:
                used.append(await connection.fetchval("SELECT pg_backend_pid()"))
                await connection.execute("SELECT pg_sleep(60)")

        task = asyncio.create_task(work())
        while not used:  # noqa: ASYNC110
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with database.connection() as connection:
            assert not connection.is_in_transaction()
            assert await connection.fetchval("SELECT pg_backend_pid()") not in used


async def test_who_comes_when_too_many_wait_for_a_connection_is_refused_at_once(
    fresh_database_url: str,
) -> None:
    async with Database(fresh_database_url, pool_size=1, most_waiting=2) as database:
        done: list[str] = []

        async def work(name: str) -> None:
            begin_request()
            for _ in range(2):  # who has had a connection is let through with what follows
                async with database.connection() as connection:
                    await connection.execute("SELECT 1")
                    done.append(name)

        begin_request()  # whatever this task has had is no matter to those that it makes
        async with database.connection():
            waiting = [asyncio.create_task(work(name)) for name in ("first", "second")]
            await asyncio.sleep(0)
            async with asyncio.timeout(1):
                for _ in range(3):
                    with pytest.raises(OverloadedError):
                        await asyncio.create_task(work("third"))
        await asyncio.gather(*waiting)
        assert sorted(done) == ["first", "first", "second", "second"]
        await asyncio.create_task(work("third"))


async def test_a_connection_that_is_never_given_back_holds_up_no_end(
    fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("giftcert.storage.database.CLOSE_SECONDS", 0.1)
    database = Database(fresh_database_url)
    async with AsyncExitStack() as never_closed:
        kept = await never_closed.enter_async_context(database.connection())
        async with asyncio.timeout(10):
            await database.close()
        with pytest.raises(asyncpg.InterfaceError):
            await kept.execute("SELECT 1")


async def test_what_a_verification_sets_ends_with_it(fresh_database_url: str) -> None:
    async with Database(fresh_database_url, pool_size=1) as database:
        async with verification_session(database, sampled=False) as session:
            assert await session._connection.fetchval("SHOW lock_timeout") == "1min"
        async with database.connection() as connection:
            assert await connection.fetchval("SHOW lock_timeout") == LOCK_TIMEOUT
            assert await connection.fetchval("SELECT to_regclass('pg_temp.open_runs')") is None
