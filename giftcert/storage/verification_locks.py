"""Locks of numbers that were guessed at: told once, lifted by support, forgotten when they are long over."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.contracts.notices import VerificationLocked, about_certificate, about_product
from giftcert.contracts.records import EventRecord
from giftcert.domain.events import OperatorActed
from giftcert.domain.state import CertificateState
from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.events import EventRepository

_NEW = text("""
    SELECT l.number_fingerprint, l.attempts, l.since, l.channel, l.locked_at, c.certificate_id::text AS certificate_id
    FROM verification_locks AS l
    LEFT JOIN certificates AS c ON c.number_fingerprint = l.number_fingerprint AND c.sequence > 0
    WHERE NOT l.told ORDER BY l.locked_at LIMIT 100 FOR UPDATE OF l SKIP LOCKED
""")
_TOLD = text(
    "UPDATE verification_locks SET told = true WHERE number_fingerprint = ANY(CAST(:fingerprints AS bytea[]))"
)
_UNLOCK = text("""
    UPDATE verification_locks AS l SET locked_until = :now FROM certificates AS c
    WHERE c.certificate_id = :certificate_id AND l.number_fingerprint = c.number_fingerprint AND l.locked_until > :now
    RETURNING c.sequence > 0 AS has_begun
""")
_FORGET = text("DELETE FROM verification_locks WHERE told AND locked_until < :before")


class VerificationLockRepository:
    """Tells of locks and lifts them; the caller owns the transaction.

    A lock's row is locked before its certificate's, always.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def tell_new(self, web_url: Callable[[str], str]) -> int:
        """Append ``alert.verificationLocked`` for each new lock of a certificate that was ever reserved.

        The life of one that was not begins with its reservation, and so do its events.

        Returns:
            How many were told.
        """
        rows = (await self._connection.execute(_NEW)).all()
        if rows:
            await self._connection.execute(_TOLD, {"fingerprints": [row.number_fingerprint for row in rows]})
        begun = [row for row in rows if row.certificate_id is not None]
        for row in begun:
            state = await self._locked(row.certificate_id)
            url = web_url(row.certificate_id)
            locked = VerificationLocked(
                attempts=row.attempts, since=row.since, channel=row.channel, web_url=url
            )
            await self._append(state, about_certificate(locked, state, row.locked_at, row.channel))
        return len(begun)

    async def unlock(self, certificate_id: UUID, by: str, why: str, now: datetime) -> CertificateState:
        """Lift the lock of a certificate's number, and tell that somebody did; where there is none nothing changes.

        Returns:
            The certificate.

        Raises:
            UnknownCertificateError: there is no such certificate.
        """
        values = {"certificate_id": certificate_id, "now": now}
        lifted = (await self._connection.execute(_UNLOCK, values)).one_or_none()
        state = await self._locked(str(certificate_id))
        if lifted is None:
            return state
        if lifted.has_begun:
            acted = OperatorActed(who=by, what=f"unlocked the number: {why}")
            await self._append(state, about_certificate(acted, state, now))
        else:  # what came before the reservation is told of the product
            what = f"unlocked the number of certificate {certificate_id}, which was never reserved: {why}"
            record = about_product(OperatorActed(who=by, what=what), state.product, now)
            await EventRepository(self._connection).append_keyed(state.product, [record])
        return state

    async def forget(self, before: datetime) -> int:
        """Delete locks that were over by then, and return how many that were.

        Guesses from before a lock do not count after it, so it has to be remembered for as long as they are.
        """
        return (await self._connection.execute(_FORGET, {"before": before})).rowcount

    async def _locked(self, certificate_id: str) -> CertificateState:
        certificates = CertificateRepository(self._connection)
        await certificates.lock(certificate_id, ())
        return (await certificates.load(certificate_id)).state

    async def _append(self, state: CertificateState, record: EventRecord) -> None:
        await EventRepository(self._connection).append(state.certificate_id, [record])
