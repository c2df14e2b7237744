"""A door that dies around what it asks of Kafka and PostgreSQL: its successor ends where one that lived would have."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer
from temporalio.client import Client

from kafka_ingest.intake import Intake
from kafka_ingest.signalling import Signaller
from kafka_ingest.transaction import BatchWriter
from tests.crashes import AFTER, Step, around_each, crash
from tests.integration.kafka_ingest.ingest_doors import SOLD, Neighbours, signals_of
from tests.processes import PATIENCE_SECONDS

pytestmark = pytest.mark.integration
OFFSETS_COMMITTED = (AIOKafkaConsumer, "commit")


@around_each(
    (AIOKafkaConsumer, "getmany"),
    (Intake, "_read"),  # reaching it, records are taken
    (BatchWriter, "commit"),
    (Signaller, "take"),
    OFFSETS_COMMITTED,
)
async def test_the_successor_of_a_dead_door_reads_on_and_tells_nothing_new_twice(
    neighbours: Neighbours, temporal: Client, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    await neighbours.sell(0, "IM-0")
    died = crash(monkeypatch, step, moment, error=asyncio.CancelledError)
    async with asyncio.timeout(PATIENCE_SECONDS), neighbours.door():
        await died.wait()
    left = await neighbours.committed_offsets()
    assert (left > 0) == ((step, moment) == (OFFSETS_COMMITTED, AFTER))
    async with neighbours.door():
        await neighbours.caught_up()
        await neighbours.all_sent()
    told = await neighbours.store.kinds(0)
    assert sorted(told) == sorted(SOLD)
    signals = dict.fromkeys(await signals_of(temporal, neighbours.store.certificates[0]))
    assert [name.replace("_", "") for name in signals] == [kind.lower() for kind in told]
    assert await neighbours.committed_offsets() == len(SOLD)
