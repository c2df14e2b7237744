"""Checks of number and CVC and what they get wrong: counted for numbers that exist and for others alike."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import Record
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.domain.certificate.state import CertificateState
from giftcert.domain.guessing import Guesses, GuessPolicy, NumberLock
from giftcert.storage.certificates import (
    COLUMNS,
    FROM,
    IS_PENDING,
    Driver,
    LoadedCertificate,
    idle,
    stored_of,
)
from giftcert.storage.engine import driver_of
from giftcert.storage.idempotency import RememberedAnswer

# Not a row's lock: a number that does not exist has none. It keeps wrong pairs of a number from being judged at once.
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended(encode($1, 'hex'), 2))"
# A lock that is over, or was lifted, lets nothing count that failed before its end.
_FIND = f"""
    SELECT {COLUMNS}, {IS_PENDING}, l.locked_until, l.locks, k.parameters, k.answer::text AS answer,
        of_number.failed AS failed_of_number, of_number.since AS since_of_number,
        of_caller.failed AS failed_of_caller, of_caller.since AS since_of_caller,
        of_end_user.failed AS failed_of_end_user, of_end_user.since AS since_of_end_user
    FROM (VALUES (1)) AS one
    LEFT JOIN idempotency_keys AS k ON k.caller_key = $7 AND k.kept
    LEFT JOIN verification_locks AS l ON l.number_fingerprint = $1
    LEFT JOIN ({FROM}) ON s.number_fingerprint = $1
    CROSS JOIN LATERAL (
        SELECT count(*) AS failed, min(failed_at) AS since FROM wrong_credentials
        WHERE number_fingerprint = $1 AND failed_at > greatest($2::timestamptz, l.locked_until)
    ) AS of_number
    CROSS JOIN LATERAL (
        SELECT count(*) AS failed, min(failed_at) AS since FROM wrong_credentials
        WHERE caller = $3 AND failed_at > $4
    ) AS of_caller
    CROSS JOIN LATERAL (
        SELECT count(*) AS failed, min(failed_at) AS since FROM wrong_credentials
        WHERE end_user = $5 AND failed_at > $6
    ) AS of_end_user
"""  # noqa: S608 - made of constants
_COUNT = """
    INSERT INTO wrong_credentials (number_fingerprint, caller, end_user, failed_at) VALUES ($1, $2, $3, $4)
"""
_LOCK = """
    INSERT INTO verification_locks (number_fingerprint, attempts, locks, since, channel, locked_at, locked_until)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (number_fingerprint) DO UPDATE SET attempts = excluded.attempts, locks = excluded.locks,
        since = excluded.since, channel = excluded.channel, locked_at = excluded.locked_at,
        locked_until = excluded.locked_until, recorded = false
"""
_FORGET_WRONG = "DELETE FROM wrong_credentials WHERE failed_at < $1"
_FORGET_LOCKS = "DELETE FROM verification_locks WHERE recorded AND locked_until < $1"


@dataclass(frozen=True, slots=True)
class Guess:
    """Somebody says to know a number's CVC; ``fingerprint`` is that of the number, ``end_user`` a keyed hash."""

    fingerprint: bytes
    caller: str
    end_user: bytes | None
    channel: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCredentials:
    """What is stored of a number: its certificate if there is one, and what was wrong before.

    ``remembered`` is the answer that the caller's key has, ``of_number`` the wrong pairs since the number's last lock.
    The certificate is decoded when somebody asks for it: that takes time which a number that does not exist would not.
    """

    row: Record
    remembered: RememberedAnswer | None
    lock: NumberLock | None
    of_number: Guesses
    of_caller: Guesses
    of_end_user: Guesses

    @property
    def certificate_id(self) -> UUID | None:
        """The certificate's id."""
        found = self.row["certificate_id"]
        return UUID(found) if found is not None else None

    @property
    def cvc_sealed(self) -> bytes | None:
        """The certificate's CVC."""
        sealed: bytes | None = self.row["cvc_sealed"]
        return sealed

    def idle(self, now: datetime) -> LoadedCertificate | None:
        """Return the certificate, if nothing waits for it and nothing is due."""
        return idle(self.row, now)

    @property
    def state(self) -> CertificateState:
        """The certificate's state."""
        return stored_of(self.row).state


class CredentialRepository:
    """Looks numbers up and counts what is wrong, on asyncpg's own connection; the caller owns the transaction."""

    def __init__(self, driver: Driver, policy: GuessPolicy) -> None:
        self._driver = driver
        self._policy = policy

    async def lock(self, guess: Guess) -> None:
        """Let nobody else count a wrong pair of this number until the transaction ends."""
        await self._driver.execute(_ONE_AT_A_TIME, guess.fingerprint)

    async def find(self, guess: Guess, caller_key: bytes | None = None) -> StoredCredentials:
        """Return what is stored of a number, and under a key whose answers are kept."""
        policy, now = self._policy, guess.now
        [row] = await self._driver.fetch(
            _FIND,
            guess.fingerprint,
            now - policy.per_number.window,
            guess.caller,
            now - policy.per_caller.window,
            guess.end_user,
            now - policy.per_end_user.window,
            caller_key,
        )
        return StoredCredentials(
            row=row,
            remembered=RememberedAnswer(row["parameters"], row["answer"])
            if row["answer"] is not None
            else None,
            lock=NumberLock(row["locked_until"], row["locks"]) if row["locked_until"] is not None else None,
            of_number=Guesses(row["failed_of_number"], row["since_of_number"]),
            of_caller=Guesses(row["failed_of_caller"], row["since_of_caller"]),
            of_end_user=Guesses(row["failed_of_end_user"], row["since_of_end_user"]),
        )

    async def count_wrong(self, guess: Guess, before: StoredCredentials) -> None:
        """Count a pair as wrong, and lock the number if it was one too many."""
        await self._driver.execute(_COUNT, guess.fingerprint, guess.caller, guess.end_user, guess.now)
        lock = self._policy.lock_after(before.of_number, before.lock, guess.now)
        if lock is None:
            return
        await self._driver.execute(
            _LOCK,
            guess.fingerprint,
            before.of_number.count + 1,
            lock.in_a_row,
            before.of_number.since or guess.now,
            guess.channel,
            guess.now,
            lock.locked_until,
        )


async def forget_guesses(connection: AsyncConnection, before: datetime) -> None:
    """Delete wrong pairs, and locks that were over and recorded, from before then.

    Wrong pairs from before a lock do not count after it, so a lock has to be remembered for as long as they are.
    """
    driver = await driver_of(connection)
    await driver.execute(_FORGET_WRONG, before)
    await driver.execute(_FORGET_LOCKS, before)
