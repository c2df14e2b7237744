"""Health of a process: liveness says "restart me", readiness "send me work"; each with its reasons."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NoReturn

import structlog
from prometheus_client import Gauge

from giftcert.background import in_background

LONGEST_SILENCE = 600.0
"""Seconds that a loop may take for one round: longer than all its waits for servers that are away, which end."""
START, POSTGRESQL, TEMPORAL, KAFKA = "start", "PostgreSQL", "Temporal", "Kafka"

READY = Gauge("giftcert_ready", "1 while this process can do its work")
STANDS_STILL = Gauge("giftcert_stands_still", "1 for each part that this process waits for", ["part"])
LOOP_DELAY = Gauge("giftcert_event_loop_delay_seconds", "How late the event loop of this process last was")
_log = structlog.get_logger(__name__)


class ObstacleError(OSError):
    """A server is there and may not be used now; ``str`` says why, in words that may be shown."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Asks a server for something small, every so many seconds; ``ask`` raises where the server does not serve us."""

    ask: Callable[[], Awaitable[object]]
    every: float = 2.0
    within: float = 2.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer to a probe; ``reasons`` by part, empty where all is well."""

    reasons: Mapping[str, str]

    @property
    def is_well(self) -> bool:
        """Whether there is no reason against it."""
        return not self.reasons


@dataclass(slots=True)
class Health:
    """What keeps this process from its work, and which of its loops have gone silent.

    The one place where a part says that it stands still: whoever sets an obstacle takes it away, by the same source.
    """

    clock: Callable[[], float] = time.monotonic
    _obstacles: dict[tuple[str, str], str] = field(
        default_factory=lambda: {(START, START): "it has not begun to work yet"}, init=False
    )
    _beat_until: dict[str, float] = field(default_factory=dict, init=False)
    notes: dict[str, str] = field(default_factory=dict, init=False)
    """What is wrong elsewhere, as this process sees it: no start of it anew would help."""

    def ready(self) -> None:
        """Say that the process has begun to work."""
        self.goes_on(START, source=START)

    def stands_still(self, part: str, reason: str, *, source: str = "work") -> None:
        """Say that there is no work until something changes; nothing secret may stand in the reason."""
        if (part, source) not in self._obstacles:
            STANDS_STILL.labels(part).set(1)
        self._obstacles[part, source] = reason
        READY.set(0)

    def goes_on(self, part: str, *, source: str = "work") -> None:
        """Say that this obstacle is gone."""
        if self._obstacles.pop((part, source), None) is None:
            return
        if all(other != part for other, _ in self._obstacles):
            STANDS_STILL.labels(part).set(0)
        READY.set(not self._obstacles)

    def beat(self, loop: str, within: float = LONGEST_SILENCE) -> None:
        """Say that a loop goes on, and will say so again within so many seconds."""
        self._beat_until[loop] = self.clock() + within

    def rest(self, loop: str) -> None:
        """Say that a loop waits for something to do, for as long as it takes."""
        self._beat_until[loop] = math.inf

    @property
    def waiting_for(self) -> str | None:
        """The parts that the process waits for."""
        return ", ".join(sorted({part for part, _ in self._obstacles})) or None

    def readiness(self) -> Verdict:
        """Return what keeps the process from its work."""
        reasons: dict[str, str] = {}
        for (part, _), reason in sorted(self._obstacles.items()):
            known = reasons.get(part)
            reasons[part] = f"{known}; {reason}" if known else reason
        return Verdict(reasons)

    def liveness(self) -> Verdict:
        """Return which loops hang. An event loop that hangs does not even answer."""
        now = self.clock()
        return Verdict(
            {
                loop: f"it should have gone on {now - until:.0f} s ago"
                for loop, until in sorted(self._beat_until.items())
                if until < now
            }
        )


@asynccontextmanager
async def probing(health: Health, probes: Mapping[str, Probe]) -> AsyncIterator[None]:
    """Ask servers again and again while the context lasts: one that hangs is an obstacle within seconds."""
    asking = (_probe(health, part, probe) for part, probe in probes.items())
    async with in_background(*asking, _measure_delay()):
        yield


async def _probe(health: Health, part: str, probe: Probe) -> NoReturn:
    was_away = False
    while True:
        reason = await _why_not(probe)
        if reason is None:
            health.goes_on(part, source="probe")
        else:
            health.stands_still(part, reason, source="probe")
        if was_away and reason is None:
            _log.info("a server serves us again", part=part)
        elif reason is not None and not was_away:
            _log.warning("a server does not serve us", part=part, reason=reason)
        was_away = reason is not None
        await asyncio.sleep(probe.every)


async def _why_not(probe: Probe) -> str | None:
    try:
        async with asyncio.timeout(probe.within):
            await probe.ask()
    except TimeoutError:
        return f"it does not answer within {probe.within:g} s"
    except ObstacleError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, it does not serve us; its text may quote anything
        return f"it cannot be used: {type(error).__name__}"
    return None


async def _measure_delay() -> NoReturn:
    while True:
        due = time.monotonic() + 1
        await asyncio.sleep(1)
        LOOP_DELAY.set(max(0.0, time.monotonic() - due))
