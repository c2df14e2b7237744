"""How often a caller may ask for something secret."""

import math
import time

from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from api import problems
from giftcert.settings import Settings


class CallLimit:
    """A limit of so many calls in a moving window, counted by this process alone."""

    def __init__(self, rate: str, problem: problems.Problem) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._rate = parse(rate)
        self._problem = problem

    async def hit(self, who: str) -> None:
        """Count one call.

        Raises:
            ProblemError: 429, with the time after which it may come again.
        """
        if await self._limiter.hit(self._rate, who):
            return
        window = await self._limiter.get_window_stats(self._rate, who)
        wait = max(1, math.ceil(window.reset_time - time.time()))
        raise problems.ProblemError(self._problem, retry_after=wait)


class DisclosureLimits:
    """A limit per caller and one per certificate."""

    def __init__(self, settings: Settings) -> None:
        self._per_caller = CallLimit(settings.disclosures_per_caller, problems.TOO_MANY_DISCLOSURES)
        self._per_certificate = CallLimit(settings.disclosures_per_certificate, problems.TOO_MANY_DISCLOSURES)

    async def check(self, caller: str, certificate_id: str) -> None:
        """Count one request for a CVC.

        Raises:
            ProblemError: 429, with the time after which it may come again.
        """
        await self._per_certificate.hit(certificate_id)
        await self._per_caller.hit(caller)
