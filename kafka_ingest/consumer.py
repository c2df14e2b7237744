"""Member of the consumer group: takes batches from Kafka, has them committed in PostgreSQL, then commits offsets."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.clock import Clock, utc_now
from giftcert.kafka_connection import connection_options
from giftcert.settings import Settings
from kafka_ingest import metrics, record_batches
from kafka_ingest.decoder import DecodedBatch
from kafka_ingest.outages import OutageReport
from kafka_ingest.transaction import Committed
from kafka_ingest.watermarks import Watermarks
from kafka_ingest.writer import BatchWriter, Failure, failure_of

BATCH = 8_000
"""Records of one batch at most: a fifth of a second of work, so that the process goes on answering meanwhile."""
WAIT_MILLISECONDS = 200
COMMIT_SECONDS = 5.0
FINISH_SECONDS, STOP_SECONDS = 3.0, 3.0
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
POSTGRESQL, KAFKA, INGEST = "PostgreSQL", "Kafka", "ingest"

_log = structlog.get_logger(__name__)


class GroupMember:
    """Reads the input topics as a member of the group for as long as it runs; makes its consumer anew where it must."""

    def __init__(
        self,
        settings: Settings,
        engine: AsyncEngine,
        writer: BatchWriter,
        outages: OutageReport,
        hand_over: Callable[[Committed], None],
        clock: Clock = utc_now,
    ) -> None:
        self._settings = settings
        self._topics = (settings.topic_orders, settings.topic_payments, settings.topic_clients)
        self._engine = engine
        self._writer = writer
        self._outages = outages
        self._hand_over = hand_over
        self._clock = clock

    async def run(self) -> None:
        """Consume for ever. aiokafka itself outlasts a broker's absence; at what it gives up, begin anew."""
        pause = FIRST_PAUSE
        while True:
            try:
                await self._once()
            except (KafkaError, OSError) as error:
                await self._outages.goes_on(KAFKA, error)
            except Exception as error:  # noqa: BLE001 - a new consumer may do what the old one could not
                _log.exception("the consumer is made anew")
                await self._outages.goes_on(INGEST, error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, 2 * LONGEST_PAUSE)

    async def _once(self) -> None:
        consumer = make_consumer(self._settings)
        loop = BatchLoop(consumer, self._writer, self._outages, self._hand_over)
        watermarks = Watermarks(consumer, self._engine, self._topics, loop.reached, self._clock)
        consumer.subscribe(topics=self._topics, listener=Rebalances(loop))
        try:
            await consumer.start()
            self._outages.over(KAFKA)
            await _first_to_fail(loop.run(), watermarks.run(self._outages))
        finally:
            await _stop(consumer)


class Rebalances(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Tells the batch loop of partitions that go and come."""

    def __init__(self, loop: "BatchLoop") -> None:
        self._loop = loop

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Called before the partitions go; the group waits."""
        _log.info("partitions revoked", partitions=len(list(revoked)))
        await self._loop.revoked()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Called before the first record of the partitions comes."""
        _log.info("partitions assigned", partitions=len(list(assigned)))
        self._loop.assigned()


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Records as taken and decoded, with the first offset of each partition and the one after its last."""

    records: list[ConsumerRecord[bytes, bytes]]
    decoded: DecodedBatch
    first: dict[TopicPartition, int]
    after: dict[TopicPartition, int]
    assignment: int
    """Counts the assignments of partitions; what was only taken under an earlier one is taken again."""


class BatchLoop:
    """Consumes with one consumer: while a batch is being committed, the next is decoded.

    When PostgreSQL is away all partitions pause at the first record that is not committed; the consumer goes on
    being asked, so that it stays a member of its group.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        writer: BatchWriter,
        outages: OutageReport,
        hand_over: Callable[[Committed], None],
    ) -> None:
        self._consumer = consumer
        self._writer = writer
        self._outages = outages
        self._hand_over = hand_over
        self._committing: asyncio.Task[None] | None = None
        self._outstanding: list[Batch] = []  # taken from Kafka, not committed here
        self._offset_commits: set[asyncio.Task[None]] = set()
        self._assignment = 0
        self._retry_at: float | None = None
        self._pause = FIRST_PAUSE

    async def run(self) -> None:
        """Take batches until cancelled; one that is being committed is finished first.

        Raises:
            aiokafka.errors.KafkaError: the consumer cannot go on and has to be made anew.
        """
        try:
            while True:
                await self.step()
                self._outages.beat()
        finally:
            await self._end()

    async def step(self) -> None:
        """Take the next batch, if there is one, and begin to commit it as soon as the one before is committed."""
        self._stand_still()
        taken = await self._consumer.getmany(timeout_ms=WAIT_MILLISECONDS, max_records=BATCH)
        if not taken:
            return
        batch = self._decoded(taken)
        await self.finished()
        if batch in self._outstanding and batch.assignment == self._assignment:  # else it comes again
            self._committing = asyncio.create_task(self._commit(batch))

    async def finished(self) -> None:
        """Wait until nothing is being committed."""
        while (task := self._committing) is not None:
            await asyncio.shield(task)
            if self._committing is task:
                self._committing = None

    def reached(self, partition: TopicPartition, position: int) -> int:
        """Return the offset below which everything of a partition is committed in PostgreSQL.

        Args:
            partition: an assigned partition.
            position: the consumer's own position, which is ahead while a batch is under way.
        """
        return min([position, *(one.first[partition] for one in self._outstanding if partition in one.first)])

    async def _end(self) -> None:
        """Let what is being committed come to its end, unless that takes too long; it would come again."""
        under_way = {task for task in (self._committing, *self._offset_commits) if task is not None}
        if under_way:
            await asyncio.wait(under_way, timeout=FINISH_SECONDS)
        for task in under_way:
            task.cancel()

    # Rebalances -----------------------------------------------------------------------------------

    async def revoked(self) -> None:
        """Finish what is under way before others get the partitions; what was only taken is theirs to take again.

        It stays outstanding until the new assignment, as the old one's positions are beyond it.
        """
        await self.finished()
        self._assignment += 1

    def assigned(self) -> None:
        """Begin anew from the committed offsets. A pause belongs to the assignment before, so pause again."""
        self._outstanding.clear()
        self._stand_still()

    # Batches --------------------------------------------------------------------------------------

    def _decoded(self, taken: Mapping[TopicPartition, list[ConsumerRecord[bytes, bytes]]]) -> Batch:
        records = [record for of_partition in taken.values() for record in of_partition]
        batch = Batch(
            records=records,
            decoded=self._writer.decode(records),
            first={partition: of_partition[0].offset for partition, of_partition in taken.items()},
            after={partition: of_partition[-1].offset + 1 for partition, of_partition in taken.items()},
            assignment=self._assignment,
        )
        self._outstanding.append(batch)
        return batch

    async def _commit(self, batch: Batch) -> None:
        """Commit a batch, hand its signals over, then commit its offsets."""
        first = batch.records[0]
        self._outages.place = (first.topic, first.partition, first.offset)
        began = asyncio.get_running_loop().time()
        try:
            committed = await self._writer.commit(batch.records, batch.decoded)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing is lost: the batch comes again
            await self._failed(error)
            return
        metrics.BATCH_SECONDS.observe(asyncio.get_running_loop().time() - began)
        metrics.BATCH_RECORDS.observe(len(batch.records))
        for (topic, outcome), count in committed.counts.items():
            metrics.RECORDS.labels(topic, outcome).inc(count)
        self._hand_over(committed)
        await self._succeeded(batch)

    async def _succeeded(self, batch: Batch) -> None:
        self._pause = FIRST_PAUSE
        self._outages.over(POSTGRESQL)
        self._outages.over(INGEST)
        if batch in self._outstanding:
            self._outstanding.remove(batch)
            await self._commit_offsets(batch.after)

    async def _commit_offsets(self, offsets: dict[TopicPartition, int]) -> None:
        """Tell Kafka how far we are. If that fails, the records come again one day and are known as repeats.

        aiokafka repeats it until the broker answers, so one that takes long is not waited for.
        """
        commit = asyncio.create_task(self._commit_to_kafka(offsets))
        self._offset_commits.add(commit)
        commit.add_done_callback(self._offset_commits.discard)
        await asyncio.wait({commit}, timeout=COMMIT_SECONDS)
        if not commit.done():
            await self._outages.goes_on(KAFKA, TimeoutError())

    async def _commit_to_kafka(self, offsets: dict[TopicPartition, int]) -> None:
        try:
            await self._consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError) as error:  # the partitions are another's by now
            _log.info("offsets not committed", error=type(error).__name__)
        except KafkaError as error:
            await self._outages.goes_on(KAFKA, error)
        else:
            self._outages.over(KAFKA)

    # PostgreSQL away ------------------------------------------------------------------------------

    async def _failed(self, error: Exception) -> None:
        """Stand still at the first record of each partition that is not committed; try again a little later."""
        self._retry_at = asyncio.get_running_loop().time() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._give_back()
        self._stand_still()
        away = failure_of(error) is not Failure.STANDING
        if not away:
            _log.error("a batch cannot be committed", exc_info=error)
        await self._outages.goes_on(POSTGRESQL if away else INGEST, error)

    def _give_back(self) -> None:
        """Have everything that was taken and not committed come again."""
        first: dict[TopicPartition, int] = {}
        for batch in self._outstanding:
            for partition, offset in batch.first.items():
                first[partition] = min(offset, first.get(partition, offset))
        self._outstanding.clear()
        for partition in first.keys() & self._consumer.assignment():
            self._consumer.seek(partition, first[partition])

    def _stand_still(self) -> None:
        """Pause all partitions until it is time to try again."""
        if self._retry_at is None:
            return
        if asyncio.get_running_loop().time() < self._retry_at:
            self._consumer.pause(*self._consumer.assignment())
        else:
            self._retry_at = None
            self._consumer.resume(*self._consumer.paused())


# The consumer ---------------------------------------------------------------------------------------


def make_consumer(settings: Settings, **options: Any) -> AIOKafkaConsumer:  # noqa: ANN401 - aiokafka's options
    """Return a consumer of the ingest group, not started, that commits only when told.

    Partitions are assigned by ranges, so that orders and payments of equally many partitions meet in one process.
    """
    record_batches.install()
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
