"""Connections that are lent, and what is raised where the server gives none."""

import asyncpg
import pytest

from giftcert.storage.engine import engine_at, transaction
from giftcert.storage.outages import DATABASE_ERRORS
from tests.shared_servers import named

pytestmark = pytest.mark.integration


async def test_a_refused_connection_is_told_as_the_driver_tells_it(postgres_url: str) -> None:
    """The pool's adapter has errors of its own, which nobody who waits for PostgreSQL would know."""
    engine = engine_at(named(postgres_url, "there_is_none"))
    with pytest.raises(DATABASE_ERRORS) as refused:
        async with transaction(engine):
            pass
    assert isinstance(refused.value, asyncpg.InvalidCatalogNameError)
    await engine.dispose()


async def test_what_is_raised_within_a_transaction_undoes_it(fresh_database_url: str) -> None:
    engine = engine_at(fresh_database_url, pool_size=1)

    async def fails() -> None:
        async with transaction(engine) as driver:
            await driver.execute("CREATE TABLE gone ()")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    async with transaction(engine) as driver:
        assert await driver.fetchval("SELECT to_regclass('gone')") is None
    await engine.dispose()
