"""What waits longest, by kind, and which of it is known to be overdue. Every look goes along an index."""

from datetime import datetime, timedelta

from giftcert.storage.outbox import oldest_waiting
from giftcert.storage.refund_cases import RefundCaseRepository
from giftcert.storage.repository import Repository

# What is parked was reported when it was, and the sweep passes it over too.
_PENDING = """
    SELECT p.since FROM pending AS p JOIN certificates AS c USING (certificate_id)
    WHERE p.since >= (SELECT looked_to FROM sweep_bounds WHERE kind = 'pending') AND c.parked IS NULL
    ORDER BY p.since LIMIT 1
"""
_DUE = """
    SELECT next_instant FROM certificates
    WHERE next_instant >= (SELECT looked_to FROM sweep_bounds WHERE kind = 'certificates')
        AND next_instant <= $1::timestamptz AND parked IS NULL
    ORDER BY next_instant LIMIT 1
"""
# The keys of known violations that are ours; `last_seen` is when the last alert was recorded.
_OURS = "workOverdue "
_KNOWN = "SELECT violation FROM known_violations WHERE starts_with(violation, $1)"
_NOTE = """
    INSERT INTO known_violations AS known (violation, last_seen) VALUES ($1, $2)
    ON CONFLICT (violation) DO UPDATE SET last_seen = excluded.last_seen WHERE known.last_seen <= $2 - $3::interval
"""
_FORGET = "DELETE FROM known_violations WHERE violation = $1"


class OverdueWorkRepository(Repository):
    """Finds the oldest of each kind of work, and remembers which alerts stand."""

    async def oldest_pending(self) -> datetime | None:
        """Return since when what has waited longest for a decision waits."""
        oldest: datetime | None = await self._fetchval(_PENDING)
        return oldest

    async def oldest_due(self, now: datetime) -> datetime | None:
        """Return the earliest instant that has passed and at which nobody has looked at its certificate."""
        oldest: datetime | None = await self._fetchval(_DUE, now)
        return oldest

    async def oldest_unpublished(self) -> datetime | None:
        """Return when the event that has waited longest for the stream was recorded."""
        return await oldest_waiting(self._connection)

    async def oldest_undecided_refund(self) -> datetime | None:
        """Return since when the refund case that has waited longest for a person waits."""
        counts = await RefundCaseRepository(self._connection).counts()
        return min((one.since for one in counts if one.state == "pendingDetails" and one.since), default=None)

    async def known(self) -> set[str]:
        """Return the keys of work of which an alert stands."""
        return {row[0].removeprefix(_OURS) for row in await self._fetch(_KNOWN, _OURS)}

    async def note(self, key: str, now: datetime, every: timedelta) -> bool:
        """Remember that work is overdue; return whether an alert is due, so that one of many processes records it."""
        return await self._execute(_NOTE, _OURS + key, now, every) == 1

    async def forget(self, key: str) -> bool:
        """Forget work that is not overdue any more; return whether it was known."""
        return await self._execute(_FORGET, _OURS + key) == 1
