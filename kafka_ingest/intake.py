"""The intake: takes batches from Kafka, has them committed, then commits their offsets."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from kafka_ingest import metrics
from kafka_ingest.failures import Failure, failure_of
from kafka_ingest.reading import Reading
from kafka_ingest.transaction import BatchWriter, Committed
from kafka_ingest.trouble import Trouble

BATCH = 8_000
"""Records of one batch at most: a fifth of a second of work, so that the process goes on answering meanwhile."""
WAIT_MILLISECONDS = 200
COMMIT_SECONDS = 5.0
FINISH_SECONDS = 3.0
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
POSTGRESQL, KAFKA, INGEST = "PostgreSQL", "Kafka", "ingest"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Records as taken and read, with the first offset of each partition and the one after its last."""

    records: list[ConsumerRecord[bytes, bytes]]
    reading: Reading
    first: dict[TopicPartition, int]
    after: dict[TopicPartition, int]
    assignment: int
    """Counts the assignments of partitions; what was only read under an earlier one is read again."""


class Intake:
    """Consumes with one consumer: while a batch is being committed, the next is read.

    When PostgreSQL is away all partitions pause at the first record that is not committed; the consumer goes on
    being asked, so that it stays a member of its group.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        writer: BatchWriter,
        trouble: Trouble,
        hand_over: Callable[[Committed], None],
    ) -> None:
        self._consumer = consumer
        self._writer = writer
        self._trouble = trouble
        self._hand_over = hand_over
        self._committing: asyncio.Task[None] | None = None
        self._outstanding: list[Batch] = []  # taken from Kafka, not committed here
        self._telling: set[asyncio.Task[None]] = set()  # Kafka is being told how far we are
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
        finally:
            await self._end()

    async def step(self) -> None:
        """Take the next batch, if there is one, and begin to commit it as soon as the one before is committed."""
        self._stand_still()
        taken = await self._consumer.getmany(timeout_ms=WAIT_MILLISECONDS, max_records=BATCH)
        if not taken:
            return
        batch = self._read(taken)
        await self.finished()
        if batch in self._outstanding and batch.assignment == self._assignment:  # else it comes again
            self._committing = asyncio.create_task(self._commit(batch))

    async def finished(self) -> None:
        """Wait until nothing is being committed."""
        while (task := self._committing) is not None:
            await asyncio.shield(task)
            if self._committing is task:
                self._committing = None

    async def _end(self) -> None:
        """Let what is being committed come to its end, unless that takes too long; it would come again."""
        under_way = {task for task in (self._committing, *self._telling) if task is not None}
        if under_way:
            await asyncio.wait(under_way, timeout=FINISH_SECONDS)
        for task in under_way:
            task.cancel()

    def reached(self, partition: TopicPartition, position: int) -> int:
        """Return the offset below which everything of a partition is committed in PostgreSQL.

        Args:
            partition: an assigned partition.
            position: the consumer's own position, which is ahead while a batch is under way.
        """
        return min([position, *(one.first[partition] for one in self._outstanding if partition in one.first)])

    # Rebalances -----------------------------------------------------------------------------------

    async def revoked(self) -> None:
        """Finish what is under way before others get the partitions; what was only read is theirs to read again.

        It stays outstanding until the new assignment, as the old one's positions are beyond it.
        """
        await self.finished()
        self._assignment += 1

    def assigned(self) -> None:
        """Begin anew from the committed offsets. A pause belongs to the assignment before, so pause again."""
        self._outstanding.clear()
        self._stand_still()

    # Batches --------------------------------------------------------------------------------------

    def _read(self, taken: Mapping[TopicPartition, list[ConsumerRecord[bytes, bytes]]]) -> Batch:
        records = [record for of_partition in taken.values() for record in of_partition]
        batch = Batch(
            records=records,
            reading=self._writer.read(records),
            first={partition: of_partition[0].offset for partition, of_partition in taken.items()},
            after={partition: of_partition[-1].offset + 1 for partition, of_partition in taken.items()},
            assignment=self._assignment,
        )
        self._outstanding.append(batch)
        return batch

    async def _commit(self, batch: Batch) -> None:
        """Commit a batch, hand its deliveries over, then commit its offsets."""
        began = asyncio.get_running_loop().time()
        try:
            committed = await self._writer.commit(batch.records, batch.reading)
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
        self._trouble.over(POSTGRESQL)
        self._trouble.over(INGEST)
        if batch in self._outstanding:
            self._outstanding.remove(batch)
            await self._commit_offsets(batch.after)

    async def _commit_offsets(self, offsets: dict[TopicPartition, int]) -> None:
        """Tell Kafka how far we are. If that fails, the records come again one day and are known as repeats.

        aiokafka repeats it until the broker answers, so one that takes long is not waited for.
        """
        telling = asyncio.create_task(self._tell_kafka(offsets))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)
        await asyncio.wait({telling}, timeout=COMMIT_SECONDS)
        if not telling.done():
            await self._trouble.goes_on(KAFKA, TimeoutError())

    async def _tell_kafka(self, offsets: dict[TopicPartition, int]) -> None:
        try:
            await self._consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError) as error:  # the partitions are another's by now
            _log.info("offsets not committed", error=type(error).__name__)
        except KafkaError as error:
            await self._trouble.goes_on(KAFKA, error)
        else:
            self._trouble.over(KAFKA)

    # PostgreSQL away ------------------------------------------------------------------------------

    async def _failed(self, error: Exception) -> None:
        """Stand still at the first record of each partition that is not committed; try again a little later."""
        self._retry_at = asyncio.get_running_loop().time() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._give_back()
        self._stand_still()
        away = failure_of(error) is Failure.AWAY
        if not away:
            _log.error("a batch cannot be committed", exc_info=error)
        await self._trouble.goes_on(POSTGRESQL if away else INGEST, error)

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
