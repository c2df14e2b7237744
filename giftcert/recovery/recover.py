"""One recovery from beginning to end. Each step may be repeated: one that was cut short is begun again, and goes on.

The order is what makes it right: inputs first, so that lines stand as they do now; then what the stream has and the
database lacks; then certificates follow these events; only then they decide, and only what nobody decided before.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import msgspec
from aiokafka import ConsumerRecord
from temporalio.client import Client

from giftcert.clock import utc_now
from giftcert.contracts.stream import StoredEvent, decode_event
from giftcert.dispatch.comparison import compare, topic_id
from giftcert.dispatch.stream_guard import EVERY_SECONDS
from giftcert.kafka_connection import connection_options
from giftcert.lifecycle.change import Lifecycle
from giftcert.plurals import counted
from giftcert.recovery.inputs import read_inputs
from giftcert.recovery.rebuild import Rebuilding
from giftcert.storage.database import Database
from giftcert.storage.events import EventRepository
from giftcert.storage.product_snapshots import SnapshotRepository
from giftcert.storage.recovery import RebuildRepository, RecoverySession, recovery_session
from giftcert.storage.stream_comparison import Reason, StreamComparisonRepository
from giftcert.temporal.signals import Signal, Wake
from giftcert.temporal.workflow_starts import signal_certificate
from giftcert.verification.repair import Repair, in_parallel, wake_all
from giftcert.verification.stream import read_stream
from giftcert.verification.verify import Progress, Sources
from kafka_ingest.transaction import IngestRules
from kafka_ingest.writer import BatchWriter

ORDERS_AT_ONCE = 1_000
ROUNDS = 20
"""How often certificates may make each other pending; a few rounds settle all."""
_LOCK = "SELECT pg_try_advisory_lock(7310597)"


class RecoveryError(Exception):
    """The recovery cannot be carried out; the message says in one line what to do."""


@dataclass(slots=True)
class Recovered:
    """What a recovery did, a line each, and what a person has to look at."""

    done: list[str] = field(default_factory=list)
    for_people: list[str] = field(default_factory=list)

    def did(self, count: int, noun: str, what: str) -> None:
        """Enter what was done, if it was."""
        if count:
            self.done.append(f"{counted(count, noun)} {what}")


@dataclass(slots=True)
class Recovery:
    """Recovers on one process's connections; ``who`` is the person who has it done."""

    sources: Sources
    client: Client
    lifecycle: Lifecycle
    progress: Progress
    who: str
    recovered: Recovered = field(default_factory=Recovered)
    _ends: dict[int, int] = field(default_factory=dict, init=False)

    @property
    def _database(self) -> Database:
        return self.sources.database

    async def run(self) -> Recovered:
        """Bring database and stream together again, if they are not.

        Raises:
            RecoveryError: something has to be done first.
            KafkaError, KafkaException, RPCError, PostgresError, OSError: a server does not answer; run it again then.
        """
        async with self._database.connection() as connection:
            if not await connection.fetchval(_LOCK):
                raise RecoveryError("another giftcert recover runs")
            try:
                if await self._is_needed():
                    await self._recover()
            finally:
                await connection.execute("SELECT pg_advisory_unlock(7310597)")
        return self.recovered

    async def _is_needed(self) -> bool:
        """Compare, and have all processes stand still where database and stream do not belong together."""
        settings = self.sources.settings
        async with self._database.connection() as connection:
            repository = StreamComparisonRepository(connection)
            state = await repository.state()
            if state.reason is Reason.RECOVERING:  # one that was cut short
                return True
            mismatch = await compare(settings, connection, state)
            if mismatch is None:
                return False
            self.recovered.done.append(f"found: {mismatch.detail}")
            await repository.stands_still(
                Reason.RECOVERING, f"{self.who} recovers: {mismatch.detail}", recovery=True
            )
        await asyncio.sleep(
            2 * EVERY_SECONDS
        )  # by then every process has looked, and lends no connection any more
        return True

    async def _recover(self) -> None:
        settings, policy = self.sources.settings, self.lifecycle.policy
        try:
            new_id = await topic_id(settings, settings.topic_stream)
        except LookupError:
            raise RecoveryError(
                f"there is no topic {settings.topic_stream}: `giftcert setup` makes it, then recover"
            ) from None
        await self._read_inputs()
        async with recovery_session(self._database) as session:
            await self._read_stream(session)
            forked = await session.block_forked()
            rebuilding = Rebuilding(self._database, policy, utc_now())
            behind = await session.behind()
            await in_parallel("certificates rebuilt", behind, rebuilding.rebuild, self.progress)
            self.recovered.did(len(behind) - len(rebuilding.gaps), "certificate", "rebuilt")
            await self._hold_lines(rebuilding.orders)
            decided = await self._decide(session, behind)
            await self._count_snapshots(session)
            lacking = await session.publish_what_it_lacks()
            self.recovered.did(lacking, "event", "that the stream lacks put into the outbox again")
            self._list_for_people(forked, rebuilding.gaps, await session.unknown_certificates())
        await self._belong_together(new_id)
        await self._start_workflows(sorted(decided))

    async def _read_inputs(self) -> None:
        settings = self.sources.settings
        writer = BatchWriter(self._database, IngestRules.of(settings, self.sources.keyring))
        read = await read_inputs(
            settings, self._database, writer, lambda done, total: self.progress("inputs", done, total)
        )
        self.recovered.did(read.records, "record", "of orders, payments and clients read again")
        self.recovered.for_people += [
            f"{one} of what came after the copy are not in Kafka any more: ask their sender for them"
            for one in read.missing
        ]

    async def _read_stream(self, session: RecoverySession) -> None:
        """Record every event of the stream that is not recorded."""
        done = recorded = 0

        async def take(records: Sequence[ConsumerRecord], total: int) -> None:
            nonlocal done, recorded
            recorded += await session.arrive([event for record in records if (event := _event(record))])
            for record in records:
                self._ends[record.partition] = max(self._ends.get(record.partition, 0), record.offset + 1)
            done += len(records)
            self.progress("stream", done, total)

        settings = self.sources.settings
        await read_stream(connection_options(settings), settings.topic_stream, take)
        self.recovered.did(recorded, "event", "of the stream recorded")

    async def _hold_lines(self, order_ids: set[str]) -> None:
        """Have lines held by who has them, and all whom they concern decide once more."""
        orders, channel = sorted(order_ids), self.sources.settings.channels[0]
        for start in range(0, len(orders), ORDERS_AT_ONCE):
            async with self._database.transaction() as connection:
                repository, some = RebuildRepository(connection), orders[start : start + ORDERS_AT_ONCE]
                await repository.hold_lines(some)
                await repository.decide_again(some, channel)

    async def _decide(self, session: RecoverySession, rebuilt: Sequence[str]) -> set[str]:
        """Let certificates decide: those that were rebuilt, and whoever has something pending; return who did."""
        decided = set[str]()

        async def decide(certificate_id: str) -> None:
            await self.lifecycle.advance(certificate_id, utc_now())
            decided.add(certificate_id)

        waiting = rebuilt
        for _ in range(ROUNDS):
            waiting = sorted({*waiting, *await session.undecided()})
            if not waiting:
                break
            await in_parallel("certificates decided", waiting, decide, self.progress)
            waiting = ()
        return decided

    async def _count_snapshots(self, session: RecoverySession) -> None:
        """Go on behind the last snapshot that was published, else one instant would have two."""
        last = await session.last_snapshot()
        if last is not None:
            async with self._database.transaction() as connection:
                await SnapshotRepository(connection).count_anew(last)

    async def _belong_together(self, new_id: str | None) -> None:
        """Say on the stream what was done, and let the service go on."""
        settings = self.sources.settings
        async with self._database.transaction() as connection:
            what = f"recover: {'; '.join(self.recovered.done) or 'nothing was missing'}"
            await EventRepository(connection).append_act(
                settings.general_stream_key, self.who, what, utc_now()
            )
            repository = StreamComparisonRepository(connection)
            await repository.forget_positions()
            await repository.published(self._ends)
            life = (await repository.state()).life
            if not await repository.belongs(settings.topic_stream, new_id, life, recovered=True):
                raise RecoveryError("PostgreSQL was started anew meanwhile: run giftcert recover again")

    async def _start_workflows(self, certificate_ids: Sequence[str]) -> None:
        """Wake, or start, the workflows of all that wait for something; verification names those that still miss."""
        async with self._database.connection() as connection:
            rows = await RebuildRepository(connection).led_among(certificate_ids)
        default = self.sources.settings.channels[0]
        common = {"signal": Signal.REQUEST_DECIDED, "cause": "recover"}
        wakes = [Wake(**{**common, **row, "channel": row["channel"] or default}) for row in rows]
        repaired, send = Repair(), _sending(self.client)
        await wake_all(send, wakes, self.progress, repaired)
        self.recovered.did(len(wakes) - repaired.left, "workflow", "woken, or started where none ran")

    def _list_for_people(self, forked: Sequence[str], gaps: Sequence[str], unknown: dict[str, int]) -> None:
        people = self.recovered.for_people
        people += [
            f"certificate {one} is blocked: database and stream have different events under one number"
            for one in forked
        ]
        people += [f"certificate {one}: the stream lacks one of its events, so it was left" for one in gaps]
        people += [
            f"{counted(count, 'certificate')} of {product} came into the pool after the copy was made: number and CVC "
            "are lost; buyers need others"
            for product, count in unknown.items()
        ]


def _sending(client: Client) -> Callable[[Wake], Awaitable[object]]:
    return lambda wake: signal_certificate(client, wake)


def _event(record: ConsumerRecord) -> StoredEvent | None:
    """Return the event of a record; what is none of ours stays for ``verify`` to name."""
    try:
        return decode_event(record.key, record.value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
