from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from giftcert.settings import Settings
from giftcert.storage.engine import engine_at
from tests.conftest import new_database
from tests.integration.api.calling import Api, Stock, open_api, settings_for
from tests.integration.api.selling import WORTH, Till, with_own_namespace
from worker import running


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


@pytest.fixture(scope="module")
async def spending(
    postgres_url: str, keys_folder: Path, temporal_address: str
) -> AsyncIterator[tuple[Till, Settings]]:
    database_url = await new_database(postgres_url)
    patient = settings_for(database_url, keys_folder, request_timeout=timedelta(seconds=30)).model_copy(
        update={"direct_spend_channels": ("pos",), "direct_spend_cap": WORTH}
    )
    settings, client = await with_own_namespace(patient, temporal_address)
    engine = engine_at(database_url)
    async with open_api(settings) as api, running(settings):
        yield Till(api, Stock(engine, settings), client), settings
    await engine.dispose()


@pytest.fixture
def till(spending: tuple[Till, Settings]) -> Till:
    return spending[0]
