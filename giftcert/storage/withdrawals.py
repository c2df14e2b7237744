"""Certificates that people take out of use: locked many at a time, and written as the domain decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.domain.lifecycle import MATRIX, Rule
from giftcert.domain.messages import Block, Retire
from giftcert.domain.state import CertificateState, Status

RETIRABLE = tuple(one.value for one in Status if MATRIX[one, Retire].rule is Rule.RETIRE)
SOLD = tuple(
    one.value for one in Status if MATRIX[one, Block].rule is Rule.BLOCK and one.value not in RETIRABLE
)
_LOCKED = "certificate_id, product_id, status, sequence > 0 AS is_told"
_LOCK_SOME = text(f"""
    SELECT {_LOCKED} FROM certificates
    WHERE batch_id = :batch_id AND certificate_id > :after
        AND (status = ANY(CAST(:retirable AS text[])) OR (status = ANY(CAST(:sold AS text[])) AND NOT blocked))
    ORDER BY certificate_id LIMIT :limit FOR UPDATE
""")  # noqa: S608 - made of constants
_LOCK_ONE = text(f"SELECT {_LOCKED} FROM certificates WHERE certificate_id = :id FOR UPDATE")  # noqa: S608
# The columns are the authority for what they hold, so the rest of the state stays as it is.
_WRITE = text("""
    WITH changed AS (
        UPDATE certificates AS c SET status = new.status, blocked = new.blocked, balance = new.balance,
            reservation_ended = new.status <> 'reserved', version = c.version + 1
        FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS text[]), CAST(:blocked AS boolean[]),
            CAST(:balances AS bigint[])) AS new (certificate_id, status, blocked, balance)
        WHERE c.certificate_id = new.certificate_id
        RETURNING c.certificate_id, c.status
    )
    UPDATE reservations AS r SET resolved_at = :at, resolution = 'retired' FROM changed
    WHERE r.certificate_id = changed.certificate_id AND r.resolved_at IS NULL AND changed.status = 'retired'
""")
_RETIRE = text("""
    UPDATE certificates SET status = 'retired', version = version + 1
    WHERE certificate_id = ANY(CAST(:ids AS uuid[]))
""")
_BATCH = text("SELECT EXISTS (SELECT FROM batches WHERE batch_id = :batch_id)")
_STATUSES = text("""
    SELECT CASE WHEN blocked THEN 'blocked' ELSE status END AS shown, count(*) AS certificates
    FROM certificates WHERE batch_id = :batch_id GROUP BY shown ORDER BY shown
""")


@dataclass(frozen=True, slots=True)
class LockedCertificate:
    """A certificate whose row is locked; the stream knows of it only if it ``is_told``."""

    certificate_id: UUID
    product: str
    status: str
    is_told: bool

    @property
    def is_unsold(self) -> bool:
        """Whether it is in the pool or reserved, so that no workflow leads it."""
        return self.status in RETIRABLE

    @property
    def is_sold(self) -> bool:
        """Whether it is ordered or in a buyer's hands, so that it can be blocked."""
        return self.status in SOLD


class WithdrawalRepository:
    """Locks and writes certificates for people's acts; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lock_some(self, batch_id: UUID, after: UUID, limit: int) -> list[LockedCertificate]:
        """Lock the next certificates of a batch, by id, that can be retired or, being sold, blocked."""
        values = {"batch_id": batch_id, "after": after, "limit": limit}
        statuses = {"retirable": list(RETIRABLE), "sold": list(SOLD)}
        rows = await self._connection.execute(_LOCK_SOME, values | statuses)
        return [LockedCertificate(*row) for row in rows]

    async def lock_one(self, certificate_id: UUID) -> LockedCertificate | None:
        """Lock a certificate; ``None`` if there is no such."""
        row = (await self._connection.execute(_LOCK_ONE, {"id": certificate_id})).one_or_none()
        return LockedCertificate(*row) if row else None

    async def write(self, states: Sequence[CertificateState], at: datetime) -> None:
        """Store what acts may change of locked certificates, and resolve the reservations of those retired."""
        values = {
            "ids": [UUID(one.certificate_id) for one in states],
            "statuses": [one.status.value for one in states],
            "blocked": [one.blocked for one in states],
            "balances": [one.balance for one in states],
            "at": at,
        }
        await self._connection.execute(_WRITE, values)

    async def retire_untold(self, certificate_ids: Sequence[UUID]) -> None:
        """Retire locked certificates that were never reserved, of which the stream knows nothing."""
        await self._connection.execute(_RETIRE, {"ids": list(certificate_ids)})

    async def has_batch(self, batch_id: UUID) -> bool:
        """Return whether there is such a batch."""
        return bool((await self._connection.execute(_BATCH, {"batch_id": batch_id})).scalar_one())

    async def statuses(self, batch_id: UUID) -> dict[str, int]:
        """Return how many certificates of a batch stand in each status."""
        rows = await self._connection.execute(_STATUSES, {"batch_id": batch_id})
        return {row.shown: row.certificates for row in rows}
