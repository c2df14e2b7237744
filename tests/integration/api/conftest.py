from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from giftcert.settings import Settings
from tests.conftest import new_database
from tests.integration.api.api_client import Api, Stock, open_api, settings_for
from tests.integration.api.sales import WORTH, Till, open_stock, orders_of


@pytest.fixture(scope="session")
def keys_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
def settings(fresh_database_url: str, keys_folder: Path) -> Settings:
    return settings_for(fresh_database_url, keys_folder)


@pytest.fixture
async def stock(settings: Settings) -> AsyncIterator[Stock]:
    async with open_stock(settings) as stock:
        yield stock


@pytest.fixture
async def api(settings: Settings, stock: Stock) -> AsyncIterator[Api]:  # noqa: ARG001 - makes the products
    """An application whose Temporal and Kafka are away."""
    async with open_api(settings) as api:
        yield api


@pytest.fixture(scope="module")
async def spending(postgres_url: str, keys_folder: Path) -> AsyncIterator[tuple[Till, Settings]]:
    """A till on a database that the tests of a file share, and its settings; Temporal is away."""
    direct = {"direct_spend_channels": ("pos",), "direct_spend_cap": WORTH}
    settings = settings_for(await new_database(postgres_url), keys_folder, **direct)
    async with open_stock(settings) as stock, open_api(settings) as api:
        yield Till(api, stock, orders_of(stock)), settings


@pytest.fixture
def shop(api: Api, stock: Stock) -> Till:
    """A till on a database of its own."""
    return Till(api, stock, orders_of(stock))


@pytest.fixture
def till(spending: tuple[Till, Settings]) -> Till:
    return spending[0]
