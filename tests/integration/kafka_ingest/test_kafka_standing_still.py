"""A broker that answers nothing for a while."""

from pathlib import Path

import pytest
from temporalio.client import Client

from kafka_ingest.watermarks import PART
from tests.integration.kafka_ingest.ingest_process import make_neighbours, until_fails_again
from tests.integration.kafka_ingest.ingest_store import Store
from tests.stoppable_kafka import StoppableKafka
from tests.unit.contracts.topic_records import order, payment

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


async def test_kafka_stands_still_and_goes_on(
    store: Store,
    keyring_file: Path,
    fresh_database_url: str,
    temporal: Client,
    stoppable_kafka: StoppableKafka,
) -> None:
    addresses = {
        "database_url": fresh_database_url,
        "kafka": stoppable_kafka.address,
        "temporal": temporal.service_client.config.target_host,
    }
    neighbours = await make_neighbours(store, keyring_file, addresses)
    async with neighbours, neighbours.process():
        await neighbours.order(order(orderId="IM-0", lines=[store.line()], total=500_000))
        await neighbours.ordered("IM-0")
        stoppable_kafka.hang()
        try:
            await until_fails_again(PART, times=1)
        finally:
            stoppable_kafka.go_on()
        await neighbours.payment(payment(orderId="IM-0"))
        await neighbours.paid("IM-0")
        await neighbours.caught_up()
