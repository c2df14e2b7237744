"""The ingest door: ``python -m giftcert.cli ingest``. Any number of processes share the partitions."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.temporal_client import connect
from giftcert.contracts.notices import input_key
from giftcert.kafka_connection import connection_options
from giftcert.security.configured import keyring_of
from giftcert.security.keyring import Keyring
from giftcert.settings import Settings
from giftcert.storage.engine import make_engine
from giftcert.telemetry import Health, metrics_server
from kafka_ingest.consuming import Consuming
from kafka_ingest.horizon import Horizon
from kafka_ingest.settling import Settling
from kafka_ingest.signal import Signal
from kafka_ingest.signalling import Signaller
from kafka_ingest.sweeping import Sweep
from kafka_ingest.topics import Topics
from kafka_ingest.transaction import BatchWriter, Committed
from kafka_ingest.trouble import Trouble

YOUNG_OBJECTS = 100_000

_log = structlog.get_logger(__name__)


async def serve(settings: Settings) -> None:
    """Read the input topics and tell the certificates until cancelled.

    Raises:
        NoDatabaseAddressError: no address of PostgreSQL is set.
        NoKafkaAddressError: no address of Kafka is set.
        KeyFileError: the keyring cannot be read.
    """
    connection_options(settings)  # says at once what is not set
    keyring = keyring_of(settings)
    async with metrics_server(settings) as health, _engine(settings) as engine:
        with rare_collections():
            await _run(settings, engine, keyring, health)


async def _run(settings: Settings, engine: AsyncEngine, keyring: Keyring, health: Health) -> None:
    topics = Topics.of(settings)
    trouble = Trouble(engine, health, input_key(settings.topic_orders, 0))
    signaller = Signaller(engine, Signal(await connect(settings, lazy=True)), trouble)
    settling = Settling(engine, topics, keyring, signaller.take)

    def hand_over(committed: Committed) -> None:
        signaller.take(committed.unsent)
        if committed.mapped:
            settling.mapped()

    writer = BatchWriter(engine, topics, keyring)
    _log.info("ingest runs", topics=topics.names, group=settings.ingest_group)
    async with signaller.running(), asyncio.TaskGroup() as tasks:
        tasks.create_task(Horizon(engine).run(trouble))
        tasks.create_task(settling.run(trouble))
        tasks.create_task(Sweep(engine, signaller, trouble).run())
        tasks.create_task(Consuming(settings, engine, writer, trouble, hand_over).run())


@contextmanager
def rare_collections() -> Iterator[None]:
    """Look for garbage in cycles after so many new objects instead of 700, while the context lasts.

    A batch makes tens of thousands of objects that live until it is committed and form no cycles; looking through
    them again and again costs a quarter of the rate.
    """
    before = gc.get_threshold()
    gc.set_threshold(YOUNG_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@asynccontextmanager
async def _engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(settings, "giftcert-ingest")
    try:
        yield engine
    finally:
        await engine.dispose()
