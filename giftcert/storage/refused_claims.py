"""Claims that the pool refused (409), on their way to the stream as ``issue.blocked``. Table ``refused_claims``."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from giftcert.contracts.notices import ClaimsRefused, about_product
from giftcert.storage.events import EventRepository
from giftcert.storage.repository import Repository

RECORDED_EVERY = timedelta(seconds=1)
"""At most one ``issue.blocked`` per product and channel in this time."""

_ADD = """
    INSERT INTO refused_claims AS known (product_id, channel, attempts, first_at, last_at)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (product_id, channel) DO UPDATE SET attempts = known.attempts + excluded.attempts,
        first_at = least(known.first_at, excluded.first_at), last_at = greatest(known.last_at, excluded.last_at)
"""
_DUE = """
    WITH due AS (
        SELECT product_id, channel, attempts, first_at, last_at FROM refused_claims
        WHERE attempts > 0 AND recorded_at <= $2 FOR NO KEY UPDATE SKIP LOCKED -- whoever adds to a row records it
    )
    UPDATE refused_claims AS b SET attempts = 0, first_at = NULL, last_at = NULL, recorded_at = $1
    FROM due WHERE b.product_id = due.product_id AND b.channel = due.channel
    RETURNING due.product_id, due.channel, due.attempts, due.first_at, due.last_at
"""


class RefusedClaimRepository(Repository):
    """Counts refused claims: the first is published at once, the rest at most once a second."""

    async def add(self, product: str, channel: str, times: Sequence[datetime]) -> None:
        """Add to what is not recorded as an event yet; the row stays locked until the transaction ends."""
        await self._execute(_ADD, product, channel, len(times), min(times), max(times))

    async def record_due(self, now: datetime) -> None:
        """Append ``issue.blocked`` for all that is due."""
        for product, channel, attempts, first, last in await self._fetch(_DUE, now, now - RECORDED_EVERY):
            refused = ClaimsRefused(attempts=attempts, first_at=first, last_at=last)
            record = about_product(refused, product, last, channel)
            await EventRepository(self._connection).append_keyed(product, [record])
