"""Violations of invariants that were published and still hold."""

from collections.abc import Sequence
from datetime import datetime

from giftcert.storage.repository import Repository

_SEEN_AGAIN = "UPDATE known_violations SET last_seen = $2 WHERE violation = ANY($1) RETURNING violation"
_NOTE = "INSERT INTO known_violations (violation, last_seen) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_FORGET = "DELETE FROM known_violations WHERE last_seen < $1"


class KnownViolationRepository(Repository):
    """Remembers violations by their keys."""

    async def seen_again(self, violations: Sequence[str], now: datetime) -> set[str]:
        """Note that these still stand, and return those that were known."""
        return {row[0] for row in await self._fetch(_SEEN_AGAIN, violations, now)}

    async def note(self, violation: str, now: datetime) -> bool:
        """Remember a violation; return whether it is new, so that one of two who found it publishes it."""
        return await self._execute(_NOTE, violation, now) == 1

    async def forget_not_seen_since(self, since: datetime) -> None:
        """Forget those that are over, so that they are published if they come again."""
        await self._execute(_FORGET, since)
