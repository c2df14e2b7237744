"""Leads certificates through their deliveries as the workflow does, on the real activities, without Temporal.

The clock is held, so that two runs of the same messages may be compared whole.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.certificates import CertificateActivities
from activities.transition import Loaded, Outcome, Transition, TransitionAnswer
from giftcert.contracts.codec import decode_message
from giftcert.domain.messages import LineHolder, OrderStated
from giftcert.domain.state import CertificateState
from giftcert.settings import Settings
from workflows.plan import Plan, Received, make_plan, names_line

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
_WAITING = """
    SELECT delivery_id, certificate_id::text, message FROM deliveries WHERE sent_at IS NULL ORDER BY delivery_id
"""
_SENT = "UPDATE deliveries SET sent_at = clock_timestamp() WHERE delivery_id = ANY(:ids)"
_RESERVE = """
    WITH pair AS (
        SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:reservations AS uuid[])) AS pair (id, reservation)
    ), made AS (
        INSERT INTO reservations (reservation_id, certificate_id, channel, reserved_by, reserved_at, reserved_until)
        SELECT reservation, id, :channel, 'shop', :now, :until FROM pair
    )
    UPDATE certificates SET status = 'reserved', reservation_id = reservation, reservation_channel = :channel,
        reserved_at = :now, reserved_until = :until, reservation_ended = false, version = 1
    FROM pair WHERE certificate_id = id
"""


async def reserve(
    engine: AsyncEngine, certificate_id: str, channel: str = "im", reservation_id: str | None = None
) -> str:
    """Reserve a certificate of the pool; return the reservation's id."""
    reservation_id = reservation_id or str(uuid4())
    await reserve_all(engine, {certificate_id: reservation_id}, channel)
    return reservation_id


async def reserve_all(engine: AsyncEngine, reservations: Mapping[str, str], channel: str = "im") -> None:
    """Reserve certificates of the pool under these reservations."""
    values = {
        "ids": list(reservations),
        "reservations": list(reservations.values()),
        "channel": channel,
        "now": NOON,
        "until": NOON + timedelta(minutes=30),
    }
    async with engine.begin() as connection:
        await connection.execute(text(_RESERVE), values)


@dataclass
class Run:
    """What a certificate's workflow keeps between its transitions."""

    stored: Loaded
    new_id: Callable[[], str]
    remembered: list[Received] = field(default_factory=list)
    held_back: list[Received] = field(default_factory=list)


def counting_ids() -> Callable[[], str]:
    numbers: Iterator[int] = iter(range(1, 10_000))
    return lambda: f"id-{next(numbers)}"


@dataclass
class Leading:
    """Workflows of all certificates that have something to hear."""

    engine: AsyncEngine
    clock: datetime = NOON
    runs: dict[str, Run] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.activities = CertificateActivities(self.engine, Settings(_env_file=None))

    async def lead(self) -> None:
        """Tell all certificates all that waits; who finds its line held is asked again once others have gone on."""
        for certificate_id, received in (await self._waiting()).items():
            await self._apply(certificate_id, received)
        for _ in self.runs:
            for certificate_id, run in self.runs.items():
                again, run.held_back = run.held_back, []
                await self._apply(certificate_id, again)

    async def state(self, certificate_id: str) -> CertificateState:
        """The state as the workflow knows it."""
        run = self.runs.get(certificate_id)
        if run is not None and run.remembered:
            return make_plan(run.stored.state, run.remembered, run.stored.terms, run.new_id).state
        return (await self.activities.load_certificate(certificate_id)).state

    async def _waiting(self) -> dict[str, list[Received]]:
        async with self.engine.begin() as connection:
            rows = (await connection.execute(text(_WAITING))).all()
            await connection.execute(text(_SENT), {"ids": [row[0] for row in rows]})
        waiting: dict[str, list[Received]] = {}
        for _, certificate_id, message in rows:
            waiting.setdefault(certificate_id, []).append(Received(decode_message(message), self.clock))
        return waiting

    async def _run(self, certificate_id: str) -> Run:
        if certificate_id not in self.runs:
            stored = await self.activities.load_certificate(certificate_id)
            self.runs[certificate_id] = Run(stored, counting_ids())
        return self.runs[certificate_id]

    async def _apply(self, certificate_id: str, batch: list[Received]) -> None:
        if not batch:
            return
        run = await self._run(certificate_id)
        while batch:
            received = (*run.remembered, *batch)
            plan = make_plan(run.stored.state, received, run.stored.terms, run.new_id)
            if plan.may_wait:
                run.remembered += batch
                return
            answer = await self.activities.apply_transition(self._transition(run, plan, received))
            batch = self._go_on(run, plan, answer, batch)

    def _transition(self, run: Run, plan: Plan, received: tuple[Received, ...]) -> Transition:
        return Transition(
            certificate_id=run.stored.state.certificate_id,
            expected_version=run.stored.version,
            keys=tuple(one.message.key for one in received),
            events=plan.events,
            state=plan.state,
            at=self.clock,
        )

    def _go_on(self, run: Run, plan: Plan, answer: TransitionAnswer, batch: list[Received]) -> list[Received]:
        match answer.outcome:
            case Outcome.APPLIED:
                run.stored = replace(run.stored, state=plan.state, version=answer.version)
                run.remembered = []
                return []
            case Outcome.ALREADY_APPLIED | Outcome.STALE:
                assert answer.current is not None
                run.stored = answer.current
                left = [*run.remembered, *batch]
                run.remembered = []
                return [one for one in left if one.message.key not in answer.applied_keys]
            case Outcome.LINE_HELD if answer.holder == LineHolder.ISSUED:
                return [_told_of_holder(one) for one in batch]
            case Outcome.LINE_HELD:
                naming = [one for one in batch if names_line(one.message)] or batch
                run.held_back += naming
                return [one for one in batch if one not in naming]
        raise AssertionError(answer.outcome)


def _told_of_holder(received: Received) -> Received:
    message = received.message
    if isinstance(message, OrderStated) and message.own is not None:
        return replace(received, message=replace(message, line_holder=LineHolder.ISSUED))
    return received


async def told(engine: AsyncEngine, certificate_id: str) -> list[tuple[str, dict[str, Any]]]:
    """The public events of a certificate, as (type, payload), in sequence."""
    statement = "SELECT event_type, payload FROM events WHERE certificate_id = :id ORDER BY sequence"
    async with engine.connect() as connection:
        rows = await connection.execute(text(statement), {"id": certificate_id})
        return [(row.event_type, row.payload) for row in rows]
