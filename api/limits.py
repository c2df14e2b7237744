"""How often CVCs may be asked for."""

import math
import time

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from api import problems
from giftcert.settings import Settings


class DisclosureLimits:
    """A limit per caller and one per certificate, each counted by this process alone."""

    def __init__(self, settings: Settings) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._per_caller = parse(settings.disclosures_per_caller)
        self._per_certificate = parse(settings.disclosures_per_certificate)

    async def check(self, caller: str, certificate_id: str) -> None:
        """Count one request for a CVC.

        Raises:
            ProblemError: 429, with the time after which it may come again.
        """
        await self._hit(self._per_certificate, "certificate", certificate_id)
        await self._hit(self._per_caller, "caller", caller)

    async def _hit(self, limit: RateLimitItem, kind: str, who: str) -> None:
        if await self._limiter.hit(limit, kind, who):
            return
        window = await self._limiter.get_window_stats(limit, kind, who)
        wait = max(1, math.ceil(window.reset_time - time.time()))
        raise problems.ProblemError(problems.TOO_MANY_DISCLOSURES, retry_after=wait)
