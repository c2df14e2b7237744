"""Outages of ingest: what it waits for, and a consumer that hangs, with the place where ingest stands."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import ClassVar, NoReturn

from prometheus_client import Counter

from giftcert import outage_report
from giftcert.contracts.notices import ProcessingFailed
from giftcert.outage_report import OutageReport
from giftcert.storage.quarantine import Place

WATCH_SECONDS, RETRY_SECONDS = 1.0, 1.0
STANDSTILL = "ingest stands still"


@dataclass(slots=True, kw_only=True)
class IngestOutages(OutageReport):
    """``place``: the first record that is not committed, or the last that was."""

    failures: ClassVar = Counter("giftcert_ingest_failures", "Attempts that failed, by what failed", ["part"])
    place: Place
    _beat: float = field(default=math.inf, init=False)

    def notice(self, part: str, kind: str) -> ProcessingFailed:
        """Say where ingest stands."""
        topic, partition, offset = self.place
        reason = part if part == STANDSTILL else f"{part} fails"
        return ProcessingFailed(topic=topic, partition=partition, offset=offset, reason=reason, detail=kind)

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

    def beat(self) -> None:
        """Say that the consumer goes on, whatever it does; while it waits for something this stops."""
        self._beat = asyncio.get_running_loop().time()
        self.over(STANDSTILL)

    async def watch(self) -> NoReturn:
        """Report a consumer that hangs, and what could not be recorded when it happened."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if asyncio.get_running_loop().time() - self._beat >= outage_report.PATIENCE_SECONDS:
                self._since.setdefault(STANDSTILL, self._beat)
                await self.goes_on(STANDSTILL, TimeoutError())
            await self.record()
