"""Refused claims (409) on their way to the stream: the first at once, the rest at most once a second."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.contracts.notices import ClaimsRefused, about_product
from giftcert.storage.events import EventRepository

RECORDED_EVERY = timedelta(seconds=1)
"""At most one ``issue.blocked`` per product and channel in this time."""

_ADD = text("""
    INSERT INTO blocked_attempts AS known (product_id, channel, attempts, first_at, last_at)
    VALUES (:product, :channel, :attempts, :first_at, :last_at)
    ON CONFLICT (product_id, channel) DO UPDATE SET attempts = known.attempts + excluded.attempts,
        first_at = least(known.first_at, excluded.first_at), last_at = greatest(known.last_at, excluded.last_at)
""")
_DUE = text("""
    WITH due AS (
        SELECT product_id, channel, attempts, first_at, last_at FROM blocked_attempts
        WHERE attempts > 0 AND recorded_at <= :recorded_before ORDER BY product_id, channel FOR NO KEY UPDATE
    )
    UPDATE blocked_attempts AS b SET attempts = 0, first_at = NULL, last_at = NULL, recorded_at = :now
    FROM due WHERE b.product_id = due.product_id AND b.channel = due.channel
    RETURNING due.product_id, due.channel, due.attempts, due.first_at, due.last_at
""")


@dataclass(frozen=True, slots=True)
class RefusedClaims:
    """How many claims of a channel on a product were refused, and from when to when."""

    product: str
    channel: str
    attempts: int
    first_at: datetime
    last_at: datetime


class BlockedAttemptRepository:
    """Counts refused claims and records them as events; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, refused: RefusedClaims) -> None:
        """Add to what is not recorded as an event yet; the row stays locked until the transaction ends."""
        values = {
            "product": refused.product,
            "channel": refused.channel,
            "attempts": refused.attempts,
            "first_at": refused.first_at,
            "last_at": refused.last_at,
        }
        await self._connection.execute(_ADD, values)

    async def record_due(self, now: datetime) -> int:
        """Append ``issue.blocked`` for all that is due, and return how many attempts that were."""
        rows = (
            await self._connection.execute(_DUE, {"now": now, "recorded_before": now - RECORDED_EVERY})
        ).all()
        for row in rows:
            refused = ClaimsRefused(attempts=row.attempts, first_at=row.first_at, last_at=row.last_at)
            record = about_product(refused, row.product_id, row.last_at, row.channel)
            await EventRepository(self._connection).append_keyed(row.product_id, [record])
        return sum(row.attempts for row in rows)
