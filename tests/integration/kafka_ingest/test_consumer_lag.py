"""Consumer lag: what lies in the input topics behind what ingest has committed."""

import asyncio
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from giftcert.settings import Settings
from kafka_ingest.lag import consumer_lag

pytestmark = pytest.mark.integration


async def test_lag_is_what_is_written_and_not_committed_by_topic(kafka: str) -> None:
    name = uuid4().hex[:8]
    settings = Settings(
        kafka_bootstrap_servers=kafka,
        topic_orders=f"orders-{name}",
        topic_payments=f"payments-{name}",
        topic_clients=f"absent-{name}",
        ingest_group=f"group-{name}",
        _env_file=None,
    )
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    topics = (settings.topic_orders, settings.topic_payments)
    await admin.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1) for topic in topics])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for nth in range(3):
            await producer.send_and_wait(settings.topic_orders, b"{}", partition=nth % 2)
    assert await asyncio.to_thread(consumer_lag, settings) == {
        settings.topic_orders: 3,
        settings.topic_payments: 0,
        settings.topic_clients: 0,
    }
    reading = AIOKafkaConsumer(
        bootstrap_servers=kafka, group_id=settings.ingest_group, enable_auto_commit=False
    )
    async with reading as consumer:
        place = TopicPartition(settings.topic_orders, 0)
        consumer.assign([place])
        await consumer.commit({place: 2})
    assert (await asyncio.to_thread(consumer_lag, settings))[settings.topic_orders] == 1
