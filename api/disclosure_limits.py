"""How many CVCs a caller gets, and how often one certificate's is asked for: counted where disclosures are recorded."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from api.problems import Problem, ProblemError
from giftcert.contracts.notices import DisclosureAlertReason, DisclosureUnusual
from giftcert.domain.rate_limits import Counted, RateLimit
from giftcert.setting_types import rate_of
from giftcert.settings import Settings
from giftcert.storage.database import Database
from giftcert.storage.disclosures import DisclosureRepository

FRESH_SECONDS = 1.0


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
        self._stream_key = settings.general_stream_key
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
