"""A process that dies around what it asks of Kafka and PostgreSQL: its successor ends where one that lived would."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer
from temporalio.client import Client

from kafka_ingest.consumer import BatchLoop
from kafka_ingest.signaller import Signaller
from kafka_ingest.writer import BatchWriter
from tests.crashes import AFTER, Step, around_each, crash
from tests.integration.kafka_ingest.ingest_process import SOLD, Neighbours, signals_of
from tests.processes import PATIENCE_SECONDS

pytestmark = pytest.mark.integration
OFFSETS_COMMITTED = (AIOKafkaConsumer, "commit")


@around_each(
    (AIOKafkaConsumer, "getmany"),
    (BatchLoop, "_decoded"),  # reaching it, records are taken
    (BatchWriter, "commit"),
    (Signaller, "take"),
    OFFSETS_COMMITTED,
)
async def test_the_successor_of_a_dead_process_reads_on_and_tells_nothing_new_twice(
    neighbours: Neighbours, temporal: Client, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    await neighbours.sell(0, "IM-0")
    died = crash(monkeypatch, step, moment, error=asyncio.CancelledError)
    with monkeypatch.context() as dead:
        async with asyncio.timeout(PATIENCE_SECONDS), neighbours.process():
            await died.wait()
            dead.setattr(BatchLoop, "commit_offsets", _tells_nothing)  # at its end
    left = await neighbours.committed_offsets()
    assert (left > 0) == ((step, moment) == (OFFSETS_COMMITTED, AFTER))
    async with neighbours.process():
        await neighbours.caught_up()
        await neighbours.paid("IM-0")
        await neighbours.all_signalled(temporal)
    row = await neighbours.store.line_row("IM-0")
    assert row.standing.captured == 500_000
    signals = await signals_of(temporal, neighbours.store.certificates[0])
    assert set(signals) <= set(SOLD)
    assert await neighbours.committed_offsets() == 3


async def _tells_nothing(_: BatchLoop) -> float:
    return 60.0
