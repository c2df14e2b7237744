"""The dispatch process: ``python -m giftcert.cli dispatch``. Any number of processes share the shards."""

import asyncio

import structlog

from giftcert.dispatch.poller import Poller
from giftcert.dispatch.producer import StreamProducer
from giftcert.dispatch.publisher import DispatchOutages, ShardPublisher
from giftcert.dispatch.stream_guard import guarded_database
from giftcert.health import KAFKA, POSTGRESQL, Probe, probing
from giftcert.kafka_connection import connection_options, kafka_probe
from giftcert.requirements.topics import stream_topic
from giftcert.requirements.watch import of_database, of_topics, watching
from giftcert.settings import Settings
from giftcert.telemetry import metrics_server

PUBLISHERS = 4
FINISH_SECONDS = 3.0
"""How long a cycle under way may take when the process is to end."""

_log = structlog.get_logger(__name__)


async def serve(settings: Settings) -> None:
    """Publish recorded events until cancelled; raises `AddressNotSetError`."""
    options = connection_options(settings)
    async with (
        metrics_server(settings) as health,
        guarded_database(settings, "giftcert-dispatch", keeps_comparing=True) as database,
    ):
        outages = DispatchOutages(database=database, health=health, topic=settings.topic_stream)
        poller = Poller(database, outages)
        publishers = [
            ShardPublisher(database, StreamProducer(settings.topic_stream, options), poller, outages)
            for _ in range(PUBLISHERS)
        ]
        _log.info("dispatch runs", topic=settings.topic_stream, publishers=PUBLISHERS)
        servers = {POSTGRESQL: Probe(database.answer), KAFKA: kafka_probe(settings)}
        needs = of_database(database) | of_topics(settings, stream_topic(settings))
        async with probing(health, servers), watching(health, needs):
            await _run(poller, publishers)


async def _run(poller: Poller, publishers: list[ShardPublisher]) -> None:
    tasks = [asyncio.create_task(poller.poll()), *(asyncio.create_task(one.run()) for one in publishers)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        poller.end()
        await asyncio.wait(tasks, timeout=FINISH_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
