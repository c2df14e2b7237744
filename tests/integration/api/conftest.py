from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from giftcert.settings import Settings
from giftcert.storage.engine import engine_at
from tests.integration.api.calling import Api, Stock, open_api, settings_for


@pytest.fixture(scope="session")
def keys_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
def settings(fresh_database_url: str, keys_folder: Path) -> Settings:
    return settings_for(fresh_database_url, keys_folder)


@pytest.fixture
async def stock(settings: Settings) -> AsyncIterator[Stock]:
    assert settings.database_url is not None
    engine = engine_at(settings.database_url.get_secret_value())
    stock = Stock(engine, settings)
    await stock.fill(0)
    yield stock
    await engine.dispose()


@pytest.fixture
async def api(settings: Settings, stock: Stock) -> AsyncIterator[Api]:  # noqa: ARG001 - makes the products
    """An application whose Temporal and Kafka are away."""
    async with open_api(settings) as api:
        yield api
