"""Violations of invariants that were published and still hold."""

from collections.abc import Sequence
from datetime import datetime

from giftcert.storage.repository import Repository

_SEEN_AGAIN = "UPDATE known_violations SET last_seen = $2 WHERE violation = ANY($1) RETURNING violation"
_NOTE = "INSERT INTO known_violations (violation, last_seen) VALUES ($1, $2) ON CONFLICT DO NOTHING"
# Overdue work is forgotten by who watches it.
_FORGET = "DELETE FROM known_violations WHERE last_seen < $1 AND NOT starts_with(violation, 'workOverdue ')"
_FORGET_STUCK = "DELETE FROM known_violations WHERE last_seen < $1 AND starts_with(violation, $2)"
_STUCK = (
    "SELECT violation FROM known_violations WHERE last_seen >= $1 AND starts_with(violation, $2) ORDER BY 1"
)
STUCK = "workflowStuck "
"""What the keys of stuck workflows begin with; workflow id and run id follow."""


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

    async def forget_stuck(self, since: datetime) -> None:
        """Forget the stuck workflows that were not seen since an instant."""
        await self._execute(_FORGET_STUCK, since, STUCK)

    async def stuck(self, since: datetime) -> list[str]:
        """Return the ids of workflows that were seen stuck since an instant."""
        rows = await self._fetch(_STUCK, since, STUCK)
        return [row[0].removeprefix(STUCK).partition(" ")[0] for row in rows]
