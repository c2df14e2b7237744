"""Outage report: what ingest waits for, and the event that says so when it lasts, with the place where it stands."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NoReturn

import structlog
from prometheus_client import Counter

from giftcert.clock import Clock, utc_now
from giftcert.contracts.notices import ProcessingFailed, about_input, input_key
from giftcert.storage.database import DATABASE_ERRORS, Database
from giftcert.storage.events import EventRepository
from giftcert.telemetry import Health
from kafka_ingest.records import Place

FAILURES = Counter("giftcert_ingest_failures", "Attempts that failed, by what failed", ["part"])
PATIENCE_SECONDS = 10.0
REPORTED_EVERY = timedelta(minutes=1)
WATCH_SECONDS = 1.0
RETRY_SECONDS = 1.0
STANDSTILL = "ingest stands still"

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class OutageReport:
    """Keeps which parts fail, and since when; the parts of a process share one.

    A failure that lasts is reported on the stream at most once a minute for each part; while PostgreSQL is away, as
    soon as it is back. ``place``: the first record that is not committed, or the last that was.
    """

    database: Database
    health: Health
    place: Place
    clock: Clock = utc_now
    _since: dict[str, float] = field(default_factory=dict, init=False)
    _reported: dict[str, float] = field(default_factory=dict, init=False)
    _unrecorded: dict[str, ProcessingFailed] = field(default_factory=dict, init=False)
    _beat: float = field(default=math.inf, init=False)

    @property
    def parts(self) -> set[str]:
        """The parts that fail now."""
        return set(self._since)

    def over(self, part: str) -> None:
        """Say that a part works."""
        if self._since.pop(part, None) is not None:
            _log.info("works again", part=part)
        self._show()

    async def goes_on(self, part: str, error: BaseException) -> None:
        """Say that a part failed once more."""
        FAILURES.labels(part).inc()
        now = asyncio.get_running_loop().time()
        if part not in self._since:
            self._since[part] = now
            _log.warning("waits", part=part, error=_kind(error))
        self._show()
        lasts = now - self._since[part] >= PATIENCE_SECONDS
        if lasts and now - self._reported.get(part, -math.inf) >= REPORTED_EVERY.total_seconds():
            self._reported[part] = now
            await self._report(part, _kind(error))

    async def repeat(self, part: str, work: Callable[[], Awaitable[float]]) -> NoReturn:
        """Do a part's work for ever; it returns how many seconds to wait, and is tried again soon after a failure."""
        while True:
            try:
                pause = await work()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next round tries again
                await self.goes_on(part, error)
                pause = RETRY_SECONDS
            else:
                self.over(part)
            await asyncio.sleep(pause)

    # Standing still -------------------------------------------------------------------------------

    def beat(self) -> None:
        """Say that the consumer goes on, whatever it does; while it waits for something this stops."""
        self._beat = asyncio.get_running_loop().time()
        self.over(STANDSTILL)

    async def watch(self) -> NoReturn:
        """Report a consumer that hangs, and what could not be recorded when it happened."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if asyncio.get_running_loop().time() - self._beat >= PATIENCE_SECONDS:
                self._since.setdefault(STANDSTILL, self._beat)
                await self.goes_on(STANDSTILL, TimeoutError())
            for part, notice in list(self._unrecorded.items()):
                await self._record(part, notice)

    def _show(self) -> None:
        if self._since:
            self.health.waits_for(", ".join(sorted(self._since)))
        else:
            self.health.ready()

    async def _report(self, part: str, kind: str) -> None:
        topic, partition, offset = self.place
        _log.error("keeps failing", part=part, error=kind, topic=topic, partition=partition, offset=offset)
        reason = part if part == STANDSTILL else f"{part} fails"
        notice = ProcessingFailed(topic=topic, partition=partition, offset=offset, reason=reason, detail=kind)
        await self._record(part, notice)

    async def _record(self, part: str, notice: ProcessingFailed) -> None:
        now = self.clock()
        key = input_key(notice.topic or "", notice.partition or 0)
        try:
            async with self.database.transaction() as connection:
                events = EventRepository(connection)
                await events.append_once(key, about_input(notice, now), now - REPORTED_EVERY)
        except DATABASE_ERRORS as failure:
            _log.warning("an outage could not be recorded", error=_kind(failure))
            self._unrecorded[part] = notice
        else:
            self._unrecorded.pop(part, None)


def _kind(error: BaseException) -> str:
    """Only the kind of an error is told: its text may quote what was read."""
    return type(error).__name__
