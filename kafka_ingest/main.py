"""The ingest process: ``giftcert ingest``. Any number of processes share the partitions."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.clock import Clock, utc_now
from giftcert.kafka_connection import connection_options
from giftcert.security.configured import keyring_of
from giftcert.security.keyring import Keyring
from giftcert.settings import Settings
from giftcert.storage.engine import make_engine
from giftcert.telemetry import Health, metrics_server
from giftcert.temporal.client import connect
from giftcert.temporal.runs import CertificateRuns
from giftcert.temporal.workflows import signal_certificate
from kafka_ingest import retention, sweeper
from kafka_ingest.consumer import GroupMember
from kafka_ingest.late_match import LateMatch
from kafka_ingest.outages import OutageReport
from kafka_ingest.retention import DaysAhead
from kafka_ingest.signaller import Signaller
from kafka_ingest.sweeper import Sweeper
from kafka_ingest.transaction import Committed, IngestRules
from kafka_ingest.writer import BatchWriter

YOUNG_OBJECTS = 100_000

_log = structlog.get_logger(__name__)


async def serve(settings: Settings, clock: Clock = utc_now) -> None:
    """Read the input topics and signal the certificates until cancelled.

    Raises:
        NoDatabaseAddressError: no address of PostgreSQL is set.
        NoKafkaAddressError: no address of Kafka is set.
        KeyFileError: the keyring cannot be read.
    """
    connection_options(settings)  # says at once what is not set
    keyring = keyring_of(settings)
    async with metrics_server(settings) as health, _engine(settings) as engine:
        with rare_collections():
            await _run(settings, engine, keyring, health, clock)


async def _run(
    settings: Settings, engine: AsyncEngine, keyring: Keyring, health: Health, clock: Clock
) -> None:
    rules = IngestRules.of(settings, keyring)
    temporal = await connect(settings, lazy=True)
    send = partial(signal_certificate, temporal)
    outages = OutageReport(engine, health, (settings.topic_orders, 0, 0), clock)
    signaller = Signaller(engine, send, outages, clock)
    late_match = LateMatch(engine, rules, signaller.take, clock)
    sweep = Sweeper(engine, send, CertificateRuns(temporal), outages, settings.channels[0], clock)

    def hand_over(committed: Committed) -> None:
        signaller.take(committed.wakes)
        if committed.new_orders or committed.erased_clients:
            late_match.something_new()

    member = GroupMember(settings, engine, BatchWriter(engine, rules, clock), outages, hand_over, clock)
    _log.info("ingest runs", topics=rules.topics.names, group=settings.ingest_group)
    async with signaller.running(), asyncio.TaskGroup() as tasks:
        tasks.create_task(outages.watch())
        tasks.create_task(outages.repeat(retention.PART, DaysAhead(engine, clock).work))
        tasks.create_task(outages.repeat(sweeper.PART, sweep.work))
        tasks.create_task(late_match.run(outages))
        tasks.create_task(member.run())


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
    engine = make_engine(settings, "giftcert-ingest", index_plans=True)
    try:
        yield engine
    finally:
        await engine.dispose()
