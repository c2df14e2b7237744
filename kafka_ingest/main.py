"""The ingest door: ``python -m giftcert.cli ingest``. Any number of processes share the partitions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.temporal_client import connect
from giftcert.contracts.notices import input_key
from giftcert.kafka_connection import connection_options
from giftcert.security.configured import keyring_of
from giftcert.settings import Settings
from giftcert.storage.engine import make_engine
from giftcert.telemetry import metrics_server
from kafka_ingest.consuming import Consuming
from kafka_ingest.horizon import Horizon
from kafka_ingest.settling import Settling
from kafka_ingest.signal import Signal
from kafka_ingest.signalling import Signaller
from kafka_ingest.sweeping import Sweep
from kafka_ingest.topics import Topics
from kafka_ingest.transaction import BatchWriter, Committed
from kafka_ingest.trouble import Trouble

_log = structlog.get_logger(__name__)


async def serve(settings: Settings) -> None:
    """Read the input topics and tell the certificates until cancelled.

    Raises:
        NoDatabaseAddressError: no address of PostgreSQL is set.
        NoKafkaAddressError: no address of Kafka is set.
        KeyFileError: the keyring cannot be read.
    """
    connection_options(settings)
    topics, keyring = Topics.of(settings), keyring_of(settings)
    async with metrics_server(settings) as health, _engine(settings) as engine:
        trouble = Trouble(engine, health, input_key(settings.topic_orders, 0))
        client = await connect(settings, lazy=True)
        signaller = Signaller(engine, Signal(client), trouble)
        settling = Settling(engine, topics, keyring, signaller.take)

        def hand_over(committed: Committed) -> None:
            signaller.take(committed.unsent)
            if committed.mapped:
                settling.mapped()

        writer = BatchWriter(engine, topics, keyring)
        consuming = Consuming(settings, engine, writer, trouble, hand_over)
        horizon = Horizon(engine, settings.payment_horizon)
        _log.info("ingest runs", topics=topics.names, group=settings.ingest_group)
        async with signaller.running(), asyncio.TaskGroup() as tasks:
            tasks.create_task(horizon.run(trouble))
            tasks.create_task(settling.run(trouble))
            tasks.create_task(Sweep(engine, signaller, trouble).run())
            tasks.create_task(consuming.run())


@asynccontextmanager
async def _engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(settings, "giftcert-ingest")
    try:
        yield engine
    finally:
        await engine.dispose()
