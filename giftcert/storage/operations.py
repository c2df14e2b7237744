"""Retirements that operations asked for, how far each has come, and the set statement that retires what is not sold."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from giftcert.domain.certificate.state import ENDED, FOR_SALE
from giftcert.storage.certificates import UnknownCertificateError
from giftcert.storage.events import CHANGED, EventRepository, events_of
from giftcert.storage.pool_changes import SHOWN, counted
from giftcert.storage.repository import Repository
from giftcert.storage.reservations import NOTHING_WAITS

CHUNK = 500  # certificates of one step, whose orders and claims wait for some 50 ms

_COLUMNS = """operation_id, batch_id, certificate_id, reason, requested_by, requested_at, total, done, retired, blocked,
    reached, finished_at"""
_START = f"""
    INSERT INTO operations (operation_id, batch_id, certificate_id, reason, requested_by, requested_at, total)
    SELECT $1, $2, $3, $4, $5, $6, total FROM (
        SELECT quantity AS total FROM batches WHERE batch_id = $2
        UNION ALL SELECT 1 FROM certificates WHERE certificate_id = $3
    ) AS wanted
    RETURNING {_COLUMNS}
"""  # noqa: S608 - made of constants
_FOR_SALE, _ENDED = (", ".join(f"'{one}'" for one in sorted(statuses)) for statuses in (FOR_SALE, ENDED))
_COUNTED = counted("retired", "was", SHOWN.format("retired"))
# $1 batch, $2 behind which certificate, $3 how many, $4 now, $5 reason, $6 by whom.
_RETIRE = f"""
WITH chunk AS MATERIALIZED (
    SELECT certificate_id FROM certificates WHERE batch_id = $1 AND certificate_id > $2
    ORDER BY certificate_id LIMIT $3
), unsold AS MATERIALIZED (
    SELECT c.certificate_id, CASE WHEN c.status = 'reserved' THEN c.reservation_channel END AS sold_by,
        {SHOWN.format("c")} AS was
    FROM certificates AS c JOIN chunk USING (certificate_id)
    WHERE c.status IN ({_FOR_SALE}) AND c.known_lines IS NULL AND {NOTHING_WAITS}
    ORDER BY c.certificate_id FOR NO KEY UPDATE OF c SKIP LOCKED
), retired AS (
    UPDATE certificates AS c SET status = 'retired', balance = 0, reservation_ended = true, sequence = sequence + 1,
        version = version + 1, decided_at = greatest(decided_at, $4), next_instant = NULL
    FROM unsold WHERE c.certificate_id = unsold.certificate_id
    RETURNING {CHANGED}, unsold.sold_by, unsold.was
), resolved AS (
    UPDATE reservations AS r SET resolved_at = $4, resolution = 'retired'
    FROM retired WHERE r.reservation_id = retired.reservation_id AND r.resolved_at IS NULL
), {_COUNTED},
{events_of("retired", "audit.retired", "$4", "sold_by", "'reason', $5::text, 'by', $6::text, 'breakage', NULL")}
SELECT chunk.certificate_id, c.status NOT IN ({_ENDED}) AND NOT (c.blocked AND c.status NOT IN ({_FOR_SALE}))
    AND NOT EXISTS (SELECT FROM retired WHERE retired.certificate_id = chunk.certificate_id) AS is_left
FROM chunk JOIN certificates AS c USING (certificate_id) ORDER BY chunk.certificate_id
"""  # noqa: S608 - made of constants
# How they stand afterwards, so that a step that is done again after a crash counts the same.
_ADVANCE = """
UPDATE operations SET done = least(total, done + looked_at), retired = operations.retired + now.retired,
    blocked = operations.blocked + now.blocked, reached = $2, finished_at = CASE WHEN $4 THEN $5::timestamptz END
FROM (
    SELECT count(*) AS looked_at, count(*) FILTER (WHERE status = 'retired') AS retired,
        count(*) FILTER (WHERE blocked AND status <> 'retired') AS blocked
    FROM certificates WHERE certificate_id = ANY($6::uuid[])
) AS now
WHERE operation_id = $1 AND reached IS NOT DISTINCT FROM $3 AND finished_at IS NULL
"""


class UnknownBatchError(LookupError):
    """There is no batch with this id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What operations asked to be retired, a batch or one certificate, and how far it has come."""

    operation_id: UUID
    batch_id: UUID | None
    certificate_id: UUID | None
    reason: str
    requested_by: str
    requested_at: datetime
    total: int = 0
    done: int = 0  # were looked at; of those so many were then retired, or blocked
    retired: int = 0
    blocked: int = 0
    reached: UUID | None = None  # all up to this certificate are done
    finished_at: datetime | None = None

    @property
    def subject(self) -> str:
        """What is to be retired, in words."""
        return f"certificate {self.certificate_id}" if self.batch_id is None else f"batch {self.batch_id}"


@dataclass(frozen=True, slots=True)
class Chunk:
    """Certificates of one step."""

    certificate_ids: tuple[UUID, ...]
    left: tuple[UUID, ...]  # to be decided one by one


class OperationRepository(Repository):
    """Starts operations and returns their progress."""

    async def start(self, asked: Operation, stream_key: str) -> Operation:
        """Record what is to be retired, and publish who asked.

        Raises ``UnknownBatchError``, ``UnknownCertificateError``.
        """
        what = (asked.operation_id, asked.batch_id, asked.certificate_id)
        row = await self._fetchrow(_START, *what, asked.reason, asked.requested_by, asked.requested_at)
        if row is not None:
            acted = f"retire {asked.subject}: {asked.reason}"
            events = EventRepository(self._connection)
            await events.append_act(stream_key, asked.requested_by, acted, asked.requested_at)
            return Operation(**row)
        if asked.batch_id is not None:
            raise UnknownBatchError(asked.batch_id)
        raise UnknownCertificateError(asked.certificate_id)

    async def find(self, operation_id: UUID) -> Operation | None:
        """Return an operation."""
        row = await self._fetchrow(f"SELECT {_COLUMNS} FROM operations WHERE operation_id = $1", operation_id)  # noqa: S608
        return None if row is None else Operation(**row)

    async def unfinished(self) -> list[UUID]:
        """Return the operations that are not finished, the oldest first."""
        statement = "SELECT operation_id FROM operations WHERE finished_at IS NULL ORDER BY requested_at"
        return [row[0] for row in await self._fetch(statement)]

    async def retire_unsold(self, operation: Operation, now: datetime) -> Chunk:
        """Retire those of the next certificates that are for sale or reserved, not locked and have nothing open."""
        if operation.certificate_id is not None:
            return Chunk((operation.certificate_id,), (operation.certificate_id,))
        after, why = operation.reached or UUID(int=0), (operation.reason, operation.requested_by)
        rows = await self._fetch(_RETIRE, operation.batch_id, after, CHUNK, now, *why)
        every = tuple(row["certificate_id"] for row in rows)
        return Chunk(every, tuple(row["certificate_id"] for row in rows if row["is_left"]))

    async def advance(self, operation: Operation, chunk: Chunk, now: datetime) -> bool:
        """Count a chunk as done, unless another process did; return whether the operation is finished."""
        finished = len(chunk.certificate_ids) < CHUNK
        before, ids = operation.reached, chunk.certificate_ids
        reached = ids[-1] if ids else before
        await self._execute(_ADVANCE, operation.operation_id, reached, before, finished, now, ids)
        return finished
