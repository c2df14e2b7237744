"""Outages of ingest: what it waits for, and a consumer that hangs or fails again and again, with the place."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import ClassVar, NoReturn

from prometheus_client import Counter

from giftcert import outage_report, overdue_work
from giftcert.contracts.notices import FailureReason, ProcessingFailed
from giftcert.health import LONGEST_SILENCE
from giftcert.outage_report import OutageReport
from giftcert.storage.quarantine import Place
from kafka_ingest.cancellation import raise_if_cancelled

WATCH_SECONDS, RETRY_SECONDS = 1.0, 1.0
HEALTHY_SECONDS = 60.0
"""A new consumer that has gone on for so long counts as one that works."""
STANDSTILL, STUCK = "ingest stands still", "a partition stands still"
RESTARTS = "the consumer is made anew again and again"
_REASONS = {
    STANDSTILL: FailureReason.INGEST_STANDS_STILL,
    STUCK: FailureReason.PARTITION_STANDS_STILL,
    RESTARTS: FailureReason.CONSUMER_RESTARTS,
    "PostgreSQL": FailureReason.POSTGRESQL_FAILS,
    "Kafka": FailureReason.KAFKA_FAILS,
    "Temporal": FailureReason.TEMPORAL_FAILS,
    "ingest": FailureReason.INGEST_FAILS,
    "a signal": FailureReason.SIGNAL_FAILS,
    "marking of signals": FailureReason.SIGNAL_MARKING_FAILS,
    "sweep": FailureReason.SWEEP_FAILS,
    "watch for stuck workflows": FailureReason.STUCK_WATCH_FAILS,
    "late-match recheck": FailureReason.RECHECK_FAILS,
    overdue_work.PART: FailureReason.WATCH_FAILS,
    "watermarks": FailureReason.WATERMARKS_FAIL,
    "days of payments and originals": FailureReason.DAYS_FAIL,
}
"""The parts by the names that log and metrics give them; each has a reason of its own, as events differ by reason."""


@dataclass(slots=True, kw_only=True)
class IngestOutages(OutageReport):
    """``place``: the first record that is not committed, or the last that was."""

    failures: ClassVar = Counter("giftcert_ingest_failures", "Attempts that failed, by what failed", ["part"])
    place: Place
    _beat: float = field(default=math.inf, init=False)
    _restarted_at: float = field(default=-math.inf, init=False)
    _waiting: dict[Place, float] = field(default_factory=dict, init=False)

    def notice(self, part: str, kind: str) -> ProcessingFailed:
        """Say where ingest stands."""
        topic, partition, offset = self.place
        reason = _REASONS.get(part, FailureReason.PART_FAILS)
        detail = kind if part in _REASONS else f"{part}: {kind}"
        return ProcessingFailed(topic=topic, partition=partition, offset=offset, reason=reason, detail=detail)

    async def repeat(self, part: str, work: Callable[[], Awaitable[float]]) -> NoReturn:
        """Do a part's work for ever; it returns how many seconds to wait, and is tried again soon after a failure."""
        while True:
            self.health.beat(part)
            try:
                pause = await work()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next round tries again
                await self.goes_on(part, error)
                pause = RETRY_SECONDS
            else:
                self.over(part)
            raise_if_cancelled()
            self.health.beat(part, within=pause + LONGEST_SILENCE)
            await asyncio.sleep(pause)

    def beat(self) -> None:
        """Say that the consumer goes on, whatever it does; while it waits for something this stops."""
        self._beat = asyncio.get_running_loop().time()
        self.health.beat("consumer")
        self.over(STANDSTILL)

    async def restarts(self, error: BaseException) -> None:
        """Say that the consumer failed and is made anew, whether it did some work before or not."""
        self._restarted_at = asyncio.get_running_loop().time()
        self.health.beat("consumer")
        await self.goes_on(RESTARTS, error)

    def wait_at(self, places: Iterable[Place]) -> None:
        """Say where partitions wait that have more to be read; all others have been read."""
        now = asyncio.get_running_loop().time()
        self._waiting = {place: self._waiting.get(place, now) for place in places}

    async def watch(self) -> NoReturn:
        """Report a consumer that hangs, a partition that stands still, and what could not be recorded before."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            now = asyncio.get_running_loop().time()
            if now - self._restarted_at >= HEALTHY_SECONDS:
                self.over(RESTARTS)
            if now - self._beat >= outage_report.PATIENCE_SECONDS:
                await self._stands_still(STANDSTILL, self._beat)
            await self._look_for_stuck(now)
            await self.record()

    async def _look_for_stuck(self, now: float) -> None:
        """Report the partition that waits longest at one record; others may go on meanwhile."""
        if self._waiting:
            place, since = min(self._waiting.items(), key=lambda waiting: waiting[1])
            if now - since >= outage_report.PATIENCE_SECONDS:
                self.place = place
                await self._stands_still(STUCK, since)
                return
        self.over(STUCK)

    async def _stands_still(self, part: str, since: float) -> None:
        self._since.setdefault(part, since)
        await self.goes_on(part, TimeoutError())
