"""Answers remembered under an Idempotency-Key: table ``idempotency_keys``."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.storage.engine import driver_of

REMEMBERED_FOR = timedelta(hours=24)
"""How long an answer counts unless it is kept. Fixed by the contract with the channels."""

_FIND = """
    SELECT parameters, answer::text FROM idempotency_keys WHERE caller_key = $1 AND (kept OR answered_at > $2)
"""
_FORGET = """
    DELETE FROM idempotency_keys WHERE caller_key IN (
        SELECT caller_key FROM idempotency_keys WHERE NOT kept AND answered_at <= $1
        ORDER BY answered_at LIMIT $2 FOR UPDATE SKIP LOCKED)
"""


@dataclass(frozen=True, slots=True)
class RememberedAnswer:
    """The answer of the first call, as JSON text, and the digest of its parameters."""

    parameters: bytes
    answer: str


class IdempotencyRepository:
    """Reads and forgets answers; what is answered writes them, last, in its own transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def find(self, caller_key: bytes, now: datetime) -> RememberedAnswer | None:
        """Return the answer under a key that counts still, whatever its parameters were."""
        driver = await driver_of(self._connection)
        row = await driver.fetchrow(_FIND, caller_key, now - REMEMBERED_FOR)
        return None if row is None else RememberedAnswer(row[0], row[1])

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete at most so many answers that do not count any more, and return how many it were."""
        driver = await driver_of(self._connection)
        return int((await driver.execute(_FORGET, now - REMEMBERED_FOR, limit)).rpartition(" ")[2])
