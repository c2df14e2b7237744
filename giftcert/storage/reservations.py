"""The end of a reservation, other than by an order: extended, given back, run out."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# The certificate's row is the lock: an order that names it and the sweep take the same.
_LOCK = text("""
    SELECT r.reservation_id, r.certificate_id, r.channel, r.reserved_until, r.resolution, c.last_four
    FROM certificates AS c JOIN reservations AS r USING (certificate_id)
    WHERE r.reservation_id = :reservation_id FOR UPDATE OF c, r
""")
_EXTEND = text("""
    WITH certificate AS (
        UPDATE certificates SET reserved_until = :until, version = version + 1 WHERE certificate_id = :certificate_id
    )
    UPDATE reservations SET reserved_until = :until WHERE reservation_id = :reservation_id
""")
_RELEASE = text("""
    WITH certificate AS (
        UPDATE certificates SET status = 'available', reservation_ended = true, available_since = :now,
            version = version + 1
        WHERE certificate_id = :certificate_id
    )
    UPDATE reservations SET resolved_at = :now, resolution = 'channelReleased' WHERE reservation_id = :reservation_id
""")
_LIVE = text("SELECT count(*) FROM reservations WHERE reserved_by = :caller AND resolved_at IS NULL")
_ANY_ENDED = text("""
    SELECT count(*) FROM reservations
    WHERE reservation_id = ANY(CAST(:ids AS uuid[])) AND resolved_at IS NOT NULL
""")

# Nothing is released on time alone: what ingest has not yet read, or a workflow not yet applied, may be the order.
# No mark at all means that nobody knows how far ingest is, so nothing is released either.
_MAY_LAPSE = """
    c.status = 'reserved' AND c.reserved_until <= :now
    AND c.reserved_until < (SELECT min(caught_up_to) FROM ingest_marks)
    AND NOT EXISTS (
        SELECT FROM deliveries AS d LEFT JOIN applied_messages AS a USING (certificate_id, message_key)
        WHERE d.certificate_id = c.certificate_id AND a.certificate_id IS NULL)
"""
_LOCK_LAPSED = text(f"""
    SELECT certificate_id FROM certificates AS c WHERE {_MAY_LAPSE}
    ORDER BY reserved_until LIMIT :limit FOR UPDATE SKIP LOCKED
""")  # noqa: S608 - made of constants
# A statement of its own: it sees what was committed before the locks were had.
_RELEASE_LAPSED = text(f"""
    WITH released AS (
        UPDATE certificates AS c SET status = 'available', reservation_ended = true, available_since = :now,
            sequence = sequence + 1, version = version + 1
        WHERE certificate_id = ANY(CAST(:ids AS uuid[])) AND {_MAY_LAPSE}
        RETURNING c.*
    ), resolved AS (
        UPDATE reservations AS r SET resolved_at = :now, resolution = 'reservationExpired'
        FROM released WHERE r.reservation_id = released.reservation_id
    ), told AS (
        INSERT INTO events (event_id, shard, stream_key, certificate_id, sequence, event_type, occurred_at, channel,
            sale_channel, status, refund_state, product_id, nominal, currency, balance, held, payload)
        SELECT uuidv7(), crc32(certificate_id::text::bytea) % 32, certificate_id::text, certificate_id, sequence,
            'issue.released', :now, reservation_channel, reservation_channel,
            CASE WHEN blocked THEN 'blocked' ELSE status END, refund_state, product_id, nullif(nominal, 0),
            currency, balance, held,
            jsonb_build_object('reservationId', reservation_id, 'orderId', NULL, 'reason', 'reservationExpired')
        FROM released
    )
    SELECT count(*) FROM released
""")  # noqa: S608 - made of constants


@dataclass(frozen=True, slots=True)
class ReservationRow:
    """A reservation of a certificate; ``resolution`` is ``None`` while it lives."""

    reservation_id: UUID
    certificate_id: UUID
    channel: str
    reserved_until: datetime
    resolution: str | None
    last_four: str


class ReservationRepository:
    """Reads and ends reservations; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def lock(self, reservation_id: UUID) -> ReservationRow | None:
        """Return a reservation, live or past, and hold its certificate until the transaction ends."""
        row = (await self._connection.execute(_LOCK, {"reservation_id": reservation_id})).one_or_none()
        return ReservationRow(*row) if row else None

    async def extend(self, reservation: ReservationRow, until: datetime) -> None:
        """Move the end of a locked live reservation."""
        ids = {"certificate_id": reservation.certificate_id, "reservation_id": reservation.reservation_id}
        await self._connection.execute(_EXTEND, ids | {"until": until})

    async def release(self, reservation: ReservationRow, now: datetime) -> None:
        """End a locked live reservation because its channel gives the certificate back; the caller tells."""
        ids = {"certificate_id": reservation.certificate_id, "reservation_id": reservation.reservation_id}
        await self._connection.execute(_RELEASE, ids | {"now": now})

    async def release_lapsed(self, limit: int, now: datetime) -> int:
        """End at most so many reservations whose time is over and whose order cannot be on its way any more.

        Requires of each, under its certificate's lock, that every partition's mark lies beyond the deadline and
        that no delivery to it is unapplied.

        Returns:
            How many were released.
        """
        locked = await self._connection.execute(_LOCK_LAPSED, {"now": now, "limit": limit})
        ids = list(locked.scalars())
        if not ids:
            return 0
        return int((await self._connection.execute(_RELEASE_LAPSED, {"now": now, "ids": ids})).scalar_one())

    async def live_of(self, caller: str) -> int:
        """Return how many reservations of a caller are neither ordered nor ended."""
        return int((await self._connection.execute(_LIVE, {"caller": caller})).scalar_one())

    async def any_ended(self, reservation_ids: list[UUID]) -> bool:
        """Return whether at least one of these reservations is no more."""
        return bool((await self._connection.execute(_ANY_ENDED, {"ids": reservation_ids})).scalar_one())
