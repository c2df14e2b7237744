"""A service on its own database, topics and namespace, which trades until a test restores or loses something."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import Client

from giftcert.security.keyring import Keyring
from giftcert.security.keys import EmbeddedKeys
from giftcert.security.tokens import create_signing_keys
from giftcert.settings import Settings
from giftcert.temporal.client import DATA_CONVERTER
from giftcert.temporal.namespace import ensure_namespace
from tests.conftest import new_database
from tests.integration.api.api_client import settings_for
from tests.integration.api.sales import open_stock
from tests.integration.recovery.trading import Service, make_topics, processes

POOL = 40


async def own_settings(
    postgres_url: str, kafka: str, temporal_address: str, folder: Path, **others: str
) -> Settings:
    """Make a database with a pool, topics and a namespace."""
    run, keys = uuid4().hex[:10], EmbeddedKeys(folder / "keys")
    keys.folder.mkdir()
    Keyring.create(keys.keyring)  # of its own, as every command wants for servers that are not embedded
    create_signing_keys(keys.private_key, keys.jwks, embedded=False)
    settings = settings_for(
        await new_database(postgres_url),
        folder,
        kafka_bootstrap_servers=kafka,
        temporal_address=temporal_address,
        temporal_namespace=f"recovery-{run}",
        topic_orders=f"orders-{run}",
        topic_payments=f"payments-{run}",
        topic_clients=f"clients-{run}",
        topic_stream=f"stream-{run}",
        ingest_group=f"ingest-{run}",
        **others,
    )
    settings = settings.model_copy(update={"keyring": keys.keyring, "jwt_jwks": str(keys.jwks)})
    await make_topics(
        kafka, settings.topic_orders, settings.topic_payments, settings.topic_clients, settings.topic_stream
    )
    client = await Client.connect(
        temporal_address, namespace=settings.temporal_namespace, data_converter=DATA_CONVERTER
    )
    await ensure_namespace(client)
    async with open_stock(settings) as stock:
        await stock.fill(POOL)
    return settings


@pytest.fixture
async def service(
    postgres_url: str, kafka: str, temporal_address: str, tmp_path: Path
) -> AsyncIterator[Service]:
    settings = await own_settings(postgres_url, kafka, temporal_address, tmp_path)
    async with processes(settings, tmp_path) as service:
        yield service
