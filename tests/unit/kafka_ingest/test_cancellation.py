"""Ingest ends when it is told to, whoever swallows that on the way."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from giftcert.domain.policy import Policy
from giftcert.security.keyring import Keyring
from giftcert.settings import Settings
from giftcert.storage.database import Database
from giftcert.telemetry import Health
from kafka_ingest import consumer
from kafka_ingest.consumer import consume
from kafka_ingest.outages import IngestOutages
from kafka_ingest.transaction import IngestRules
from kafka_ingest.writer import BatchWriter
from tests.unit.kafka_ingest.ingest_memory import TOPICS
from tests.waiting import until


class Stopping:
    """Waits as aiokafka does where it stops: a cancellation ends the wait, and is lost."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def wait(self) -> None:
        self.begun.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


class Consumer(Stopping):
    """Stands in for aiokafka's, whose broker is away."""

    def subscribe(self, **_: Any) -> None:
        pass

    async def start(self) -> None:
        raise KafkaConnectionError

    async def commit(self, _: object) -> None:
        pass

    async def stop(self) -> None:
        await self.wait()


@pytest.fixture
async def outages() -> IngestOutages:
    database = Database("postgresql://nobody.invalid/none")  # it is not reached
    return IngestOutages(database=database, health=Health(), place=("orders", 0, 0))


async def ended(work: Awaitable[object], stopping: Stopping) -> asyncio.Task[object]:
    task = asyncio.ensure_future(work)
    await stopping.begun.wait()
    task.cancel()
    stopping.begun.clear()
    again = asyncio.create_task(stopping.begun.wait())
    await asyncio.wait({task, again}, return_when=asyncio.FIRST_COMPLETED)
    again.cancel()
    return task


async def test_a_consumer_that_swallows_its_cancellation_is_not_made_anew(
    outages: IngestOutages, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stopping = Consumer()
    monkeypatch.setattr(consumer, "make_consumer", lambda _: stopping)
    keyring = Keyring.create(tmp_path / "keyring.json")
    writer = BatchWriter(Database("postgresql://nobody.invalid/none"), IngestRules(TOPICS, keyring, Policy()))
    settings = Settings(_env_file=None, kafka_bootstrap_servers="nobody.invalid:9092")
    task = await ended(consume(settings, writer, outages, lambda _: None), stopping)
    assert task.cancelled()


async def test_a_consumer_that_never_stops_is_given_up(
    outages: IngestOutages, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(consumer, "STOP_SECONDS", 0.01)
    made = list[Consumer]()

    def make(_: Settings) -> Consumer:
        made.append(Consumer())
        return made[-1]

    monkeypatch.setattr(consumer, "make_consumer", make)
    writer = BatchWriter(
        Database("postgresql://nobody.invalid/none"),
        IngestRules(TOPICS, Keyring.create(tmp_path / "keyring.json"), Policy()),
    )
    settings = Settings(_env_file=None, kafka_bootstrap_servers="nobody.invalid:9092")
    task = asyncio.create_task(consume(settings, writer, outages, lambda _: None))
    await until(lambda: len(made) == 2)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


async def test_work_that_swallows_its_cancellation_is_not_repeated(outages: IngestOutages) -> None:
    stopping = Stopping()

    async def work() -> float:
        await stopping.wait()
        return 0.0

    task = await ended(outages.repeat("watermarks", work), stopping)
    assert task.cancelled()
