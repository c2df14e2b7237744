from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from giftcert.domain.policy import Policy
from giftcert.lifecycle.change import Lifecycle
from giftcert.security.keyring import Keyring
from giftcert.storage.database import Database
from tests.integration.lifecycle.world import World


@pytest.fixture
async def world(fresh_database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A database of its own, and one lifecycle on it."""
    database = Database(fresh_database_url, pool_size=16)
    policy = Policy()
    keyring = Keyring.create(tmp_path / "keyring.json")
    lifecycle = Lifecycle(database, policy, keyring, web_url=lambda one: f"http://temporal/{one}", build="1")
    yield World(database, fresh_database_url, lifecycle, policy)
    await database.close()
