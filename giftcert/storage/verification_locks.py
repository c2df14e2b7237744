"""Locks of numbers that were guessed at: recorded once on the stream."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_UNRECORDED = text("""
    SELECT number_fingerprint, l.attempts, l.since, l.channel, l.locked_at, certificate_id::text
    FROM verification_locks AS l
    LEFT JOIN certificate_secrets AS s USING (number_fingerprint)
    WHERE NOT l.recorded ORDER BY l.locked_at LIMIT 100
""")
_RECORDED = text("""
    UPDATE verification_locks SET recorded = true WHERE number_fingerprint = :fingerprint AND locked_at = :locked_at
""")
_IS_LOCKED = text("""
    SELECT l.locked_until > :now FROM verification_locks AS l JOIN certificate_secrets AS s USING (number_fingerprint)
    WHERE s.certificate_id = :certificate_id
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
    """Reads locks, and notes which are recorded; the caller owns the transaction."""

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
