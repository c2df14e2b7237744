"""Member of the consumer group: takes batches from Kafka and has them committed in PostgreSQL, then the offsets."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from opentelemetry.trace import SpanKind
from prometheus_client import Counter, Histogram

from giftcert import tracing
from giftcert.dispatch.comparison import topic_id
from giftcert.kafka_connection import connection_options
from giftcert.settings import Settings
from kafka_ingest import watermarks
from kafka_ingest.cancellation import raise_if_cancelled
from kafka_ingest.decoder import DecodedBatch
from kafka_ingest.outages import HEALTHY_SECONDS, IngestOutages
from kafka_ingest.records import place_of
from kafka_ingest.transaction import Committed
from kafka_ingest.undecodable_batches import isolate_undecodable_batches, taking
from kafka_ingest.watermarks import Watermarks
from kafka_ingest.writer import BatchWriter, Failure, failure_of

BATCH = 8_000
"""Records of one batch at most: a fifth of a second of work, so that the process goes on answering meanwhile."""
BACKLOG = 500
"""A batch of so many records was waiting for us: the next one is decoded while it is being committed."""
WAIT_MILLISECONDS = 200
SEVERAL, GATHER_SECONDS = 3, 0.05
"""After a batch of so many records more are soon to come: they are waited for, to share a transaction."""
OFFSETS_EVERY_SECONDS, OFFSETS_SECONDS = 0.2, 5.0
START_SECONDS, FINISH_SECONDS, STOP_SECONDS = 30.0, 3.0, 3.0
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
POSTGRESQL, KAFKA, INGEST = "PostgreSQL", "Kafka", "ingest"

_RECORDS = Counter(
    "giftcert_ingest_records", "Records of the input topics by what came of them", ["topic", "outcome"]
)
_BATCH_SECONDS = Histogram(
    "giftcert_ingest_batch_seconds",
    "Time to commit a batch to PostgreSQL",
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30),
)
BATCH_RECORDS = Histogram(
    "giftcert_ingest_batch_records", "Records of a batch", buckets=(1, 10, 100, 1_000, 2_000, 4_000, 8_000)
)
_log = structlog.get_logger(__name__)


async def consume(
    settings: Settings, writer: BatchWriter, outages: IngestOutages, hand_over: Callable[[Committed], None]
) -> NoReturn:
    """Read the input topics for ever; where aiokafka, which outlasts a broker's absence, gives up, begin anew."""
    pause = FIRST_PAUSE
    while True:
        began = asyncio.get_running_loop().time()
        await _consume_until_failure(settings, writer, outages, hand_over)
        raise_if_cancelled()
        if asyncio.get_running_loop().time() - began >= HEALTHY_SECONDS:
            pause = FIRST_PAUSE
        await asyncio.sleep(pause)
        pause = min(2 * pause, 2 * LONGEST_PAUSE)


async def _consume_until_failure(
    settings: Settings, writer: BatchWriter, outages: IngestOutages, hand_over: Callable[[Committed], None]
) -> None:
    consumer = make_consumer(settings)
    loop = BatchLoop(consumer, writer, outages, hand_over)
    topics = writer.rules.topics.names
    id_of = partial(topic_id, settings)
    marks = Watermarks(consumer, writer.database, topics, loop.reached, outages.wait_at, id_of, writer.clock)
    consumer.subscribe(topics=topics, listener=loop)
    try:
        try:
            await _within(START_SECONDS, consumer.start)
        except (KafkaError, OSError) as error:
            await outages.goes_on(KAFKA, error)
            return
        outages.over(KAFKA)
        await _until_one_fails(
            loop.run(),
            outages.repeat(KAFKA, loop.commit_offsets),
            outages.repeat(watermarks.PART, marks.work),
        )
    except Exception as error:  # noqa: BLE001 - a new consumer may do what the old one could not
        _log.exception("the consumer is made anew")
        await outages.restarts(error)
    finally:
        try:
            await _try_briefly(loop.commit_offsets)
        finally:  # also if we are stopped meanwhile
            await _try_briefly(consumer.stop)


def make_consumer(settings: Settings) -> AIOKafkaConsumer:
    """Return a consumer of the ingest group, not started, that commits only on request.

    Partitions are assigned by ranges, so that orders and payments of equally many partitions meet in one process.
    """
    isolate_undecodable_batches(settings.record_limit)
    return AIOKafkaConsumer(
        **connection_options(settings),
        client_id="giftcert-ingest",
        group_id=settings.ingest_group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        partition_assignment_strategy=(RangePartitionAssignor,),
    )


async def _try_briefly(farewell: Callable[[], Awaitable[object]]) -> None:
    try:
        await _within(STOP_SECONDS, farewell)
    except (KafkaError, OSError) as error:
        _log.warning("left the group without a word", error=type(error).__name__)


async def _until_one_fails(*works: Coroutine[Any, Any, NoReturn]) -> None:
    """Do all of it until one part fails, and raise that failure.

    A ``TaskGroup`` before Python 3.13 leaves its task marked as cancelled where a part fails, and loses a cancellation
    that comes at the same time.
    """
    tasks = [asyncio.create_task(one) for one in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in done:
        task.result()


async def _within(seconds: float, work: Callable[[], Awaitable[object]]) -> None:
    """Wait for work in a task of its own, and give it up after so long; raises ``TimeoutError`` and what it raises.

    aiokafka swallows cancellations where it starts and stops: neither a timeout nor who ends us would end the wait.
    """
    task = asyncio.ensure_future(work())
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
    if not task.done():
        raise TimeoutError
    await task


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Records as taken and decoded, with the first offset of each partition and the one after its last.

    ``assignment`` counts the assignments of partitions; what was only taken under an earlier one is taken again.
    """

    records: list[ConsumerRecord[bytes, bytes]]
    decoded: DecodedBatch
    first: dict[TopicPartition, int]
    after: dict[TopicPartition, int]
    assignment: int


@dataclass(eq=False, slots=True)
class BatchLoop(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Consumes with one consumer. What comes while a batch is being committed makes the next one.

    When PostgreSQL is away all partitions pause at the first record that is not committed; the consumer goes on
    being asked, so that it stays a member of its group.
    """

    consumer: AIOKafkaConsumer
    writer: BatchWriter
    outages: IngestOutages
    hand_over: Callable[[Committed], None]
    _committing: asyncio.Task[None] | None = field(default=None, init=False)
    _outstanding: list[Batch] = field(default_factory=list, init=False)
    """Taken from Kafka, not committed here."""
    _uncommitted: dict[TopicPartition, int] = field(default_factory=dict, init=False)
    """Offsets that Kafka has still to hear of."""
    _assignment: int = field(default=0, init=False)
    _last: int = field(default=0, init=False)
    """Records of the last batch."""
    _retry_at: float | None = field(default=None, init=False)
    _pause: float = field(default=FIRST_PAUSE, init=False)

    async def run(self) -> NoReturn:
        """Take batches until cancelled; one that is being committed is finished first."""
        try:
            while True:
                await self.step()
                self.outages.beat()
        finally:
            await self._end()

    async def step(self) -> None:
        """Take the next batch, if there is one, and begin to commit it; of a backlog, decode it while one commits."""
        self._stand_still()
        if self._last < BACKLOG:
            await self.finished()
            if self._last >= SEVERAL:
                await asyncio.sleep(GATHER_SECONDS)
        with taking():
            taken = await self.consumer.getmany(timeout_ms=WAIT_MILLISECONDS, max_records=BATCH)
        self._last = sum(map(len, taken.values()))
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

        ``position`` is the consumer's own, which is ahead while a batch is under way.
        """
        return min([position, *(one.first[partition] for one in self._outstanding if partition in one.first)])

    async def commit_offsets(self) -> float:
        """Commit our offsets to Kafka; return how many seconds to wait until the next time.

        After a crash whatever was not committed comes as repeats, so not every batch is. aiokafka tries it
        until the broker answers, so one that takes long is not waited for.
        """
        if offsets := dict(self._uncommitted):
            try:
                async with asyncio.timeout(OFFSETS_SECONDS):
                    await self.consumer.commit(offsets)
            except (CommitFailedError, IllegalStateError) as error:  # the partitions are another's by now
                _log.info("offsets not committed", error=type(error).__name__)
            self._uncommitted = dict(self._uncommitted.items() - offsets.items())
        return OFFSETS_EVERY_SECONDS

    async def _end(self) -> None:
        """Let what is being committed come to its end, unless that takes too long; it would come again."""
        if self._committing is not None:
            await asyncio.wait({self._committing}, timeout=FINISH_SECONDS)
            self._committing.cancel()

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Finish what is under way before others get the partitions; what was only taken is theirs to take again.

        It stays outstanding until the new assignment, as the old one's positions are beyond it.
        """
        _log.info("partitions revoked", partitions=len(list(revoked)))
        await self.finished()
        try:
            await self.commit_offsets()
        finally:
            self._assignment += 1

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Begin anew from the committed offsets. A pause belongs to the assignment before, so pause again."""
        _log.info("partitions assigned", partitions=len(list(assigned)))
        self._outstanding.clear()
        self._uncommitted.clear()
        self._stand_still()

    def _decoded(self, taken: Mapping[TopicPartition, list[ConsumerRecord[bytes, bytes]]]) -> Batch:
        records = [record for of_partition in taken.values() for record in of_partition]
        if not self._outstanding:
            self.outages.place = place_of(records[0])
        batch = Batch(
            records=records,
            decoded=self.writer.decode(records),
            first={partition: of_partition[0].offset for partition, of_partition in taken.items()},
            after={partition: of_partition[-1].offset + 1 for partition, of_partition in taken.items()},
            assignment=self._assignment,
        )
        self._outstanding.append(batch)
        return batch

    async def _commit(self, batch: Batch) -> None:
        self.outages.place = place_of(batch.records[0])
        began = asyncio.get_running_loop().time()
        try:
            committed = await self._commit_traced(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing is lost: the batch comes again
            await self._failed(error)
            return
        _BATCH_SECONDS.observe(asyncio.get_running_loop().time() - began)
        BATCH_RECORDS.observe(len(batch.records))
        for (topic, outcome), count in committed.counts.items():
            _RECORDS.labels(topic, outcome).inc(count)
        self._pause = FIRST_PAUSE
        self.outages.over(POSTGRESQL)
        self.outages.over(INGEST)
        if batch in self._outstanding:
            self._outstanding.remove(batch)
            self._uncommitted |= batch.after

    async def _commit_traced(self, batch: Batch) -> Committed:
        """Commit a batch and have its signals sent, as part of the traces that its records say."""
        about: tracing.Attributes = {
            "messaging.system": "kafka",
            "messaging.batch.message_count": len(batch.records),
        }
        causes = tracing.causes_of(record.headers for record in batch.records)
        with tracing.span("ingest", SpanKind.CONSUMER, causes=causes, attributes=about):
            committed = await self.writer.commit(batch.records, batch.decoded)
            self.hand_over(committed)
        return committed

    async def _failed(self, error: Exception) -> None:
        """Have all that is not committed come again, a little later."""
        self._retry_at = asyncio.get_running_loop().time() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        for batch in reversed(self._outstanding):  # so that the first of a partition's offsets counts
            for partition in batch.first.keys() & self.consumer.assignment():
                self.consumer.seek(partition, batch.first[partition])
        self._outstanding.clear()
        self._stand_still()
        away = failure_of(error) is not Failure.STANDING
        if not away:
            _log.error("a batch cannot be committed", exc_info=error)
        await self.outages.goes_on(POSTGRESQL if away else INGEST, error)

    def _stand_still(self) -> None:
        if self._retry_at is None:
            return
        if asyncio.get_running_loop().time() < self._retry_at:
            self.consumer.pause(*self.consumer.assignment())
        else:
            self._retry_at = None
            self.consumer.resume(*self.consumer.paused())
