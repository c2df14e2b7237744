"""The shared servers of a test run really answer."""

import asyncpg
import pytest
from aiokafka import AIOKafkaProducer
from temporalio.client import Client

pytestmark = pytest.mark.integration


async def test_a_fresh_database_is_migrated_and_empty(fresh_database_url: str) -> None:
    connection = await asyncpg.connect(fresh_database_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1
        assert await connection.fetchval("SHOW server_version_num") >= "180000"
    finally:
        await connection.close()


async def test_kafka_answers(kafka: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=True)
    await producer.start()
    await producer.stop()


async def test_temporal_answers_with_the_search_attributes_registered(temporal_address: str) -> None:
    client = await Client.connect(temporal_address)
    assert [run async for run in client.list_workflows('RefundState = "pendingDetails"')] == []
