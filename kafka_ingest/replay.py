"""Replay and dismissal of quarantined records. A replay is the way they would have gone: decoded, folded, written."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from giftcert.clock import Clock, utc_now
from giftcert.contracts.notices import about_input, input_key
from giftcert.domain.certificate.public_events import OperatorActed
from giftcert.security import SealError
from giftcert.security.keyring import Keyring
from giftcert.storage import ingest_fences
from giftcert.storage.events import EventRepository
from giftcert.storage.quarantine_review import QuarantineReview, StoredRecord
from kafka_ingest.correlation import select
from kafka_ingest.decoder import decode
from kafka_ingest.quarantine import (
    EARLIER_IN_QUARANTINE,
    UNDECODABLE_BATCH,
    Rejection,
    failed,
    open_bytes,
    sealing_context,
)
from kafka_ingest.record_batches import records_in
from kafka_ingest.records import KeptRecord, Place, place_of
from kafka_ingest.transaction import Committed, IngestRules, ingest
from kafka_ingest.writer import RACES, TRANSACTION_SECONDS, Failure, failure_of


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
    written_at = record.written_at or stored.quarantined_at
    return KeptRecord(
        *record.place,
        key=open_bytes(record.sealed_key, context, keyring),
        value=open_bytes(record.sealed_value, context, keyring),
        timestamp=round(written_at.timestamp() * 1000),
    )


def read_now(record: KeptRecord, rules: IngestRules) -> str | Rejection:
    """Return in a few words what a record is by today's decoders, nothing personal; or why it is still bad."""
    batch = decode([record], rules.topics, rules.record_limit)
    selection = select(
        batch, batch.order_ids, rules.topics
    )  # as if its order named a certificate: decoded whole
    if selection.rejections:
        return selection.rejections[0]
    for _, order in selection.orders:
        return f"{order.event_type} of order {order.order_id}, version {order.order_version}"
    for _, payment in selection.payments:
        return f"{payment.event_type} of order {payment.order_id}, payment {payment.payment_id}"
    for _, client in selection.clients:
        return f"{client.event_type} of client {client.client_id}"
    return "a message of a type that we do not know, to be skipped"


class Replay:
    """Replays or dismisses records one by one, each in a transaction of its own, in the name of somebody.

    What certificates have to decide is committed with the record; the sweep of a running ingest signals them.
    """

    def __init__(self, engine: AsyncEngine, rules: IngestRules, who: str, clock: Clock = utc_now) -> None:
        self._engine = engine
        self._rules = rules
        self._who = who
        self._clock = clock

    async def replay(self, place: Place) -> list[Replayed]:
        """Replay what lies at a place, and with it the later records of its order that wait for it.

        Where a topic was made anew, several records may lie at one place.

        Returns:
            What came of each; nothing if there is no such record, or it is closed.

        Raises:
            SealError: it was sealed by another keyring; nothing has changed.
            Exception: PostgreSQL is away, or refuses for a reason that is not the record's; nothing has changed.
        """
        lying = await self._lying_at(place)
        return [outcome for one in lying for outcome in await self._record(one, place)]

    async def dismiss(self, place: Place, why: str) -> int:
        """Close what lies at a place without applying it: it holds back nothing any more; return how many records."""
        lying = await self._lying_at(place)
        async with self._engine.begin() as connection:
            for one in lying:
                await QuarantineReview(connection).close(one, "dismissed", self._clock())
                await self._record_act(connection, place, f"quarantine dismiss {_position(place)}: {why}")
        return len(lying)

    async def _lying_at(self, place: Place) -> Sequence[int]:
        async with self._engine.connect() as connection:
            return await QuarantineReview(connection).lying_at(place)

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
            records = [opened(one, self._rules.keyring) for one in taken]
            batch = decode(
                [part for one, kept in zip(taken, records, strict=True) for part in _parts(one, kept)],
                self._rules.topics,
                self._rules.record_limit,
            )
            committed = await ingest(connection, batch, self._rules, self._clock(), replaying=True)
            outcomes = [_replayed(one, committed, alone=len(records) == 1) for one in records]
            noted = [
                (one.quarantine_id, outcome)
                for one, outcome in zip(taken, outcomes, strict=True)
                if outcome.is_applied or one.quarantine_id == record  # others wait as before
            ]
            for one, outcome in noted:
                await self._note(connection, one, outcome)
            return [outcome for _, outcome in noted]

    async def _taken(
        self, connection: AsyncConnection, record: int, *, with_followers: bool
    ) -> list[StoredRecord]:
        """Lock the record and those that wait for it: folded together, the order's word comes before its money."""
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
        """Close the record, or say why it stays; and record who replayed it."""
        review = QuarantineReview(connection)
        if replayed.reason is None:
            await review.close(record, "replayed", self._clock())
        else:
            await review.restate(record, replayed.reason, replayed.detail or "")
        what = f"quarantine replay {_position(replayed.place)}: {replayed.reason or replayed.outcome}"
        await self._record_act(connection, replayed.place, what)

    async def _record_act(self, connection: AsyncConnection, place: Place, what: str) -> None:
        event = about_input(OperatorActed(who=self._who, what=what), self._clock())
        await EventRepository(connection).append_keyed(input_key(*place[:2]), [event])


def _parts(stored: StoredRecord, record: KeptRecord) -> list[KeptRecord]:
    """Return the records of what may stand for a whole batch, each at its own place; one that still fails as it is."""
    if stored.record.reason != UNDECODABLE_BATCH or record.value is None:
        return [record]
    try:
        found = records_in(record.value)
    except Exception:  # noqa: BLE001 - as when it came
        return [record]
    return [
        replace(record, offset=one.offset, key=one.key, value=one.value, timestamp=one.timestamp)
        for one in found
    ]


def _position(place: Place) -> str:
    return "/".join(map(str, place))


def _replayed(record: KeptRecord, committed: Committed, *, alone: bool) -> Replayed:
    place = place_of(record)
    rejection = next((one for one in committed.rejections if place_of(one.source) == place), None)
    if rejection is not None:
        return Replayed(place, "rejected", rejection.notice.reason, rejection.notice.detail)
    counted = (
        outcome for (topic, outcome), count in committed.counts.items() if topic == record.topic and count
    )
    return Replayed(place, next(counted, "read") if alone else "read")
