"""Sweeper: signals whatever nobody looks at: lost signals, ended runs, instants that have no timer."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from prometheus_client import Gauge

from giftcert.clock import Clock, utc_now
from giftcert.contracts.notices import Component, FailureReason, ProcessingFailed, about_certificate
from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.database import Database
from giftcert.storage.events import EventRepository
from giftcert.storage.sweep import Neglected, SweepRepository
from giftcert.temporal.runs import CertificateRuns
from giftcert.temporal.signals import Wake
from kafka_ingest.outages import IngestOutages
from kafka_ingest.signaller import TEMPORAL

EVERY_SECONDS = 1.0
WINDOW = 500
AT_ONCE = 16
BOUNDS_EVERY = timedelta(seconds=30)
ENDED_EVERY, ENDED_WITHIN = timedelta(seconds=20), timedelta(minutes=5)
STALLED_EVERY, STALLED_AT_ONCE = timedelta(seconds=15), 20
PART = "sweep"

_PENDING = Gauge("giftcert_ingest_pending", "Rows of work that waits for a certificate to decide on it")
_log = structlog.get_logger(__name__)
Send = Callable[[Wake], Awaitable[bool]]
"""Signals, and says whether no run was known, so that one was started."""


@dataclass(slots=True)
class Sweeper:
    """Looks for what waits too long, and signals it; any number of processes may do so at the same time."""

    database: Database
    send: Send
    runs: CertificateRuns
    outages: IngestOutages
    default_channel: str
    clock: Clock = utc_now
    _bounds_raised: datetime = field(init=False)
    _asked_for_ended: datetime = field(init=False)
    _asked_for_stalled: datetime = field(init=False)
    _ended: set[str] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        self._bounds_raised = self._asked_for_ended = self.clock() - ENDED_EVERY
        self._asked_for_stalled = self.clock()

    async def work(self) -> float:
        """Look once; return how many seconds to wait until the next look."""
        if TEMPORAL not in self.outages.parts:
            await self.round()
        return EVERY_SECONDS

    async def round(self) -> int:
        """Signal all that nobody looks at; return how many signals were sent."""
        now, sent, more = self.clock(), 0, True
        while more:
            async with self.database.transaction() as connection:
                repository = SweepRepository(connection)
                pending = await repository.claim_pending(now, WINDOW, self.default_channel)
                due = await repository.claim_due(now, WINDOW, self.default_channel)
                _PENDING.set(await repository.count_pending())
                if now - self._bounds_raised >= BOUNDS_EVERY:
                    await repository.raise_bounds(now)
                    self._bounds_raised = now
            await self._signal([*pending, *due])
            sent += len(pending) + len(due)
            more = max(len(pending), len(due)) == WINDOW
        if now - self._asked_for_ended >= ENDED_EVERY:
            sent += await self._restart_ended(now)
            self._asked_for_ended = now
        if now - self._asked_for_stalled >= STALLED_EVERY:
            sent += await self._restart_stalled(now)
            self._asked_for_stalled = now
        return sent

    async def _restart_stalled(self, now: datetime) -> int:
        """Start the runs again that no signal moves, as Temporal has lost the task that they wait for."""
        async with self.database.transaction() as connection:
            stalled = await SweepRepository(connection).stalled(now, STALLED_AT_ONCE, self.default_channel)
        lost = [one for one in stalled if await self.runs.has_lost_its_task(one.wake.certificate_id, now)]
        for one in lost:
            await self.runs.end(one.wake.certificate_id, "its task was lost; another run goes on")
            await self.send(one.wake)
            await self._report_missing(one.wake, "the task of its workflow was lost; another run was started")
        return len(lost)

    async def _restart_ended(self, now: datetime) -> int:
        """Start the runs again that were terminated or failed although their certificate has something to wait for."""
        ended = await self.runs.ended_since(now - ENDED_WITHIN)
        new = {certificate_id for certificate_id, run_id in ended if run_id not in self._ended}
        if new:
            async with self.database.transaction() as connection:
                led = await SweepRepository(connection).led_among(sorted(new), self.default_channel)
            await self._signal(led)
        self._ended = {run_id for _, run_id in ended}
        return len(new)

    async def _signal(self, neglected: list[Neglected]) -> None:
        """Send a few at a time; what cannot be sent is given back."""
        slots = asyncio.Semaphore(AT_ONCE)

        async def send(one: Neglected) -> bool:
            async with slots:
                return await self.send(one.wake)

        results = await asyncio.gather(*map(send, neglected), return_exceptions=True)
        outcomes = list(zip(neglected, results, strict=True))
        errors = {
            one.wake.certificate_id: error for one, error in outcomes if isinstance(error, BaseException)
        }
        if errors:
            async with self.database.transaction() as connection:
                await SweepRepository(connection).give_back(list(errors))
        for one, started in outcomes:
            if started is True and one.had_run:
                await self._report_missing(one.wake)
        for error in errors.values():
            raise error

    async def _report_missing(
        self, wake: Wake, detail: str = "no workflow led this certificate; it was started again"
    ) -> None:
        _log.warning("a workflow was missing", certificate_id=wake.certificate_id, detail=detail)
        notice = ProcessingFailed(
            reason=FailureReason.WORKFLOW_MISSING,
            detail=detail,
            component=Component.WORKFLOW,
        )
        async with self.database.transaction() as connection:
            stored = await CertificateRepository(connection).load(wake.certificate_id)
            record = about_certificate(notice, stored.state, self.clock(), wake.channel)
            await EventRepository(connection).append(wake.certificate_id, [record])
