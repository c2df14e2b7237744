"""The ingest process: ``giftcert ingest``. Any number of processes share the partitions."""

import asyncio
import gc
from functools import partial

import structlog

from giftcert import overdue_work
from giftcert.clock import Clock, utc_now
from giftcert.dispatch.stream_guard import guarded_database
from giftcert.health import KAFKA, POSTGRESQL, TEMPORAL, Health, Probe, probing
from giftcert.kafka_connection import connection_options, kafka_probe
from giftcert.overdue_work import OverdueWatch
from giftcert.requirements.topics import input_topics
from giftcert.requirements.watch import of_database, of_topics, watching
from giftcert.security.keyring import Keyring
from giftcert.security.keys import keyring_of
from giftcert.settings import Settings
from giftcert.storage.database import Database
from giftcert.storage.day_partitions import make_days
from giftcert.telemetry import metrics_server
from giftcert.temporal.client import answer, connect
from giftcert.temporal.runs import CertificateRuns
from giftcert.temporal.workflow_starts import signal_certificate
from kafka_ingest import figures, late_match, stuck_watch, sweeper
from kafka_ingest.consumer import consume
from kafka_ingest.figures import Figures
from kafka_ingest.late_match import LateMatch
from kafka_ingest.outages import IngestOutages
from kafka_ingest.signaller import Signaller
from kafka_ingest.stuck_watch import StuckWatch
from kafka_ingest.sweeper import Sweeper
from kafka_ingest.transaction import Committed, IngestRules
from kafka_ingest.writer import BatchWriter

YOUNG_OBJECTS = 100_000
"""Before garbage is looked for in cycles, instead of 700: a batch makes tens of thousands, without cycles, and looking
through them again and again costs a quarter of the rate.
"""
DAYS_AHEAD, DAYS_MADE_EVERY_SECONDS = 7, 3_600.0
DAYS = "days of payments and originals"

_log = structlog.get_logger(__name__)


async def serve(settings: Settings, clock: Clock = utc_now) -> None:
    """Read the input topics and signal until cancelled; raises `AddressNotSetError` and `KeyFileError`."""
    connection_options(settings)  # says at once what is not set
    keyring = keyring_of(settings)
    gc.set_threshold(YOUNG_OBJECTS)
    opened = guarded_database(settings, "giftcert-ingest")
    async with metrics_server(settings) as health, opened as database:
        await _run(settings, database, keyring, health, clock)


async def _run(
    settings: Settings, database: Database, keyring: Keyring, health: Health, clock: Clock
) -> None:
    rules = IngestRules.of(settings, keyring)
    temporal = await connect(settings, lazy=True)
    send = partial(signal_certificate, temporal)
    outages = IngestOutages(
        database=database, health=health, place=(settings.topic_orders, 0, 0), clock=clock
    )
    signaller = Signaller(database, send, outages, clock)
    rechecks = LateMatch(database, rules, signaller.take, clock)
    runs = CertificateRuns(temporal)
    sweep = Sweeper(database, send, runs, outages, settings.channels[0], clock)
    stuck = StuckWatch(database, settings, runs, health, clock)

    overdue = OverdueWatch(database, temporal, settings, clock)

    def hand_over(committed: Committed) -> None:
        signaller.take(committed.wakes)
        if committed.recheck:
            rechecks.something_new.set()

    _log.info("ingest runs", topics=rules.topics.names, group=settings.ingest_group)
    servers = {
        POSTGRESQL: Probe(database.answer),
        TEMPORAL: Probe(partial(answer, temporal)),
        KAFKA: kafka_probe(settings),
    }
    needs = of_database(database) | of_topics(settings, *input_topics(settings))
    async with (
        probing(health, servers),
        watching(health, needs),
        signaller.running(),
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(outages.watch())
        tasks.create_task(outages.repeat(DAYS, partial(make_days_ahead, database, clock)))
        tasks.create_task(outages.repeat(sweeper.PART, sweep.work))
        tasks.create_task(outages.repeat(figures.PART, Figures(database, settings, clock).work))
        tasks.create_task(outages.repeat(stuck_watch.PART, stuck.work))
        tasks.create_task(outages.repeat(late_match.PART, rechecks.work))
        tasks.create_task(outages.repeat(overdue_work.PART, overdue.work))
        tasks.create_task(consume(settings, BatchWriter(database, rules, clock), outages, hand_over))


async def make_days_ahead(database: Database, clock: Clock) -> float:
    """Have a partition ready for each day (UTC) before it begins; a maintenance workflow drops them."""
    for table in ("unmatched_payments", "inbox"):
        async with database.transaction() as connection:
            await make_days(connection, table, clock().date(), DAYS_AHEAD)
    return DAYS_MADE_EVERY_SECONDS
