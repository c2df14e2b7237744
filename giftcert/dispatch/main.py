"""The dispatch door: ``python -m giftcert.cli dispatch``. Any number of processes share the shards."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.dispatch.doorbell import Doorbell
from giftcert.dispatch.lane import Lane
from giftcert.dispatch.publisher import Publisher
from giftcert.dispatch.trouble import Trouble
from giftcert.kafka_connection import connection_options
from giftcert.settings import Settings
from giftcert.storage.engine import make_engine
from giftcert.telemetry import metrics_server

LANES = 4
FINISH_SECONDS = 3.0
"""How long a cycle under way may take when the process is told to end."""

_log = structlog.get_logger(__name__)


async def serve(settings: Settings) -> None:
    """Publish recorded events until cancelled.

    Raises:
        NoDatabaseAddressError: no address of PostgreSQL is set.
        NoKafkaAddressError: no address of Kafka is set.
    """
    options = connection_options(settings)
    async with metrics_server(settings) as health, _engine(settings) as engine:
        doorbell = Doorbell(engine, health)
        trouble = Trouble(engine, settings.topic_stream)
        lanes = [
            Lane(engine, Publisher(settings.topic_stream, options), doorbell, trouble, health)
            for _ in range(LANES)
        ]
        _log.info("dispatch runs", topic=settings.topic_stream, lanes=LANES)
        await _run(doorbell, lanes)


async def _run(doorbell: Doorbell, lanes: list[Lane]) -> None:
    tasks = [asyncio.create_task(doorbell.watch()), *(asyncio.create_task(lane.run()) for lane in lanes)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        doorbell.end()
        await asyncio.wait(tasks, timeout=FINISH_SECONDS)
        await _cancel(tasks)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(settings, "giftcert-dispatch")
    try:
        yield engine
    finally:
        await engine.dispose()
