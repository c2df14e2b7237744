"""A member of the consumer group: makes the consumer, and makes it anew when it cannot go on."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError
from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.kafka_connection import connection_options
from giftcert.settings import Settings
from kafka_ingest.intake import INGEST, KAFKA, Intake
from kafka_ingest.marking import Marking
from kafka_ingest.transaction import BatchWriter, Committed
from kafka_ingest.trouble import Trouble

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
STOP_SECONDS = 3.0

_log = structlog.get_logger(__name__)


class Rebalances(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Tells the intake of partitions that go and come."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Called before the partitions go; the group waits."""
        _log.info("partitions revoked", partitions=len(list(revoked)))
        await self._intake.revoked()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Called before the first record of the partitions comes."""
        _log.info("partitions assigned", partitions=len(list(assigned)))
        self._intake.assigned()


class Consuming:
    """Reads the input topics as a member of the group for as long as it runs."""

    def __init__(
        self,
        settings: Settings,
        engine: AsyncEngine,
        writer: BatchWriter,
        trouble: Trouble,
        hand_over: Callable[[Committed], None],
    ) -> None:
        self._settings = settings
        self._topics = (settings.topic_orders, settings.topic_payments, settings.topic_clients)
        self._engine = engine
        self._writer = writer
        self._trouble = trouble
        self._hand_over = hand_over

    async def run(self) -> None:
        """Consume for ever. aiokafka itself outlasts a broker's absence; at what it gives up, begin anew."""
        pause = FIRST_PAUSE
        while True:
            try:
                await self._once()
            except (KafkaError, OSError) as error:
                await self._trouble.goes_on(KAFKA, error)
            except Exception as error:  # noqa: BLE001 - a new consumer may do what the old one could not
                _log.exception("the consumer is made anew")
                await self._trouble.goes_on(INGEST, error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _once(self) -> None:
        consumer = make_consumer(self._settings)
        intake = Intake(consumer, self._writer, self._trouble, self._hand_over)
        marking = Marking(consumer, self._engine, self._topics, intake.reached)
        consumer.subscribe(topics=self._topics, listener=Rebalances(intake))
        try:
            await consumer.start()
            self._trouble.over(KAFKA)
            await _first_to_fail(intake.run(), marking.run(self._trouble))
        finally:
            await _stop(consumer)


def make_consumer(settings: Settings, **options: Any) -> AIOKafkaConsumer:  # noqa: ANN401 - aiokafka's options
    """Return a consumer of the ingest group, not started, that commits only when told.

    Partitions are assigned by ranges, so that orders and payments of equally many partitions meet in one process.
    """
    return AIOKafkaConsumer(
        **connection_options(settings),
        client_id="giftcert-ingest",
        group_id=settings.ingest_group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        partition_assignment_strategy=(RangePartitionAssignor,),
        **options,
    )


async def _first_to_fail(*work: Any) -> None:  # noqa: ANN401 - coroutines
    tasks = [asyncio.create_task(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _stop(consumer: AIOKafkaConsumer) -> None:
    """Leave the group, unless the broker does not answer."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await consumer.stop()
    except (KafkaError, OSError) as error:
        _log.warning("left the group without a word", error=type(error).__name__)
