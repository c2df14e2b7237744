"""Overdue work: whatever waits longer than its bound becomes an alert, metrics and a line of ``giftcert status``.

Looked for where no worker of a channel is needed, as its absence is just what may be found.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from prometheus_client import Gauge
from temporalio.client import Client
from temporalio.service import RPCError

from giftcert.clock import Clock, utc_now
from giftcert.contracts.notices import OverdueWorkReason, WorkOverdue, about_input
from giftcert.settings import Settings
from giftcert.storage.database import Database
from giftcert.storage.events import EventRepository
from giftcert.storage.overdue_work import OverdueWorkRepository
from giftcert.temporal.task_queues import QueueState, queue_states

EVERY_SECONDS = 10.0
PART = "watch for overdue work"

AGE = Gauge(
    "giftcert_oldest_work_seconds", "How long what waits longest has waited; 0 if nothing waits", ["work"]
)
OVERDUE = Gauge("giftcert_work_overdue", "1 while this kind of work waits longer than its bound", ["work"])
BACKLOG = Gauge("giftcert_task_queue_backlog", "Tasks that wait on a task queue, about", ["task_queue"])
BACKLOG_AGE = Gauge("giftcert_task_queue_backlog_seconds", "Age of the oldest of them", ["task_queue"])
POLLERS = Gauge("giftcert_task_queue_pollers", "Pollers that have polled a task queue lately", ["task_queue"])
_log = structlog.get_logger(__name__)
_QUEUES = OverdueWorkReason.QUEUE_WITHOUT_WORKER


@dataclass(frozen=True, slots=True)
class Waiting:
    """The oldest work of a kind, and whether it has waited longer than it may; ``count`` where it is known."""

    reason: OverdueWorkReason
    since: datetime
    overdue: bool
    subject: str | None = None
    count: int | None = None

    @property
    def key(self) -> str:
        """What tells one alert from another."""
        return f"{self.reason} {self.subject or ''}".strip()


@dataclass(frozen=True, slots=True)
class Look:
    """What a look found; ``queues`` is ``None`` where Temporal did not say."""

    waiting: Sequence[Waiting]
    queues: Sequence[QueueState] | None

    @property
    def overdue(self) -> list[Waiting]:
        """What waits longer than it may."""
        return [one for one in self.waiting if one.overdue]


async def look(database: Database, client: Client | None, settings: Settings, now: datetime) -> Look:
    """Look once at all that waits; raises ``DATABASE_ERRORS``. Temporal may be away."""
    async with database.connection() as connection:
        work = OverdueWorkRepository(connection)
        oldest = {
            OverdueWorkReason.PENDING_WORK: await work.oldest_pending(),
            OverdueWorkReason.UNPUBLISHED_EVENT: await work.oldest_unpublished(),
            OverdueWorkReason.PASSED_DEADLINE: await work.oldest_due(now),
            OverdueWorkReason.UNDECIDED_REFUND: await work.oldest_undecided_refund(),
        }
    queues = await _queues(client, settings, now)
    found = [
        Waiting(reason, since, now - since > bound_of(reason, settings))
        for reason, since in oldest.items()
        if since is not None
    ]
    found += [
        Waiting(
            _QUEUES, one.waits_since, now - one.waits_since > settings.overdue_after, one.name, one.backlog
        )
        for one in queues or ()
        if one.lacks_worker and one.waits_since is not None
    ]
    return Look(found, queues)


def bound_of(reason: OverdueWorkReason, settings: Settings) -> timedelta:
    """Return how long work of a kind may wait."""
    is_refund = reason is OverdueWorkReason.UNDECIDED_REFUND
    return settings.refund_overdue_after if is_refund else settings.overdue_after


async def _queues(client: Client | None, settings: Settings, now: datetime) -> Sequence[QueueState] | None:
    if client is None:
        return None
    try:
        return await queue_states(client, settings.channels, now)
    except (RPCError, RuntimeError):
        return None


@dataclass(slots=True)
class OverdueWatch:
    """Looks again and again; of any number of processes that do so, one records each alert."""

    database: Database
    client: Client
    settings: Settings
    clock: Clock = utc_now

    async def work(self) -> float:
        """Look once; return how many seconds to wait until the next look."""
        now = self.clock()
        found = await look(self.database, self.client, self.settings, now)
        _measure(found, now)
        for one in found.overdue:
            await self._report(one, now)
        await self._report_over(found, now)
        return EVERY_SECONDS

    async def _report(self, one: Waiting, now: datetime) -> None:
        async with self.database.transaction() as connection:
            work = OverdueWorkRepository(connection)
            if await work.note(one.key, now, self.settings.overdue_alert_every):
                alert = WorkOverdue(
                    reason=one.reason, subject=one.subject, count=one.count, since=one.since, over=False
                )
                key = self.settings.general_stream_key
                await EventRepository(connection).append_keyed(key, [about_input(alert, now)])
                _log.error(
                    "work is overdue", reason=one.reason.value, subject=one.subject, since=str(one.since)
                )

    async def _report_over(self, found: Look, now: datetime) -> None:
        overdue = {one.key for one in found.overdue}
        async with self.database.connection() as connection:
            known = await OverdueWorkRepository(connection).known()
        for key in sorted(known - overdue):
            reason, _, subject = key.partition(" ")
            if reason == _QUEUES and found.queues is None:
                continue  # Temporal does not say
            async with self.database.transaction() as connection:
                if await OverdueWorkRepository(connection).forget(key):
                    alert = WorkOverdue(
                        reason=OverdueWorkReason(reason),
                        subject=subject or None,
                        count=None,
                        since=None,
                        over=True,
                    )
                    stream_key = self.settings.general_stream_key
                    await EventRepository(connection).append_keyed(stream_key, [about_input(alert, now)])
                    _log.info("work is overdue no more", reason=reason, subject=subject or None)


def _measure(found: Look, now: datetime) -> None:
    for reason in OverdueWorkReason:
        of_kind = [one for one in found.waiting if one.reason is reason]
        if reason is _QUEUES and found.queues is None:
            continue
        AGE.labels(reason).set(max(((now - one.since).total_seconds() for one in of_kind), default=0))
        OVERDUE.labels(reason).set(any(one.overdue for one in of_kind))
    for queue in found.queues or ():
        BACKLOG.labels(queue.name).set(queue.backlog)
        BACKLOG_AGE.labels(queue.name).set(
            (now - queue.waits_since).total_seconds() if queue.waits_since else 0
        )
        POLLERS.labels(queue.name).set(queue.pollers)
