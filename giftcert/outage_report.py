"""Outage report: what a process waits for, and the event that says so when it lasts."""

import asyncio
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

import structlog
from prometheus_client import Counter

from giftcert.clock import Clock, utc_now
from giftcert.contracts.notices import ProcessingFailed, about_input, input_key
from giftcert.health import Health
from giftcert.storage.database import DATABASE_ERRORS, Database
from giftcert.storage.events import EventRepository

PATIENCE_SECONDS = 10.0
REPORTED_EVERY = timedelta(minutes=1)
_log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class OutageReport(ABC):
    """Keeps which parts of a process fail, and since when; all of them share one.

    A failure that lasts is reported on the stream at most once a minute for each part, by all processes together.
    """

    failures: ClassVar[Counter]
    database: Database
    health: Health
    clock: Clock = utc_now
    _since: dict[str, float] = field(default_factory=dict, init=False)
    _failures: dict[str, int] = field(default_factory=dict, init=False)
    _reported: dict[str, float] = field(default_factory=dict, init=False)
    _unrecorded: dict[str, ProcessingFailed] = field(default_factory=dict, init=False)

    @abstractmethod
    def notice(self, part: str, kind: str) -> ProcessingFailed:
        """Return the event about a part that fails; ``kind`` is all that may be published of the error."""

    @property
    def parts(self) -> set[str]:
        """The parts that fail now."""
        return set(self._since)

    def over(self, part: str) -> None:
        """Say that a part works."""
        since = self._since.pop(part, None)
        if since is not None:
            lasted = round(asyncio.get_running_loop().time() - since, 1)
            _log.info("works again", part=part, seconds=lasted, failures=self._failures.pop(part, 0))
        self.health.goes_on(part)
        self.health.ready()

    async def goes_on(self, part: str, error: BaseException) -> None:
        """Say that a part failed once more."""
        kind = type(error).__name__  # its text may quote what was read
        self.failures.labels(part).inc()
        self._failures[part] = self._failures.get(part, 0) + 1
        now = asyncio.get_running_loop().time()
        if part not in self._since:
            self._since[part] = now
            _log.warning("waits", part=part, error=kind)
        self.health.stands_still(part, f"it fails: {kind}")
        self.health.ready()
        lasts = now - self._since[part] >= PATIENCE_SECONDS
        if lasts and now - self._reported.get(part, -math.inf) >= REPORTED_EVERY.total_seconds():
            self._reported[part] = now
            _log.error("keeps failing", part=part, error=kind, failures=self._failures[part])
            self._unrecorded[part] = self.notice(part, kind)
            await self.record()

    async def record(self) -> None:
        """Record what is to be reported; while PostgreSQL is away it stays."""
        now = self.clock()
        for part, notice in list(self._unrecorded.items()):
            key = notice.topic or ""
            if notice.partition is not None:
                key = input_key(key, notice.partition)
            try:
                async with self.database.transaction() as connection:
                    events = EventRepository(connection)
                    await events.append_once(key, about_input(notice, now), now - REPORTED_EVERY)
            except DATABASE_ERRORS as failure:
                _log.warning("an outage could not be recorded", error=type(failure).__name__)
                return
            self._unrecorded.pop(part, None)
