"""Writes batches, one transaction each: after a race again; a record that spoils its batch is found and quarantined."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeVar

import asyncpg
import structlog

from giftcert.clock import Clock, utc_now
from giftcert.storage import ingest_fences
from giftcert.storage.database import DATABASE_ERRORS, Connection, Database, is_database_away
from giftcert.storage.quarantine import NamedThings, Place
from kafka_ingest.decoder import DecodedBatch, decode
from kafka_ingest.quarantine import Rejection, failed, quarantine
from kafka_ingest.records import InputRecord, partitions_of, place_of
from kafka_ingest.transaction import BatchTransaction, Committed, IngestRules

TRANSACTION_SECONDS = 60
"""After this the connection is taken for lost; a batch needs well under a second."""
RACES = 5
"""How often a batch that met another process is tried again before a record is suspected."""
SLOW_ATTEMPTS = 5
"""How often a single record may run into a time-out before it counts as one that spoils its transaction."""
_log = structlog.get_logger(__name__)
T = TypeVar("T")


@dataclass(slots=True)
class BatchWriter:
    """Commits batches on one process's connections."""

    database: Database
    rules: IngestRules
    clock: Clock = utc_now
    _slow: Counter[Place] = field(default_factory=Counter, init=False)

    def decode(self, records: Sequence[InputRecord]) -> DecodedBatch:
        """Decode a batch as far as filtering needs; nothing is looked up yet."""
        return decode(records, self.rules.topics, self.rules.record_limit)

    async def commit(self, records: Sequence[InputRecord], batch: DecodedBatch) -> Committed:
        """Commit a batch in one transaction; records that make it fail for their own sake go to quarantine.

        Raises:
            Exception: PostgreSQL is away, or refuses for a reason that is none of the records'; the batch has to come
                again.
        """

        async def write() -> Committed:
            async with entered(self.database, partitions_of(records)) as connection:
                return await BatchTransaction(connection, self.rules, self.clock()).ingest(batch)

        try:
            return await outlasting_races(write)
        except Exception as error:
            failure = failure_of(error)
            if failure in {Failure.AWAY, Failure.STANDING}:
                raise
            if len(records) == 1:
                if failure is not Failure.RECORD and not self._is_slow_again(records[0]):
                    raise
                return await self._isolate(records[0], error)
        return await self._by_halves(records)

    async def _by_halves(self, records: Sequence[InputRecord]) -> Committed:
        middle = len(records) // 2
        committed = Committed()
        for half in (records[:middle], records[middle:]):
            committed.add(await self.commit(half, self.decode(half)))
        return committed

    def _is_slow_again(self, record: InputRecord) -> bool:
        """Whether a record has run into time-outs and locks so often that nobody else is to blame."""
        place = place_of(record)
        self._slow[place] += 1
        if self._slow[place] < SLOW_ATTEMPTS:
            return False
        del self._slow[place]
        return True

    async def _isolate(self, record: InputRecord, error: Exception) -> Committed:
        """Quarantine a record that spoils its transaction; where even its bytes cannot be kept, its place alone."""
        topic, partition, offset = place_of(record)
        kind = type(error).__name__
        _log.error("a record cannot be applied", topic=topic, partition=partition, offset=offset, error=kind)
        try:
            await self._quarantine(failed(record, error))
        except Exception as failure:
            if failure_of(failure) is not Failure.RECORD:
                raise
            bare = InputRecord(topic, partition, offset, key=None, value=None)
            await self._quarantine(failed(bare, error, NamedThings(searchable=False)))
        return Committed(counts=Counter({(topic, "failed"): 1}))

    async def _quarantine(self, rejection: Rejection) -> None:
        rules, partitions = self.rules, partitions_of([rejection.source])
        async with entered(self.database, partitions) as connection:
            await quarantine(connection, [rejection], rules.topics, rules.keyring, self.clock())


@asynccontextmanager
async def entered(database: Database, partitions: set[tuple[str, int]]) -> AsyncIterator[Connection]:
    """Begin a transaction that ingests records of these partitions; see ``ingest_fences.enter``."""
    async with asyncio.timeout(TRANSACTION_SECONDS), database.transaction() as connection:
        await ingest_fences.enter(connection, partitions)
        yield connection


def _is_of_another_day(error: asyncpg.PostgresError) -> bool:
    """Whether a row was on its way to the default partition when its day got one of its own.

    The constraint of a partition has no name; those of tables have one.
    """
    return isinstance(error, asyncpg.CheckViolationError) and error.constraint_name is None


async def outlasting_races(transaction: Callable[[], Awaitable[T]]) -> T:
    """Return what came of a transaction; after a race with another one it is tried again."""
    for _ in range(RACES - 1):
        try:
            return await transaction()
        except Exception as error:
            if failure_of(error) is not Failure.RACE:
                raise
    return await transaction()


# SQLSTATE classes: 22 bad data, 23 a constraint, 54 too large for the database.
_RECORD_CLASSES = ("22", "23", "54")
_RACES = ("40", "55P03", "23505")
"""Serialisation failure, deadlock, lock not available; a unique key that another transaction took meanwhile."""


class Failure(Enum):
    """What a failed transaction means for its batch."""

    AWAY = "away"
    RACE = "race"
    RECORD = "record"
    SLOW = "slow"
    STANDING = "standing"


def failure_of(error: Exception) -> Failure:
    """Return whether to wait, to try again, to look for the record that is to blame, or to wait for a person.

    A time-out, or a lock that nobody lets go, may be another's fault: a record is suspected of it only in the end.
    """
    if isinstance(error, asyncpg.QueryCanceledError | asyncpg.IdleInTransactionSessionTimeoutError):
        return Failure.SLOW
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        if state.startswith(_RACES) or _is_of_another_day(error):
            return Failure.RACE
        if state.startswith(_RECORD_CLASSES):
            return Failure.RECORD
    elif isinstance(error, ValueError) or not isinstance(error, DATABASE_ERRORS):
        # asyncpg's refusal to encode a value is a ValueError, and an InterfaceError too.
        return Failure.RECORD
    return Failure.AWAY if is_database_away(error) else Failure.STANDING
