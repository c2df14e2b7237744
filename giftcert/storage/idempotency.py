"""Answers that are given again when a call is repeated under its Idempotency-Key."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

REMEMBERED_FOR = timedelta(hours=24)
"""Fixed by the contract with the channels."""

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:identity, 0))")
_STAY = text("SELECT set_config('idle_in_transaction_session_timeout', :longest, true)")
_FIND = text("""
    SELECT parameters, CAST(answer AS text) AS answer FROM idempotency_keys
    WHERE caller = :caller AND call = :call AND idempotency_key = :key AND answered_at >= :since
""")
_REMEMBER = text("""
    INSERT INTO idempotency_keys (caller, call, idempotency_key, parameters, answer, answered_at)
    VALUES (:caller, :call, :key, :parameters, CAST(:answer AS jsonb), :now)
    ON CONFLICT (caller, call, idempotency_key) DO UPDATE
    SET parameters = excluded.parameters, answer = excluded.answer, answered_at = excluded.answered_at
""")
_FORGET = text("""
    DELETE FROM idempotency_keys WHERE (caller, call, idempotency_key) IN (
        SELECT caller, call, idempotency_key FROM idempotency_keys WHERE answered_at < :since
        ORDER BY answered_at LIMIT :limit FOR UPDATE SKIP LOCKED)
""")


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A caller's key for one call; ``parameters`` is the SHA-256 of what the call was given."""

    caller: str
    call: str
    key: str
    parameters: bytes


@dataclass(frozen=True, slots=True)
class RememberedAnswer:
    """The answer of the first call, as JSON text, and the digest of its parameters."""

    parameters: bytes
    answer: str


class IdempotencyRepository:
    """Reads and writes ``idempotency_keys``; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lock(self, key: IdempotencyKey) -> None:
        """Wait until no other transaction works under this key, and keep others waiting until this one ends."""
        await self._connection.execute(_LOCK, {"identity": f"{key.caller}\n{key.call}\n{key.key}"})

    async def stay(self, longest: timedelta) -> None:
        """Let this transaction, which holds a key, idle for so long while its call is carried out elsewhere."""
        await self._connection.execute(_STAY, {"longest": f"{int(longest.total_seconds())}s"})

    async def find(self, key: IdempotencyKey, now: datetime) -> RememberedAnswer | None:
        """Return the answer remembered under the key, whatever its parameters were."""
        row = (
            await self._connection.execute(_FIND, _identity(key) | {"since": now - REMEMBERED_FOR})
        ).one_or_none()
        return RememberedAnswer(row.parameters, row.answer) if row else None

    async def remember(self, key: IdempotencyKey, answer: str, now: datetime) -> None:
        """Remember an answer, given as JSON text."""
        values = {"parameters": key.parameters, "answer": answer, "now": now}
        await self._connection.execute(_REMEMBER, _identity(key) | values)

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete at most so many keys that are too old to count, and return how many it were."""
        result = await self._connection.execute(_FORGET, {"since": now - REMEMBERED_FOR, "limit": limit})
        return result.rowcount


def _identity(key: IdempotencyKey) -> dict[str, str]:
    return {"caller": key.caller, "call": key.call, "key": key.key}
