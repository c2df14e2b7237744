"""A database of its own for each test, with certificates in the pool; topics of its own where processes run."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from giftcert.security.keyring import Keyring
from giftcert.storage.database import Database
from giftcert.temporal.client import DATA_CONVERTER
from giftcert.temporal.namespace import ensure_namespace
from kafka_ingest import consumer, late_match, outages, signaller, watermarks
from tests.integration.kafka_ingest.ingest_process import Neighbours, make_neighbours
from tests.integration.kafka_ingest.ingest_store import Store, add_certificates


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watermarks, rechecks and further attempts come as soon as a test wants them."""
    monkeypatch.setattr(watermarks, "EVERY_SECONDS", 0.05)
    monkeypatch.setattr(late_match, "IDLE_SECONDS", 0.1)
    monkeypatch.setattr(late_match, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(signaller, "MARK_SECONDS", 0.05)
    monkeypatch.setattr(outages, "RETRY_SECONDS", 0.1)
    for retrying in (consumer, signaller):
        monkeypatch.setattr(retrying, "LONGEST_PAUSE", 0.5)


@pytest.fixture
async def database(fresh_database_url: str) -> AsyncIterator[Database]:
    database = Database(fresh_database_url, pool_size=10)
    yield database
    await database.close()


@pytest.fixture(scope="session")
def keyring_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ingest") / "keyring.json"
    Keyring.create(path)
    return path


@pytest.fixture
async def store(database: Database, keyring_file: Path) -> Store:
    return Store(database, Keyring.load(keyring_file), await add_certificates(database, 4))


@pytest.fixture
async def temporal(temporal_address: str) -> Client:
    client = await Client.connect(temporal_address, data_converter=DATA_CONVERTER)
    await ensure_namespace(client)
    return client


@pytest.fixture
async def neighbours(
    store: Store, keyring_file: Path, fresh_database_url: str, kafka: str, temporal: Client
) -> AsyncIterator[Neighbours]:
    addresses = {
        "database_url": fresh_database_url,
        "kafka": kafka,
        "temporal": temporal.service_client.config.target_host,
    }
    async with await make_neighbours(store, keyring_file, addresses) as made:
        yield made
