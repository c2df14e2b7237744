"""Locks of numbers that were guessed at: recorded once on the stream, lifted by support."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# The life that the stream tells of a certificate begins with its reservation, so a lock before it is no event.
_UNRECORDED = text("""
    SELECT l.number_fingerprint, l.attempts, l.since, l.channel, l.locked_at, certificate_id::text
    FROM verification_locks AS l
    LEFT JOIN (certificate_secrets AS s JOIN certificates AS c USING (certificate_id))
        ON s.number_fingerprint = l.number_fingerprint AND c.sequence > 0
    WHERE NOT l.recorded ORDER BY l.locked_at LIMIT 100
""")
_RECORDED = text("""
    UPDATE verification_locks SET recorded = true WHERE number_fingerprint = :fingerprint AND locked_at = :locked_at
""")
_IS_LOCKED = text("""
    SELECT l.locked_until > :now FROM verification_locks AS l JOIN certificate_secrets AS s USING (number_fingerprint)
    WHERE s.certificate_id = :certificate_id
""")
_LIFT = text("""
    UPDATE verification_locks AS l SET locked_until = :now FROM certificate_secrets AS s
    WHERE s.certificate_id = :certificate_id AND l.number_fingerprint = s.number_fingerprint AND l.locked_until > :now
""")


@dataclass(frozen=True, slots=True)
class UnrecordedLock:
    """A lock that the stream has not heard of; without ``certificate_id`` it never will."""

    fingerprint: bytes
    attempts: int
    since: datetime
    channel: str
    locked_at: datetime
    certificate_id: str | None


class VerificationLockRepository:
    """Reads and lifts locks; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def unrecorded(self) -> Sequence[UnrecordedLock]:
        """Return new locks, the oldest first."""
        return [UnrecordedLock(*row) for row in await self._connection.execute(_UNRECORDED)]

    async def recorded(self, lock: UnrecordedLock) -> None:
        """Note that the stream has heard of a lock; of a newer one of the number it has not."""
        values = {"fingerprint": lock.fingerprint, "locked_at": lock.locked_at}
        await self._connection.execute(_RECORDED, values)

    async def is_locked(self, certificate_id: UUID, now: datetime) -> bool:
        """Return whether the number of a certificate is locked."""
        values = {"certificate_id": certificate_id, "now": now}
        return bool((await self._connection.execute(_IS_LOCKED, values)).scalar_one_or_none())

    async def lift(self, certificate_id: UUID, now: datetime) -> None:
        """End the lock of a certificate's number; where there is none nothing changes."""
        await self._connection.execute(_LIFT, {"certificate_id": certificate_id, "now": now})
