from collections.abc import AsyncIterator

import pytest

from giftcert.storage.database import Database
from tests.integration.storage.decided_rows import Rows
from tests.integration.storage.pool_rows import Tables


@pytest.fixture
async def tables(fresh_database_url: str) -> AsyncIterator[Tables]:
    database = Database(fresh_database_url, pool_size=20)
    yield Tables(database, fresh_database_url)
    await database.close()


@pytest.fixture
async def rows(tables: Tables) -> Rows:
    await tables.fill(1)
    [certificate_id] = await tables.certificate_ids()
    return Rows(tables, certificate_id)
