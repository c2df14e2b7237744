"""Replay and dismissal of quarantined records. A replay is the way they would have gone: decoded, folded, written."""

from dataclasses import dataclass, replace
from functools import partial

from giftcert.clock import Clock, utc_now
from giftcert.contracts.inputs import MalformedRecord
from giftcert.contracts.notices import input_key
from giftcert.security.data_keys import Purpose, SealError
from giftcert.storage.data_keys import DataKeyRepository
from giftcert.storage.database import Connection, Database
from giftcert.storage.events import EventRepository
from giftcert.storage.quarantine import Place, QuarantineRepository, StoredRecord, owner_at
from kafka_ingest.decoder import decode, decode_whole
from kafka_ingest.quarantine import (
    EARLIER_IN_QUARANTINE,
    UNDECODABLE_BATCH,
    Rejection,
    failed,
    malformed,
)
from kafka_ingest.records import InputRecord, place_of
from kafka_ingest.transaction import BatchTransaction, Committed, IngestRules
from kafka_ingest.undecodable_batches import records_in
from kafka_ingest.writer import Failure, entered, failure_of, outlasting_races


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


class _ForeseenError(Exception):
    """Rolls back a replay that was only to be foreseen."""

    def __init__(self, outcomes: list[Replayed]) -> None:
        super().__init__()
        self.outcomes = outcomes


async def opened(stored: StoredRecord, keys: DataKeyRepository) -> InputRecord:
    """Return a quarantined record as it stood in its topic; a ``SealError`` says that it was another keyring's."""
    written_at, owner = stored.written_at or stored.quarantined_at, owner_at(stored.place)
    key, value = [
        None if sealed is None else await keys.open(sealed, purpose, owner)
        for sealed, purpose in (
            (stored.sealed_key, Purpose.QUARANTINED_KEY),
            (stored.sealed_value, Purpose.QUARANTINED_VALUE),
        )
    ]
    return InputRecord(*stored.place, key=key, value=value, timestamp=round(written_at.timestamp() * 1000))


def read_now(record: InputRecord, rules: IngestRules) -> str | Rejection:
    """Return in a few words what a record is by today's decoders, nothing personal; or why it is still bad."""
    batch = decode([record], rules.topics, rules.record_limit)
    if batch.rejections:
        return batch.rejections[0]
    for _, _, decoded in batch.orders:
        try:
            order = decoded or decode_whole(record, rules.topics)
        except MalformedRecord as error:
            return malformed(record, error.reason, error.detail)
        return f"{order.event_type} of order {order.order_id}, version {order.order_version}"
    for _, payment in batch.payments:
        return f"{payment.event_type} of order {payment.order_id}, payment {payment.payment_id}"
    for _, client in batch.clients:
        return f"{client.event_type} of client {client.client_id}"
    return "a message of a type that we do not know, to be skipped"


@dataclass(frozen=True, slots=True)
class Replay:
    """Replays or dismisses records one by one, each in a transaction of its own, in the name of somebody.

    What certificates have to decide is committed with the record; the sweep of a running ingest signals them.
    """

    database: Database
    rules: IngestRules
    who: str
    clock: Clock = utc_now

    async def replay(self, place: Place) -> list[Replayed]:
        """Replay what lies at a place, with the later records of its order that wait for it; return what came of each.

        Where a topic was made anew, several records may lie at one place.

        Raises:
            SealError: it was sealed by another keyring; nothing has changed.
            Exception: PostgreSQL is away, or refuses for a reason that is not the record's; nothing has changed.
        """
        async with self.database.connection() as connection:
            lying = await QuarantineRepository(connection).lying_at(place)
        return [outcome for one in lying for outcome in await self._replay(one, place)]

    async def foresee(self, place: Place) -> list[Replayed]:
        """Return what a replay would come to now: it is carried out, and rolled back. Raises as `replay` does."""
        async with self.database.connection() as connection:
            lying = await QuarantineRepository(connection).lying_at(place)
        return [outcome for one in lying for outcome in await self._foresee(one, place)]

    async def _foresee(self, record: int, place: Place) -> list[Replayed]:
        try:
            await outlasting_races(partial(self._transaction, record, place, with_followers=True, keep=False))
        except _ForeseenError as foreseen:
            return foreseen.outcomes
        except Exception as error:
            if isinstance(error, SealError) or failure_of(error) is not Failure.RECORD:
                raise
            rejection = failed(InputRecord(*place, key=None, value=None), error)
            return [Replayed(place, "failed", rejection.reason, rejection.detail)]
        return []

    async def dismiss(self, place: Place, why: str) -> int:
        """Close what lies at a place without applying it: it holds back nothing any more; return how many records."""
        async with self.database.transaction() as connection:
            repository = QuarantineRepository(connection)
            lying = await repository.lying_at(place)
            for one in lying:
                await repository.close(one, "dismissed", self.clock())
                await self.record_act(connection, place, f"quarantine dismiss {_position(place)}: {why}")
        return len(lying)

    async def _replay(self, record: int, place: Place, *, with_followers: bool = True) -> list[Replayed]:
        try:
            return await outlasting_races(
                partial(self._transaction, record, place, with_followers=with_followers)
            )
        except Exception as error:
            if isinstance(error, SealError) or failure_of(error) is not Failure.RECORD:
                raise
            rejection = failed(InputRecord(*place, key=None, value=None), error)
        if with_followers:  # perhaps one of them spoils it
            return await self._replay(record, place, with_followers=False)
        # The record spoils its transaction, as it did when it came.
        replayed = Replayed(place, "failed", rejection.reason, rejection.detail)
        async with self.database.transaction() as connection:
            await self._note(connection, record, replayed)
        return [replayed]

    async def _transaction(
        self, record: int, place: Place, *, with_followers: bool, keep: bool = True
    ) -> list[Replayed]:
        async with entered(self.database, {place[:2]}) as connection:
            taken = await self._taken(connection, record, with_followers=with_followers)
            parts = [part for one, kept in taken for part in _parts(one, kept, self.rules.record_limit)]
            batch = decode(parts, self.rules.topics, self.rules.record_limit)
            transaction = BatchTransaction(connection, self.rules, self.clock(), replaying=True)
            committed = await transaction.ingest(batch)
            noted = []
            for one, kept in taken:
                outcome = _replayed(kept, committed, alone=len(taken) == 1)
                if outcome.is_applied or one.quarantine_id == record:  # others wait as before
                    await self._note(connection, one.quarantine_id, outcome)
                    noted.append(outcome)
            if not keep:
                raise _ForeseenError(noted)
            return noted

    async def _taken(
        self, connection: Connection, record: int, *, with_followers: bool
    ) -> list[tuple[StoredRecord, InputRecord]]:
        """Lock the record and those that wait for it: folded together, the order's word comes before its money."""
        repository = QuarantineRepository(connection)
        stored = await repository.lock(record)
        if stored is None:
            return []
        followers = await repository.followers_of(record, EARLIER_IN_QUARANTINE) if with_followers else []
        waiting = [await repository.lock(one) for one in followers]
        keys = DataKeyRepository(connection, self.rules.keyring)
        return [(one, await opened(one, keys)) for one in (stored, *waiting) if one is not None]

    async def _note(self, connection: Connection, record: int, replayed: Replayed) -> None:
        repository = QuarantineRepository(connection)
        if replayed.reason is None:
            await repository.close(record, "replayed", self.clock())
        else:
            await repository.restate(record, replayed.reason, replayed.detail or "")
        what = f"quarantine replay {_position(replayed.place)}: {replayed.reason or replayed.outcome}"
        await self.record_act(connection, replayed.place, what)

    async def record_act(self, connection: Connection, place: Place, what: str) -> None:
        """Record what somebody does with a record, in the transaction in which it is done."""
        await EventRepository(connection).append_act(input_key(*place[:2]), self.who, what, self.clock())


def _parts(stored: StoredRecord, record: InputRecord, record_limit: int) -> list[InputRecord]:
    """Return the records of what may stand for a whole batch, each at its own place; one that still fails as it is."""
    if stored.reason != UNDECODABLE_BATCH or record.value is None:
        return [record]
    try:
        found = records_in(record.value, record_limit)
    except Exception:  # noqa: BLE001 - as when it came
        return [record]
    return [
        replace(record, offset=one.offset, key=one.key, value=one.value, timestamp=one.timestamp)
        for one in found
    ]


def _position(place: Place) -> str:
    return "/".join(map(str, place))


def _replayed(record: InputRecord, committed: Committed, *, alone: bool) -> Replayed:
    place = place_of(record)
    rejection = next((one for one in committed.rejections if place_of(one.source) == place), None)
    if rejection is not None:
        return Replayed(place, "rejected", rejection.reason, rejection.detail)
    counted = (outcome for topic, outcome in +committed.counts if topic == record.topic)
    return Replayed(place, next(counted, "read") if alone else "read")
