"""Checks of number and CVC and what they get wrong: counted for numbers that exist and for others alike."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.domain.guessing import Guesses, GuessPolicy

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
_FORGET = text("DELETE FROM wrong_credentials WHERE failed_at < :before")


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

    async def forget(self, before: datetime) -> int:
        """Delete guesses from before then, and return how many that were."""
        return (await self._connection.execute(_FORGET, {"before": before})).rowcount
