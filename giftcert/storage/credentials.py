"""Checks of number and CVC and what they get wrong: counted for numbers that exist and for others alike."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.contracts.notices import VerificationLocked, about_certificate
from giftcert.domain.guessing import Guesses, GuessPolicy
from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.events import EventRepository

# Not a row's lock: a number that does not exist has none. It keeps guesses at one number from being judged at once.
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended(encode(:fingerprint, 'hex'), 2))")
# A lock that is over, or was lifted, lets nothing count that failed before its end.
_LOOK_UP = text("""
    WITH last_lock AS (
        SELECT locked_until FROM verification_locks WHERE number_fingerprint = :fingerprint
    ), of_number AS (
        SELECT count(*) AS failed, min(failed_at) AS since FROM wrong_credentials
        WHERE number_fingerprint = :fingerprint
            AND failed_at > greatest(CAST(:number_since AS timestamptz), (SELECT locked_until FROM last_lock))
    ), of_caller AS (
        SELECT count(*) AS failed, min(failed_at) AS since FROM wrong_credentials
        WHERE caller = :caller AND failed_at > :caller_since
    )
    SELECT c.certificate_id, c.cvc_sealed, coalesce((SELECT locked_until FROM last_lock) > :now, false) AS locked,
        of_number.failed AS number_failed, of_number.since AS number_since,
        of_caller.failed AS caller_failed, of_caller.since AS caller_since
    FROM of_number CROSS JOIN of_caller LEFT JOIN certificates AS c ON c.number_fingerprint = :fingerprint
""")
_FAILED = text("""
    INSERT INTO wrong_credentials (number_fingerprint, caller, failed_at) VALUES (:fingerprint, :caller, :now)
""")
_LOCK = text("""
    INSERT INTO verification_locks (number_fingerprint, attempts, since, channel, locked_at, locked_until)
    VALUES (:fingerprint, :attempts, :since, :channel, :now, :until)
    ON CONFLICT (number_fingerprint) DO UPDATE SET attempts = excluded.attempts, since = excluded.since,
        channel = excluded.channel, locked_at = excluded.locked_at, locked_until = excluded.locked_until, told = false
""")
_UNTOLD = text("""
    SELECT l.number_fingerprint, l.attempts, l.since, l.channel, l.locked_at, c.certificate_id::text AS certificate_id
    FROM verification_locks AS l
    LEFT JOIN certificates AS c ON c.number_fingerprint = l.number_fingerprint AND c.sequence > 0
    WHERE NOT l.told ORDER BY l.locked_at LIMIT 100 FOR UPDATE OF l SKIP LOCKED
""")
_TOLD = text(
    "UPDATE verification_locks SET told = true WHERE number_fingerprint = ANY(CAST(:fingerprints AS bytea[]))"
)
_UNLOCK = text("""
    UPDATE verification_locks SET locked_until = :now
    WHERE locked_until > :now AND number_fingerprint = (
        SELECT number_fingerprint FROM certificates WHERE certificate_id = :certificate_id)
""")
_FORGET = (
    text("DELETE FROM wrong_credentials WHERE failed_at < :before"),
    text("DELETE FROM verification_locks WHERE locked_until < :before AND told"),
)


@dataclass(frozen=True, slots=True)
class Guess:
    """Somebody says to know a number's CVC; ``fingerprint`` is that of the number."""

    fingerprint: bytes
    caller: str
    channel: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a number: its certificate if there is one, and what was guessed wrong before."""

    certificate_id: UUID | None
    cvc_sealed: bytes | None
    is_locked: bool
    of_number: Guesses
    of_caller: Guesses


class CredentialRepository:
    """Looks numbers up and counts what is wrong; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection, policy: GuessPolicy) -> None:
        self._connection = connection
        self._policy = policy

    async def look_up(self, guess: Guess) -> Known:
        """Return what is known of a number; nobody else's guess at it is judged until the transaction ends."""
        await self._connection.execute(_ONE_AT_A_TIME, {"fingerprint": guess.fingerprint})
        values = {
            "fingerprint": guess.fingerprint,
            "caller": guess.caller,
            "now": guess.now,
            "number_since": guess.now - self._policy.per_number.window,
            "caller_since": guess.now - self._policy.per_caller.window,
        }
        row = (await self._connection.execute(_LOOK_UP, values)).one()
        of_number, of_caller = (
            Guesses(row.number_failed, row.number_since),
            Guesses(row.caller_failed, row.caller_since),
        )
        return Known(row.certificate_id, row.cvc_sealed, row.locked, of_number, of_caller)

    async def failed(self, guess: Guess, before: Known) -> None:
        """Count a guess as wrong, and lock the number if it was one too many."""
        values = {"fingerprint": guess.fingerprint, "caller": guess.caller, "now": guess.now}
        await self._connection.execute(_FAILED, values)
        if before.is_locked or not self._policy.locks(before.of_number):
            return
        lock = {
            "fingerprint": guess.fingerprint,
            "attempts": before.of_number.count + 1,
            "since": before.of_number.since or guess.now,
            "channel": guess.channel,
            "now": guess.now,
            "until": guess.now + self._policy.lock,
        }
        await self._connection.execute(_LOCK, lock)

    async def tell_locks(self, web_url: Callable[[str], str]) -> int:
        """Append ``alert.verificationLocked`` for each new lock of a certificate that was ever reserved.

        The life of one that was not begins with its reservation, and so do its events.

        Returns:
            How many were told.
        """
        rows = (await self._connection.execute(_UNTOLD)).all()
        if not rows:
            return 0
        await self._connection.execute(_TOLD, {"fingerprints": [row.number_fingerprint for row in rows]})
        begun = [row for row in rows if row.certificate_id is not None]
        for row in begun:
            locked = VerificationLocked(
                attempts=row.attempts,
                since=row.since,
                channel=row.channel,
                web_url=web_url(row.certificate_id),
            )
            await self._tell(row.certificate_id, locked, row.locked_at)
        return len(begun)

    async def _tell(self, certificate_id: str, locked: VerificationLocked, at: datetime) -> None:
        certificates = CertificateRepository(self._connection)
        await certificates.lock(certificate_id, ())
        state = (await certificates.load(certificate_id)).state
        record = about_certificate(locked, state, at, locked.channel)
        await EventRepository(self._connection).append(certificate_id, [record])

    async def unlock(self, certificate_id: UUID, now: datetime) -> bool:
        """Lift the lock of a certificate's number, and return whether there was one."""
        values = {"certificate_id": certificate_id, "now": now}
        return (await self._connection.execute(_UNLOCK, values)).rowcount > 0

    async def forget(self, now: datetime) -> int:
        """Delete what counts for nothing any more, and return how many rows that were."""
        longest = max(self._policy.per_number.window, self._policy.per_caller.window)
        deleted = [
            await self._connection.execute(statement, {"before": now - longest}) for statement in _FORGET
        ]
        return sum(one.rowcount for one in deleted)
