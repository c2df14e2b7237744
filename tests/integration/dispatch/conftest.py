"""A database, a topic and certificates of their own for each test, and dispatchers as tasks or processes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from giftcert.dispatch.main import serve
from giftcert.settings import Settings
from giftcert.storage.database import Database
from tests.integration.dispatch.dispatchers import StartDispatcher, end, spawn
from tests.integration.dispatch.stream_reader import StreamReader


@pytest.fixture
async def database(fresh_database_url: str) -> AsyncIterator[Database]:
    database = Database(fresh_database_url, pool_size=10)
    yield database
    await database.close()


async def new_topic(bootstrap: str, name: str | None = None) -> str:
    topic = name or f"stream-{uuid4().hex[:12]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=4, replication_factor=1)])
    finally:
        await admin.close()
    return topic


@pytest.fixture
async def topic(kafka: str) -> str:
    return await new_topic(kafka)


@pytest.fixture
async def reader(kafka: str, topic: str) -> AsyncIterator[StreamReader]:
    async with StreamReader(kafka, topic) as reader:
        yield reader


@pytest.fixture
async def certificates(database: Database) -> list[str]:
    """The ids of forty certificates in the pool."""
    return await make_certificates(database, 40)


async def make_certificates(database: Database, count: int) -> list[str]:
    async with database.transaction() as connection:
        await connection.execute("""
            INSERT INTO products (product_id, currency, nominal, validity, reservation, reservation_limit, hold,
                hold_limit, greatest_discount_percent, number_length, cvc_length)
            VALUES ('GC-5000', 'RUB', 500000, '365 days', '30 min', '2 h', '30 min', '24 h', 20, 16, 6)
        """)
        await connection.execute(
            """
            INSERT INTO batches (batch_id, product_id, quantity, source)
            VALUES (gen_random_uuid(), 'GC-5000', $1, 'generate')
            """,
            count,
        )
        rows = await connection.fetch(
            """
            INSERT INTO certificates (certificate_id, product_id, batch_id, last_four, currency, nominal)
            SELECT gen_random_uuid(), 'GC-5000', batch_id, '1234', 'RUB', 500000
            FROM batches, generate_series(1, $1) RETURNING certificate_id::text
            """,
            count,
        )
        return [row["certificate_id"] for row in rows]


@pytest.fixture
async def dispatching(fresh_database_url: str, kafka: str, topic: str) -> AsyncIterator[None]:
    """A dispatcher that runs during the test."""
    settings = Settings(
        database_url=fresh_database_url, kafka_bootstrap_servers=kafka, topic_stream=topic, _env_file=None
    )
    task = asyncio.create_task(serve(settings))
    yield
    assert not task.done(), task  # it runs until it is told to end, whatever happens
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture
async def start_dispatcher(fresh_database_url: str, kafka: str, topic: str) -> AsyncIterator[StartDispatcher]:
    """Start dispatchers as processes of their own; those that still run are killed after the test."""
    started: list[asyncio.subprocess.Process] = []

    async def start() -> asyncio.subprocess.Process:
        started.append(await spawn(fresh_database_url, kafka, topic))
        return started[-1]

    yield start
    for process in started:
        await end(process)
