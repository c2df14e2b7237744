"""Checks of number and CVC: what they get wrong is counted, for numbers that exist and for others alike.

A number that was guessed at too often is locked, and the lock recorded on the stream once.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from giftcert.domain.certificate.state import CertificateState
from giftcert.domain.guessing import GuessPolicy, NumberLock
from giftcert.domain.rate_limits import Counted
from giftcert.storage.certificates import COLUMNS, FROM, IDLE, LoadedCertificate, idle, stored_of
from giftcert.storage.idempotency import IdempotencyKey
from giftcert.storage.repository import Repository

# No row locks: a number that does not exist has no row. They keep wrong pairs of a number, or of a guesser, from being
# judged at once; whoever waits for a guesser's has its number's already, so nobody waits in a circle.
_ONE_AT_A_TIME = """
    SELECT pg_advisory_xact_lock(hashtextextended(encode($1, 'hex'), 2)),
        pg_advisory_xact_lock(hashtextextended(encode($2, 'hex'), 3))
"""
_WRONG = "SELECT count(*), min(failed_at) FROM wrong_credentials WHERE"
# A lock that is over, or was lifted, lets nothing count that failed before its end.
_FIND = f"""
    SELECT {COLUMNS}, {IDLE}, l.locked_until, l.locks, k.parameters, k.answer,
        of_number.*, of_guesser.*
    FROM (VALUES (1)) AS one
    LEFT JOIN idempotency_keys AS k ON k.caller_key = $5 AND k.kept
    LEFT JOIN verification_locks AS l ON l.number_fingerprint = $1
    LEFT JOIN ({FROM}) ON s.number_fingerprint = $1
    CROSS JOIN LATERAL ({_WRONG} number_fingerprint = $1 AND failed_at > greatest($2::timestamptz, l.locked_until))
        AS of_number (failed_of_number, since_of_number)
    CROSS JOIN LATERAL ({_WRONG} guesser = $3 AND failed_at > $4) AS of_guesser (failed_of_guesser, since_of_guesser)
"""  # noqa: S608 - made of constants
_COUNT = (
    "INSERT INTO wrong_credentials (number_fingerprint, caller, guesser, failed_at) VALUES ($1, $2, $3, $4)"
)
_LOCK = """
    INSERT INTO verification_locks (number_fingerprint, attempts, locks, since, channel, locked_at, locked_until)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (number_fingerprint) DO UPDATE SET attempts = excluded.attempts, locks = excluded.locks,
        since = excluded.since, channel = excluded.channel, locked_at = excluded.locked_at,
        locked_until = excluded.locked_until, recorded = false
"""
_UNRECORDED = """
    SELECT number_fingerprint, l.attempts, l.since, l.channel, l.locked_at, certificate_id::text
    FROM verification_locks AS l LEFT JOIN certificate_secrets AS s USING (number_fingerprint)
    WHERE NOT l.recorded ORDER BY l.locked_at LIMIT 100
"""
_IS_LOCKED = """
    SELECT l.locked_until > $2 FROM verification_locks AS l JOIN certificate_secrets AS s USING (number_fingerprint)
    WHERE s.certificate_id = $1
"""


@dataclass(frozen=True, slots=True)
class Guess:
    """Somebody says to know a number's CVC."""

    fingerprint: bytes  # of the number
    caller: str
    guesser: bytes  # keyed hash of the caller and the end user, if it names one
    is_end_user: bool
    channel: str
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCredentials:
    """What is stored of a number: its certificate if there is one, and what was wrong before."""

    certificate_id: UUID | None
    cvc_sealed: bytes | None
    row: Record  # decoded when somebody asks: that takes time which a number that does not exist would not
    remembered: bytes | None  # the answer that the caller's key has
    lock: NumberLock | None
    of_number: Counted  # since its last lock
    of_guesser: Counted

    def idle(self, now: datetime) -> LoadedCertificate | None:
        """Return the certificate, if nothing waits for it and nothing is due."""
        return idle(self.row, now)

    @property
    def state(self) -> CertificateState:
        """The certificate's state."""
        return stored_of(self.row).state


@dataclass(frozen=True, slots=True)
class UnrecordedLock:
    """A lock that the stream has not heard of; without ``certificate_id`` it never will."""

    fingerprint: bytes
    attempts: int
    since: datetime
    channel: str
    locked_at: datetime
    certificate_id: str | None


class GuessRepository(Repository):
    """Looks numbers up, counts what is wrong, and locks numbers."""

    async def lock(self, guess: Guess) -> None:
        """Let nobody else count a wrong pair of this number or guesser until the transaction ends."""
        await self._execute(_ONE_AT_A_TIME, guess.fingerprint, guess.guesser)

    async def find(
        self, guess: Guess, policy: GuessPolicy, key: IdempotencyKey | None = None
    ) -> StoredCredentials:
        """Return what is stored of a number, and under a key whose answers are kept; raises as its ``answer_of``."""
        [row] = await self._fetch(
            _FIND,
            guess.fingerprint,
            guess.now - policy.per_number.window,
            guess.guesser,
            guess.now - policy.of_guesser(is_end_user=guess.is_end_user).window,
            key.caller_key if key else None,
        )
        answer, locked_until, certificate_id = row["answer"], row["locked_until"], row["certificate_id"]
        return StoredCredentials(
            certificate_id=None if certificate_id is None else UUID(certificate_id),
            cvc_sealed=row["cvc_sealed"],
            row=row,
            remembered=key.answer_of(row["parameters"], answer) if key and answer is not None else None,
            lock=None if locked_until is None else NumberLock(locked_until, row["locks"]),
            of_number=Counted(row["failed_of_number"], row["since_of_number"]),
            of_guesser=Counted(row["failed_of_guesser"], row["since_of_guesser"]),
        )

    async def count_wrong(self, guess: Guess, before: StoredCredentials, policy: GuessPolicy) -> None:
        """Count a pair as wrong, and lock the number if it was one too many."""
        await self._execute(_COUNT, guess.fingerprint, guess.caller, guess.guesser, guess.now)
        if lock := policy.lock_after(before.of_number, before.lock, guess.now):
            attempts, since = before.of_number.count + 1, before.of_number.since or guess.now
            about = (guess.fingerprint, attempts, lock.in_a_row, since, guess.channel)
            await self._execute(_LOCK, *about, guess.now, lock.locked_until)

    async def unrecorded_locks(self) -> list[UnrecordedLock]:
        """Return new locks, the oldest first."""
        return [UnrecordedLock(*row) for row in await self._fetch(_UNRECORDED)]

    async def lock_recorded(self, lock: UnrecordedLock) -> None:
        """Note that the stream has heard of a lock; of a newer one of the number it has not."""
        recorded = (
            "UPDATE verification_locks SET recorded = true WHERE number_fingerprint = $1 AND locked_at = $2"
        )
        await self._execute(recorded, lock.fingerprint, lock.locked_at)

    async def is_locked(self, certificate_id: UUID, now: datetime) -> bool:
        """Return whether the number of a certificate is locked."""
        return bool(await self._fetchval(_IS_LOCKED, certificate_id, now))

    async def forget(self, before: datetime) -> None:
        """Delete wrong pairs, and recorded locks that were over, from before then; keep a lock as long as its pairs."""
        await self._execute("DELETE FROM wrong_credentials WHERE failed_at < $1", before)
        await self._execute("DELETE FROM verification_locks WHERE recorded AND locked_until < $1", before)
