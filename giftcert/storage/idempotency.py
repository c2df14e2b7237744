"""Answers remembered under an Idempotency-Key: table ``idempotency_keys``."""

from dataclasses import astuple, dataclass
from datetime import datetime, timedelta

from giftcert.storage.repository import Repository

REMEMBERED_FOR = timedelta(hours=24)  # by the contract with the channels, unless the answer is kept

_FIND = """
    SELECT parameters, answer FROM idempotency_keys WHERE caller_key = $1 AND (kept OR answered_at > $2)
"""
# One that is too old to count is written over; one that counts belongs to a call that came in between.
REMEMBER = """remembered AS (
    INSERT INTO idempotency_keys AS known (caller_key, parameters, answer, kept, answered_at)
    VALUES ({caller_key}, {parameters}, {answer}::jsonb, {kept}, {answered_at})
    ON CONFLICT (caller_key) DO UPDATE SET parameters = excluded.parameters, answer = excluded.answer,
        kept = excluded.kept, answered_at = excluded.answered_at
    WHERE NOT known.kept AND known.answered_at <= excluded.answered_at - interval '24 hours'
    RETURNING 1
)"""
"""CTE that writes an ``Answer``, whose fields are its parameters; it returns no row where the key has been answered."""

_PARAMETERS = {"caller_key": "$1", "parameters": "$2", "kept": "$3", "answer": "$4", "answered_at": "$5"}
_REMEMBER = f"WITH {REMEMBER.format_map(_PARAMETERS)} SELECT EXISTS (SELECT FROM remembered)"  # noqa: S608 - constants
_FORGET = """
    DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM idempotency_keys WHERE NOT kept AND answered_at <= $1
        ORDER BY answered_at LIMIT $2 FOR UPDATE SKIP LOCKED))
"""


class IdempotencyMismatchError(Exception):
    """The key has been used for a call with other parameters."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A caller's key for one call."""

    caller_key: bytes  # a keyed hash of caller, call and key
    parameters: bytes  # a digest of what makes two calls the same
    kept: bool = False  # the answer is never forgotten

    def answered(self, answer: bytes, at: datetime) -> "Answer":
        """Return what to remember of the call: its answer as JSON."""
        return Answer(self.caller_key, self.parameters, self.kept, answer=answer.decode(), answered_at=at)

    def answer_of(self, parameters: bytes, answer: str) -> bytes:
        """Return the JSON that was found under the key; raises ``IdempotencyMismatchError``."""
        if parameters != self.parameters:
            raise IdempotencyMismatchError
        return answer.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(IdempotencyKey):
    """The stored answer to a repeat with the same key, as JSON text."""

    answer: str
    answered_at: datetime


class IdempotencyRepository(Repository):
    """Reads and writes answers."""

    async def find(self, key: IdempotencyKey, now: datetime) -> bytes | None:
        """Return what the first call under a key was answered, if that counts still; raises as ``answer_of``."""
        row = await self._fetchrow(_FIND, key.caller_key, now - REMEMBERED_FOR)
        return None if row is None else key.answer_of(*row)

    async def remember(self, answer: Answer) -> bool:
        """Write an answer; return ``False`` where another call has answered under the key meanwhile."""
        return bool(await self._fetchval(_REMEMBER, *astuple(answer)))

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete at most so many answers that do not count any more, and return how many it were."""
        return await self._execute(_FORGET, now - REMEMBERED_FOR, limit)
