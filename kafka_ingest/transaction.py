"""One transaction per batch: look up, correlate, write. A record that spoils it is found and quarantined."""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from giftcert.security.keyring import Keyring
from giftcert.storage import ingest_fences
from giftcert.storage.deliveries import UnsentDelivery
from giftcert.storage.orders import OrderRepository
from giftcert.storage.quarantine import QuarantineRepository
from kafka_ingest.correlation import correlate
from kafka_ingest.failures import Failure, failure_of
from kafka_ingest.lookups import look_up
from kafka_ingest.reading import Reading, read
from kafka_ingest.rejection import Rejection, failed, order_of
from kafka_ingest.selection import Selection, select
from kafka_ingest.source import SourceRecord, partitions_of
from kafka_ingest.topics import Topics
from kafka_ingest.writing import keep_unmatched, quarantine, write

TRANSACTION_SECONDS = 60
"""After this the connection is taken for lost; a batch needs well under a second."""
RACES = 5
"""How often a batch that met another process is tried again before a record is suspected."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Committed:
    """What came of a batch: deliveries to send, in order; whether orders were newly mapped; outcomes by topic."""

    unsent: list[UnsentDelivery] = field(default_factory=list)
    mapped: bool = False
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    rejections: list[Rejection] = field(default_factory=list)

    def add(self, other: "Committed") -> None:
        """Take in what came of a later part of the batch."""
        self.unsent += other.unsent
        self.mapped = self.mapped or other.mapped
        self.counts += other.counts
        self.rejections += other.rejections


class BatchWriter:
    """Commits batches on one process's connections."""

    def __init__(self, engine: AsyncEngine, topics: Topics, keyring: Keyring) -> None:
        self._engine = engine
        self._topics = topics
        self._keyring = keyring

    def read(self, records: Sequence[SourceRecord]) -> Reading:
        """Read a batch; nothing is looked up yet."""
        return read(records, self._topics)

    async def commit(self, records: Sequence[SourceRecord], reading: Reading) -> Committed:
        """Commit a batch in one transaction; records that make it fail for their own sake go to quarantine.

        Args:
            records: the batch.
            reading: the same, read.

        Raises:
            Exception: PostgreSQL is away, or refuses for a reason that is none of the records'; nothing is lost,
                the batch has to come again.
        """
        error = await self._attempts(records, reading)
        if isinstance(error, Committed):
            return error
        if failure_of(error) in {Failure.AWAY, Failure.STANDING}:
            raise error
        if len(records) == 1:
            return await self._isolate(records[0], error)
        return await self._by_halves(records)

    async def _attempts(self, records: Sequence[SourceRecord], reading: Reading) -> Committed | Exception:
        """Return what came of the batch, or why it cannot be committed; after a race it is tried again."""
        for attempt in range(RACES):
            try:
                return await self._transaction(records, reading)
            except Exception as error:  # noqa: BLE001 - a record may fail in any way; the caller judges
                if failure_of(error) is not Failure.RACE or attempt == RACES - 1:
                    return error
        raise AssertionError("unreachable: the last attempt returns")

    async def _by_halves(self, records: Sequence[SourceRecord]) -> Committed:
        middle = len(records) // 2
        committed = Committed()
        for half in (records[:middle], records[middle:]):
            committed.add(await self.commit(half, self.read(half)))
        return committed

    async def _isolate(self, record: SourceRecord, error: Exception) -> Committed:
        _log.error(
            "a record cannot be applied",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            error=type(error).__name__,
        )
        async with asyncio.timeout(TRANSACTION_SECONDS), self._engine.begin() as connection:
            await ingest_fences.enter(connection, partitions_of([record]))
            await quarantine(connection, [failed(record, error, self._order_of(record))], self._keyring)
        return Committed(counts=Counter({(record.topic, "failed"): 1}))

    def _order_of(self, record: SourceRecord) -> str | None:
        return order_of(record) if record.topic == self._topics.orders else None

    async def _transaction(self, records: Sequence[SourceRecord], reading: Reading) -> Committed:
        async with asyncio.timeout(TRANSACTION_SECONDS), self._engine.begin() as connection:
            await ingest_fences.enter(connection, partitions_of(records))
            return await ingest(connection, reading, self._topics, self._keyring)


async def ingest(
    connection: AsyncConnection,
    reading: Reading,
    topics: Topics,
    keyring: Keyring,
    *,
    replaying: bool = False,
) -> Committed:
    """Look up, correlate and write a batch in a transaction that has been entered; see ``ingest_fences.enter``."""
    orders = await OrderRepository(connection).lock_known(reading.order_ids) if reading.order_ids else {}
    selection = select(reading, orders, topics, await _held_up(connection, reading, orders))
    counts = reading.counts + _plain_counts(reading, selection, topics)
    if selection.is_plain:
        if selection.unmatched:
            await keep_unmatched(connection, selection.unmatched)
        if selection.rejections:
            await quarantine(connection, selection.rejections, keyring)
        return Committed(counts=counts, rejections=selection.rejections)
    waited, known = await look_up(connection, selection, orders)
    plan = correlate(selection, waited, known, topics, replaying=replaying)
    unsent = await write(connection, plan, keyring)
    mapped = any(order.order_id not in orders for order in plan.orders)
    return Committed(unsent, mapped, counts + plan.counts, plan.rejections)


async def _held_up(connection: AsyncConnection, reading: Reading, orders: Collection[str]) -> dict[str, int]:
    """Look up which orders, of those that nothing is known of, have a message in quarantine."""
    unknown = {order_id for order_id in reading.goods if order_id not in orders}
    return await QuarantineRepository(connection).held_up(unknown) if unknown else {}


def _plain_counts(reading: Reading, selection: Selection, topics: Topics) -> Counter[tuple[str, str]]:
    rejected_orders = len(selection.rejections) - len(reading.rejections)
    counts = Counter(
        {
            (topics.orders, "goods"): len(reading.orders) - len(selection.orders) - rejected_orders,
            (topics.payments, "unmatched"): len(selection.unmatched),
        }
    )
    counts.update((one.source.topic, "rejected") for one in selection.rejections)
    return +counts
