"""Tokens checked a moment ago."""

import time
from functools import lru_cache

from giftcert.clock import utc_now
from giftcert.security import Caller, TokenVerifier

CHECKED_FOR_SECONDS = 5
"""So much later than it says a token may still be good; other clocks differ by more."""
REMEMBERED = 4096


class KnownCallers:
    """Checks a token once in a while: its claims are as costly to check as the rest of a request is to answer."""

    def __init__(self, tokens: TokenVerifier) -> None:
        self._tokens = tokens
        self._checked = lru_cache(REMEMBERED)(self._check)

    def of(self, token: str) -> Caller:
        """Return who calls.

        Raises:
            TokenError: the token is refused; the message may be shown to the caller.
        """
        return self._checked(token, int(time.monotonic()) // CHECKED_FOR_SECONDS)

    def _check(self, token: str, _period: int) -> Caller:
        return self._tokens.verify(token, utc_now())
