"""Reservations as stored, and the set statement that ends those whose time is over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from giftcert.domain.certificate.state import CertificateState
from giftcert.storage.events import CHANGED, events_of
from giftcert.storage.pool_changes import counted
from giftcert.storage.repository import Repository

_FIND = """
    SELECT r.reservation_id::text AS reservation_id, r.certificate_id::text AS certificate_id, r.channel,
        r.reserved_until, r.resolution, c.last_four
    FROM reservations AS r JOIN certificates AS c USING (certificate_id) WHERE r.reservation_id = $1
"""

NOTHING_WAITS = """NOT c.waits AND c.parked IS NULL
    AND NOT EXISTS (SELECT FROM pending AS p WHERE p.certificate_id = c.certificate_id OFFSET 0)
    AND NOT EXISTS (
        SELECT FROM spendings AS s WHERE s.certificate_id = c.certificate_id AND s.applied_at IS NULL OFFSET 0)"""
"""Condition of every set statement on ``certificates AS c``: what waits for a certificate is decided first."""

# Release on time alone (ADR 17) is decided in one snapshot: marks and news that commit between two reads would hide
# each other. News that commits after it was read later than the deadline, however long the lock was waited for.
_MAY_RELEASE = """
    SELECT coalesce((SELECT min(caught_up_to) FROM ingest_marks) > $2, false)
        AND NOT EXISTS (
            SELECT FROM pending WHERE certificate_id = $1::uuid AND number <> ALL ($3::bigint[]))
        AND NOT EXISTS (
            SELECT FROM spendings
            WHERE certificate_id = $1::uuid AND applied_at IS NULL AND identity <> ALL ($4::text[]))
        AND NOT EXISTS (SELECT FROM orders WHERE order_id = ANY ($5::text[]) AND too_large)
        AND NOT EXISTS (SELECT FROM quarantine WHERE closed_at IS NULL AND named_orders && $6::bytea[])
        AND NOT EXISTS (SELECT FROM quarantine WHERE closed_at IS NULL AND named_ids && ARRAY[$1, $7]::uuid[])
        AND NOT EXISTS (SELECT FROM quarantine WHERE closed_at IS NULL AND NOT searchable
            AND quarantined_at >= coalesce($8::timestamptz, '-infinity'))
"""
_RELEASED = "'reservationId', reservation_id, 'orderId', NULL, 'reason', 'reservationExpired'"
_COUNTED = counted("released", "'reserved'", "'available'")
_RELEASE_LAPSED = f"""
WITH lapsed AS MATERIALIZED (
    SELECT c.certificate_id FROM certificates AS c
    WHERE c.status = 'reserved' AND c.reserved_until <= $1
        AND c.reserved_until < (SELECT min(caught_up_to) FROM ingest_marks)
        AND c.known_lines IS NULL AND {NOTHING_WAITS}
        AND NOT EXISTS (SELECT FROM quarantine AS q
            WHERE q.closed_at IS NULL AND q.named_ids && ARRAY[c.certificate_id, c.reservation_id])
        AND NOT EXISTS (SELECT FROM quarantine AS q
            WHERE q.closed_at IS NULL AND NOT q.searchable AND q.quarantined_at >= c.reserved_at)
    ORDER BY c.reserved_until LIMIT $2 FOR NO KEY UPDATE OF c SKIP LOCKED
), released AS (
    UPDATE certificates AS c SET status = 'available', reservation_ended = true, available_since = $1,
        sequence = sequence + 1, version = version + 1, decided_at = greatest(decided_at, $1), next_instant = NULL
    FROM lapsed WHERE c.certificate_id = lapsed.certificate_id
    RETURNING {CHANGED}, c.reservation_channel
), resolved AS (
    UPDATE reservations AS r SET resolved_at = $1, resolution = 'reservationExpired'
    FROM released WHERE r.reservation_id = released.reservation_id
), {_COUNTED}, {events_of("released", "issue.released", "$1", "reservation_channel", _RELEASED)}
SELECT count(*) FROM released
"""  # noqa: S608 - made of constants

_SHARE = """
SELECT (
    SELECT count(*) FROM reservations JOIN certificates USING (certificate_id)
    WHERE reserved_by = $1 AND resolved_at IS NULL AND product_id = $2
), (
    SELECT count(*) FROM (
        SELECT FROM certificates WHERE product_id = $2 AND status = 'available' AND NOT blocked LIMIT $3
    ) AS free
)
"""


@dataclass(frozen=True, slots=True)
class StoredReservation:
    """A reservation of a certificate."""

    reservation_id: str
    certificate_id: str
    channel: str
    reserved_until: datetime
    resolution: str | None  # None: it lives
    last_four: str


class ReservationRepository(Repository):
    """Reads reservations and ends those that lapsed."""

    async def find(self, reservation_id: UUID) -> StoredReservation | None:
        """Return a reservation, live or past."""
        row = await self._fetchrow(_FIND, reservation_id)
        return None if row is None else StoredReservation(*row)

    async def live_of(self, caller: str) -> int:
        """Return how many reservations of a caller are neither ordered nor ended."""
        statement = "SELECT count(*) FROM reservations WHERE reserved_by = $1 AND resolved_at IS NULL"
        return int(await self._fetchval(statement, caller))

    async def share_of(self, caller: str, product_id: str, most: int) -> tuple[int, int]:
        """Return how many reservations of a product a caller holds, and how many, up to ``most``, are free."""
        [(held, free)] = await self._fetch(_SHARE, caller, product_id, most)
        return held, free

    async def may_release(
        self,
        state: CertificateState,
        deadline: datetime,
        orders: Mapping[str, bytes],
        *,
        decided: Sequence[int],
        applied: Sequence[str],
    ) -> bool:
        """Return whether no news of a locked certificate that came before a deadline can be on its way or wait.

        ``orders`` are those of its lines, with their digests in quarantine; ``decided`` and ``applied`` the numbers of
        pending rows and the identities of spendings that do not wait any more.
        """
        reservation = state.reservation
        return bool(
            await self._fetchval(
                _MAY_RELEASE,
                state.certificate_id,
                deadline,
                decided,
                applied,
                list(orders),
                list(orders.values()),
                reservation and reservation.reservation_id,
                reservation and reservation.reserved_at,
            )
        )

    async def release_lapsed(self, limit: int, now: datetime) -> int:
        """End at most so many reservations whose time is over and whose order cannot be on its way; return how many.

        Passes over what is locked, what something waits for, and what has a case of an earlier sale open: ``advance``
        releases that one.
        """
        return int(await self._fetchval(_RELEASE_LAPSED, now, limit))
