"""Retirements that operations asked for, how far each has come, and the set statement that retires what is not sold."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.domain.certificate.state import ENDED, FOR_SALE
from giftcert.storage.certificates import UnknownCertificateError
from giftcert.storage.engine import driver_of
from giftcert.storage.events import COLUMNS, RECORD
from giftcert.storage.reservations import NOTHING_WAITS

CHUNK = 500
"""Certificates of one step, whose orders and claims wait for some 50 ms."""

_BEGINNING = UUID(int=0)
_COLUMNS = """operation_id, batch_id, certificate_id, reason, requested_by, requested_at, total, done, retired, blocked,
    reached, finished_at"""
_START = text(f"""
    INSERT INTO operations (operation_id, kind, batch_id, certificate_id, reason, requested_by, requested_at, total)
    SELECT :operation_id, 'retire', :batch_id, :certificate_id, :reason, :requested_by, :requested_at, total
    FROM (
        SELECT quantity AS total FROM batches WHERE batch_id = :batch_id
        UNION ALL SELECT 1 FROM certificates WHERE certificate_id = :certificate_id
    ) AS wanted
    RETURNING {_COLUMNS}
""")  # noqa: S608 - made of constants
_FIND = text(f"SELECT {_COLUMNS} FROM operations WHERE operation_id = :operation_id")  # noqa: S608
_UNFINISHED = text("SELECT operation_id FROM operations WHERE finished_at IS NULL ORDER BY requested_at")
_FOR_SALE, _ENDED = (", ".join(f"'{one}'" for one in sorted(statuses)) for statuses in (FOR_SALE, ENDED))
# $1 batch, $2 behind which certificate, $3 how many, $4 now, $5 reason, $6 by whom.
_RETIRE = f"""
WITH chunk AS MATERIALIZED (
    SELECT certificate_id FROM certificates WHERE batch_id = $1 AND certificate_id > $2
    ORDER BY certificate_id LIMIT $3
), unsold AS MATERIALIZED (
    SELECT c.certificate_id, CASE WHEN c.status = 'reserved' THEN c.reservation_channel END AS sold_by
    FROM certificates AS c JOIN chunk USING (certificate_id)
    WHERE c.status IN ({_FOR_SALE}) AND c.known_lines IS NULL AND {NOTHING_WAITS}
    ORDER BY c.certificate_id FOR NO KEY UPDATE OF c SKIP LOCKED
), retired AS (
    UPDATE certificates AS c SET status = 'retired', balance = 0, reservation_ended = true, sequence = sequence + 1,
        version = version + 1, decided_at = greatest(decided_at, $4), next_instant = NULL
    FROM unsold WHERE c.certificate_id = unsold.certificate_id
    RETURNING c.*, unsold.sold_by
), resolved AS (
    UPDATE reservations AS r SET resolved_at = $4, resolution = 'retired'
    FROM retired WHERE r.reservation_id = retired.reservation_id AND r.resolved_at IS NULL
), new_events ({COLUMNS}) AS (
    SELECT uuidv7(), certificate_id::text, certificate_id, sequence, 'audit.retired', $4, sold_by, sold_by,
        CASE WHEN blocked THEN 'blocked' ELSE status END, refund_state, product_id, nullif(nominal, 0), currency,
        balance, held, NULL, NULL, jsonb_build_object('reason', $5::text, 'by', $6::text, 'breakage', NULL)
    FROM retired
), {RECORD}
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
    """What operations asked to be retired: a batch or one certificate."""

    operation_id: UUID
    batch_id: UUID | None
    certificate_id: UUID | None
    reason: str
    requested_by: str
    requested_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOperation(Operation):
    """An operation and how far it has come.

    Of ``total`` certificates ``done`` were looked at; of those so many were then ``retired`` and ``blocked``. All up to
    ``reached`` are done, by certificate id.
    """

    total: int
    done: int
    retired: int
    blocked: int
    reached: UUID | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Certificates of one step; those ``left`` are to be decided one by one."""

    certificate_ids: tuple[UUID, ...]
    left: tuple[UUID, ...]


class OperationRepository:
    """Starts operations and tells how far they have come; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def start(self, operation: Operation) -> StoredOperation:
        """Remember what is to be retired.

        Raises:
            UnknownBatchError: there is no such batch.
            UnknownCertificateError: there is no such certificate.
        """
        values = {name: getattr(operation, name) for name in Operation.__dataclass_fields__}
        row = (await self._connection.execute(_START, values)).mappings().one_or_none()
        if row is None and operation.batch_id is not None:
            raise UnknownBatchError(operation.batch_id)
        if row is None:
            raise UnknownCertificateError(operation.certificate_id)
        return StoredOperation(**row)

    async def find(self, operation_id: UUID) -> StoredOperation | None:
        """Return an operation."""
        result = await self._connection.execute(_FIND, {"operation_id": operation_id})
        row = result.mappings().one_or_none()
        return None if row is None else StoredOperation(**row)

    async def unfinished(self) -> list[UUID]:
        """Return the operations that are not finished, the oldest first."""
        return list((await self._connection.execute(_UNFINISHED)).scalars())

    async def retire_unsold(self, operation: StoredOperation, now: datetime) -> Chunk:
        """Retire what the next certificates of an operation have nothing open of, for sale or reserved.

        Passes over what is locked; whatever else may be to do is left.
        """
        if operation.certificate_id is not None:
            return Chunk((operation.certificate_id,), (operation.certificate_id,))
        driver = await driver_of(self._connection)
        rows = await driver.fetch(
            _RETIRE,
            operation.batch_id,
            operation.reached or _BEGINNING,
            CHUNK,
            now,
            operation.reason,
            operation.requested_by,
        )
        every = tuple(row["certificate_id"] for row in rows)
        return Chunk(every, tuple(row["certificate_id"] for row in rows if row["is_left"]))

    async def advance(self, operation: StoredOperation, chunk: Chunk, now: datetime) -> bool:
        """Count a chunk as done, unless another process did; return whether the operation is finished."""
        driver = await driver_of(self._connection)
        finished = len(chunk.certificate_ids) < CHUNK
        last = chunk.certificate_ids[-1] if chunk.certificate_ids else operation.reached
        await driver.execute(
            _ADVANCE,
            operation.operation_id,
            last,
            operation.reached,
            finished,
            now,
            chunk.certificate_ids,
        )
        return finished
