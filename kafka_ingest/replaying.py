"""Replays records from quarantine the way they would have gone: read, correlated, written in one transaction."""

import asyncio
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from giftcert.clock import utc_now
from giftcert.contracts.notices import about_input, input_key
from giftcert.domain.events import OperatorActed
from giftcert.security import Keyring, SealError
from giftcert.storage import ingest_fences
from giftcert.storage.events import EventRepository
from giftcert.storage.quarantine_review import QuarantineReview, StoredRecord
from kafka_ingest.failures import Failure, failure_of
from kafka_ingest.reading import read
from kafka_ingest.rejection import EARLIER_IN_QUARANTINE, failed
from kafka_ingest.source import KeptRecord, Place, place_of
from kafka_ingest.topics import Topics
from kafka_ingest.transaction import RACES, TRANSACTION_SECONDS, Committed, ingest
from kafka_ingest.writing import sealing_context


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of a record: its outcome as ingest counts it, ``read`` with others; or why it is still bad."""

    place: Place
    outcome: str
    reason: str | None = None
    detail: str | None = None

    @property
    def is_applied(self) -> bool:
        """Whether the record is done with."""
        return self.reason is None


def opened(stored: StoredRecord, keyring: Keyring) -> KeptRecord:
    """Return a quarantined record as it stood in its topic.

    Raises:
        SealError: it was sealed by another keyring.
    """
    record = stored.record
    context = sealing_context(*record.place)

    def bytes_of(sealed: bytes | None) -> bytes | None:
        return None if sealed is None else keyring.open(sealed, context).encode("latin-1")

    written_at = record.written_at or stored.quarantined_at
    return KeptRecord(
        *record.place,
        key=bytes_of(record.sealed_key),
        value=bytes_of(record.sealed_value),
        timestamp=round(written_at.timestamp() * 1000),
    )


class Replay:
    """Replays records one by one, each in a transaction of its own, in the name of somebody.

    What the certificates are to be told is committed with the record; the sweep of a running ingest sends it.
    """

    def __init__(self, engine: AsyncEngine, topics: Topics, keyring: Keyring, who: str) -> None:
        self._engine = engine
        self._topics = topics
        self._keyring = keyring
        self._who = who

    async def one(self, place: Place) -> list[Replayed]:
        """Replay what lies at a place, and with it the later records of its order that wait for it.

        Where a topic was made anew, several records may lie at one place.

        Returns:
            What came of each; nothing if there is no such record, or it was replayed before.

        Raises:
            SealError: it was sealed by another keyring; nothing has changed.
            Exception: PostgreSQL is away, or refuses for a reason that is not the record's; nothing has changed.
        """
        async with self._engine.connect() as connection:
            lying = await QuarantineReview(connection).lying_at(place)
        return [told for one in lying for told in await self._record(one, place)]

    async def _record(self, record: int, place: Place) -> list[Replayed]:
        error = await self._attempts(record, place, with_followers=True)
        if isinstance(error, Exception):  # perhaps one of those that wait spoils it
            error = await self._attempts(record, place, with_followers=False)
        return await self._still_fails(record, place, error) if isinstance(error, Exception) else error

    async def _attempts(
        self, record: int, place: Place, *, with_followers: bool
    ) -> list[Replayed] | Exception:
        """Return what came of the record, or what is wrong with it; after a race it is tried again."""
        for attempt in range(RACES):
            try:
                return await self._transaction(record, place, with_followers=with_followers)
            except SealError:
                raise
            except Exception as error:
                failure = failure_of(error)
                if failure is Failure.RECORD:
                    return error
                if failure is not Failure.RACE or attempt == RACES - 1:
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _transaction(self, record: int, place: Place, *, with_followers: bool) -> list[Replayed]:
        async with asyncio.timeout(TRANSACTION_SECONDS), self._engine.begin() as connection:
            await ingest_fences.enter(connection, {place[:2]})
            taken = await self._taken(connection, record, with_followers=with_followers)
            if not taken:
                return []
            records = [opened(one, self._keyring) for one in taken]
            reading = read(records, self._topics)
            committed = await ingest(connection, reading, self._topics, self._keyring, replaying=True)
            outcomes = [_replayed(one, committed, alone=len(records) == 1) for one in records]
            told = [
                (one.quarantine_id, outcome)
                for one, outcome in zip(taken, outcomes, strict=True)
                if outcome.is_applied or one.quarantine_id == record  # others wait as before
            ]
            for one, outcome in told:
                await self._note(connection, one, outcome)
            return [outcome for _, outcome in told]

    async def _taken(
        self, connection: AsyncConnection, record: int, *, with_followers: bool
    ) -> list[StoredRecord]:
        """Lock the record and those that wait for it: told together, the order's word comes before its money."""
        review = QuarantineReview(connection)
        stored = await review.lock(record)
        if stored is None:
            return []
        followers = await review.followers_of(record, EARLIER_IN_QUARANTINE) if with_followers else []
        waiting = [await review.lock(one) for one in followers]
        return [one for one in (stored, *waiting) if one is not None]

    async def _still_fails(self, record: int, place: Place, error: Exception) -> list[Replayed]:
        """The record spoils its transaction, as it did when it came."""
        rejection = failed(KeptRecord(*place, key=None, value=None), error)
        replayed = Replayed(place, "failed", rejection.notice.reason, rejection.notice.detail)
        async with self._engine.begin() as connection:
            await self._note(connection, record, replayed)
        return [replayed]

    async def _note(self, connection: AsyncConnection, record: int, replayed: Replayed) -> None:
        """Mark the record, or say why it stays; and tell the stream who replayed it."""
        review = QuarantineReview(connection)
        if replayed.reason is None:
            await review.mark_replayed(record)
        else:
            await review.restate(record, replayed.reason, replayed.detail or "")
        topic, partition, offset = replayed.place
        what = f"quarantine replay {topic}/{partition}/{offset}: {replayed.reason or replayed.outcome}"
        event = about_input(OperatorActed(who=self._who, what=what), utc_now())
        await EventRepository(connection).append_keyed(input_key(topic, partition), [event])


def _replayed(record: KeptRecord, committed: Committed, *, alone: bool) -> Replayed:
    place = place_of(record)
    rejection = next((one for one in committed.rejections if place_of(one.source) == place), None)
    if rejection is not None:
        return Replayed(place, "rejected", rejection.notice.reason, rejection.notice.detail)
    counted = (
        outcome for (topic, outcome), count in committed.counts.items() if topic == record.topic and count
    )
    return Replayed(place, next(counted, "read") if alone else "read")
