from collections.abc import AsyncIterator

import pytest

from giftcert.storage.engine import engine_at
from tests.integration.storage.decided_rows import Rows
from tests.integration.storage.pool_rows import Tables


@pytest.fixture
async def tables(fresh_database_url: str) -> AsyncIterator[Tables]:
    engine = engine_at(fresh_database_url, pool_size=20)
    yield Tables(engine, fresh_database_url)
    await engine.dispose()


@pytest.fixture
async def rows(tables: Tables) -> Rows:
    await tables.fill(1)
    [certificate_id] = await tables.certificate_ids()
    return Rows(tables, certificate_id)
