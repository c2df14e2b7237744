"""Violations of invariants that people were told of, while they stand."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_SEEN_AGAIN = text("""
    UPDATE known_violations SET last_seen = :now WHERE violation = ANY(CAST(:violations AS text[]))
    RETURNING violation
""")
_NOTE = text("""
    INSERT INTO known_violations (violation, first_seen, last_seen) VALUES (:violation, :now, :now)
    ON CONFLICT DO NOTHING
""")
_FORGET = text("DELETE FROM known_violations WHERE last_seen < :since")


class KnownViolationRepository:
    """Remembers violations by their keys; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def seen_again(self, violations: Sequence[str], now: datetime) -> set[str]:
        """Note that these still stand, and return those that were known."""
        values = {"violations": list(violations), "now": now}
        return set((await self._connection.execute(_SEEN_AGAIN, values)).scalars())

    async def note(self, violation: str, now: datetime) -> bool:
        """Remember one; return whether it is new, so that one of two who found it tells of it."""
        result = await self._connection.execute(_NOTE, {"violation": violation, "now": now})
        return result.rowcount == 1

    async def forget_not_seen_since(self, since: datetime) -> int:
        """Forget those that stand no more, so that they are told if they come again; return how many."""
        return (await self._connection.execute(_FORGET, {"since": since})).rowcount
