"""How many CVCs a caller may get, and how many unordered reservations it may hold."""

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from api.problems import Problem, ProblemError
from giftcert.contracts.notices import DisclosureAlertReason, DisclosureUnusual, input_key
from giftcert.domain.rate_limits import Counted, RateLimit
from giftcert.settings import Settings, rate_of
from giftcert.storage.database import Database
from giftcert.storage.disclosures import DisclosureRepository
from giftcert.storage.reservations import ReservationRepository

FRESH_SECONDS = 1.0
ALWAYS_ALLOWED = 100  # reservations of one product: as many as one call may ask for


def too_many(problem: Problem, wait: timedelta) -> ProblemError:
    """Return the refusal (429) that says when to come again."""
    return ProblemError(problem, retry_after=max(1, math.ceil(wait.total_seconds())))


@dataclass(slots=True)
class _CallerCount:
    counted: Counted = field(default_factory=Counted)
    read_at: float = float("-inf")


class DisclosureLimits:
    """Counts the disclosures that are recorded: for all processes, and across restarts (ADR 72).

    A certificate's are counted at each request, and a process answers its requests in turn. A caller's are counted once
    a second at most, with what this process has given since.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._per_caller = rate_of(settings.disclosures_per_caller)
        self._per_certificate = rate_of(settings.disclosures_per_certificate)
        self._stream_key = input_key(settings.topic_stream, 0)
        self._callers: dict[str, _CallerCount] = {}
        self._in_turn: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def within(self, caller: str, certificate_id: str, now: datetime) -> AsyncIterator[None]:
        """Let a disclosure be made and recorded; where it is one too many, refuse it (429) and alert."""
        async with self._in_turn.setdefault(certificate_id, asyncio.Lock()):
            async with self._database.connection() as connection:
                counts = DisclosureRepository(connection)
                of_certificate = await counts.of_certificate(
                    certificate_id, now - self._per_certificate.window
                )
                of_caller = await self._of_caller(counts, caller, now)
            reason = DisclosureAlertReason.CERTIFICATE_LIMIT
            await self._check(self._per_certificate, of_certificate, now, reason, caller, certificate_id)
            await self._check(
                self._per_caller, of_caller.counted, now, DisclosureAlertReason.CALLER_LIMIT, caller
            )
            yield
            of_caller.counted = Counted(of_caller.counted.count + 1, of_caller.counted.since or now)

    async def _of_caller(self, counts: DisclosureRepository, caller: str, now: datetime) -> _CallerCount:
        count = self._callers.setdefault(caller, _CallerCount())
        if time.monotonic() - count.read_at > FRESH_SECONDS:
            count.read_at = time.monotonic()
            count.counted = await counts.of_caller(caller, now - self._per_caller.window)
        return count

    async def _check(
        self,
        limit: RateLimit,
        counted: Counted,
        now: datetime,
        reason: DisclosureAlertReason,
        caller: str,
        certificate_id: str | None = None,
    ) -> None:
        wait = limit.retry_after(counted, now)
        if wait is None:
            return
        alert = DisclosureUnusual(
            disclosed_to=caller,
            reason=reason,
            count=counted.count,
            since=counted.since or now,
            usual=limit.count,
            certificate_id=certificate_id,
        )
        async with self._database.transaction() as connection:
            await DisclosureRepository(connection).report(alert, now, now, self._stream_key)
        raise too_many(Problem.TOO_MANY_DISCLOSURES, wait)


@dataclass(slots=True)
class _Count:
    live: int = 0
    pool: int = 0  # what is free of it, and what the caller holds
    read_at: float = float("-inf")

    def is_fresh(self) -> bool:
        """Return whether it was read lately; if not, it will have been."""
        now = time.monotonic()
        if now - self.read_at <= FRESH_SECONDS:
            return True
        self.read_at = now
        return False


class ReservationCap:
    """Compares with counts at most a second old, plus what this process has given since (ADR 28).

    Counting at each claim would cost more than the claim. Several processes may exceed the cap by what they give in a
    second: it guards against a runaway caller, not against one certificate too many.
    """

    def __init__(self, database: Database, cap: int, share: float) -> None:
        self._database = database
        self._cap = cap
        self._share = share
        self._all: defaultdict[str, _Count] = defaultdict(_Count)
        self._of_product: defaultdict[tuple[str, str], _Count] = defaultdict(_Count)

    async def allows(self, caller: str, product: str, quantity: int) -> bool:
        """Return whether the caller would stay within the cap, and within its share of the product's pool."""
        count = self._all[caller]
        if not count.is_fresh():
            async with self._database.connection() as connection:
                count.live = await ReservationRepository(connection).live_of(caller)
        if count.live + quantity > self._cap:
            return False
        if self._share == 1 or count.live + quantity <= ALWAYS_ALLOWED:
            return True
        return await self._within_share(caller, product, quantity)

    def add(self, caller: str, product: str, quantity: int) -> None:
        """Count what was just given."""
        self._all[caller].live += quantity
        self._of_product[caller, product].live += quantity

    async def _within_share(self, caller: str, product: str, quantity: int) -> bool:
        """Compare with the pool without what others hold: several callers in turn leave something too."""
        count = self._of_product[caller, product]
        if not count.is_fresh():
            most = int(self._cap / self._share)  # nobody's share is larger than the cap
            async with self._database.connection() as connection:
                count.live, free = await ReservationRepository(connection).share_of(caller, product, most)
            count.pool = count.live + free
        return count.live + quantity <= max(ALWAYS_ALLOWED, self._share * count.pool)
