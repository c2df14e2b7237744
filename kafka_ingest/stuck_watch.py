"""Stuck watch: finds workflows whose tasks fail again and again, and has them published as `alert.workflowStuck`.

Ingest does it, and no workflow: a build whose workflows fail could not say so. Temporal lists the runs whose workflow
tasks fail; of activities it does not, so it is asked about certificates that are overdue although they were signalled.
However many workflows there are, only those are asked about.
"""

from dataclasses import dataclass, field

import structlog
from prometheus_client import Gauge

from giftcert.clock import Clock, utc_now
from giftcert.health import Health
from giftcert.plurals import counted
from giftcert.settings import Settings
from giftcert.storage.database import Database
from giftcert.storage.sweep import SweepRepository
from giftcert.temporal.runs import CertificateRuns, StuckRun
from giftcert.temporal.workflow_starts import workflow_id
from giftcert.verification.alerts import report_stuck

NOTE = "stuckWorkflows"
PART = "watch for stuck workflows"
EVERY_SECONDS = 20.0
LOOKED_AT = 50
FURTHER_ATTEMPTS = 2
"""So many more must fail while PostgreSQL serves us: what failed while a server was away is tried again soon."""

_STUCK = Gauge("giftcert_stuck_workflows", "Workflows whose tasks fail again and again")
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class StuckWatch:
    """Any number of processes may watch; one alert comes of it."""

    database: Database
    settings: Settings
    runs: CertificateRuns
    health: Health
    clock: Clock = utc_now
    _first_seen: dict[str, int] = field(default_factory=dict, init=False)

    async def work(self) -> float:
        """Look once; return how many seconds to wait until the next look."""
        stuck = {one.run_id: one for one in [*await self._overdue(), *await self.runs.stuck()]}
        _STUCK.set(len(stuck))
        self.health.notes.pop(NOTE, None)
        if stuck:
            self.health.notes[NOTE] = f"{counted(len(stuck), 'workflow')}: see giftcert status"
        new = await report_stuck(self.database, self.settings, list(stuck.values()), self.clock())
        if new:
            _log.error("workflows are stuck: see giftcert status", stuck=len(stuck), new=new)
        return EVERY_SECONDS

    async def _overdue(self) -> list[StuckRun]:
        async with self.database.connection() as connection:
            default_channel = self.settings.channels[0]
            stalled = await SweepRepository(connection).stalled(self.clock(), LOOKED_AT, default_channel)
        overdue = [one.wake.certificate_id for one in stalled]
        failing = [(one, task) for one in overdue if (task := await self.runs.failing(one)) is not None]
        self._first_seen = {
            task.run_id: self._first_seen.get(task.run_id, task.attempt) for _, task in failing
        }
        return [
            StuckRun(workflow_id(one), task.run_id, (f"{task.task} failed {task.attempt - 1} times",))
            for one, task in failing
            if task.attempt >= self._first_seen[task.run_id] + FURTHER_ATTEMPTS
        ]
