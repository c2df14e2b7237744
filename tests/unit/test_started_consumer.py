"""A consumer is stopped however its use ends."""

import asyncio
from typing import Any

import pytest

from giftcert import kafka_connection
from giftcert.kafka_connection import started_consumer


class Consumer:
    """Stands in for aiokafka's, whose broker does not answer."""

    def __init__(self, *_: str, **__: Any) -> None:
        self.starting, self.is_stopped = asyncio.Event(), False

    async def start(self) -> None:
        self.starting.set()
        await asyncio.Event().wait()

    async def stop(self) -> None:
        self.is_stopped = True


async def test_one_that_is_cancelled_as_it_starts_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    consumer = Consumer()
    monkeypatch.setattr(kafka_connection, "AIOKafkaConsumer", lambda *_, **__: consumer)

    async def read() -> None:
        async with started_consumer("stream"):
            pass

    task = asyncio.create_task(read())
    await consumer.starting.wait()
    task.cancel()
    await asyncio.wait({task})
    assert (task.cancelled(), consumer.is_stopped) == (True, True)
