"""Release on time alone: only when no news of the certificate can be on its way."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from giftcert.domain.certificate.deadlines import Deadline
from giftcert.domain.certificate.state import CertificateState, known_lines
from giftcert.security.keyring import Keyring
from giftcert.storage.certificates import PendingLine
from giftcert.storage.database import Connection
from giftcert.storage.quarantine import order_digest

SHORTEST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(hours=1)
_ALWAYS = datetime.min.replace(tzinfo=UTC)

# One snapshot: marks and news that commit between two reads would hide each other.
_IS_OPEN = """
    SELECT coalesce((SELECT min(caught_up_to) FROM ingest_marks) > $2, false)
        AND NOT EXISTS (
            SELECT FROM pending WHERE certificate_id = $1::uuid AND number <> ALL ($3::bigint[]))
        AND NOT EXISTS (
            SELECT FROM spendings
            WHERE certificate_id = $1::uuid AND applied_at IS NULL AND identity <> ALL ($4::text[]))
        AND NOT EXISTS (SELECT FROM orders WHERE order_id = ANY ($5::text[]) AND too_large)
        AND NOT EXISTS (SELECT FROM quarantine WHERE closed_at IS NULL AND named_ids && $6::uuid[])
        AND NOT EXISTS (SELECT FROM quarantine WHERE closed_at IS NULL AND named_orders && $7::bytea[])
        AND NOT EXISTS (SELECT FROM quarantine WHERE closed_at IS NULL AND NOT searchable AND quarantined_at >= $8)
"""


def look_again_after(deadline: Deadline, now: datetime) -> timedelta:
    """Return when to ask again for a deadline that is held back: after half the time that it is late."""
    return min(max((now - deadline.at) / 2, SHORTEST_WAIT), LONGEST_WAIT)


@dataclass(frozen=True, slots=True)
class ReleaseGate:
    """Asks on behalf of one locked certificate (ADR 17)."""

    connection: Connection
    keyring: Keyring

    async def is_open(
        self,
        deadline: Deadline,
        state: CertificateState,
        decided: Sequence[PendingLine],
        applied: Sequence[str],
    ) -> bool:
        """Return whether nothing is known or on its way, besides what was decided, that could keep the certificate."""
        reservation = state.reservation
        orders = sorted({ref.order_id for ref in known_lines(state)})
        named = [state.certificate_id, *([reservation.reservation_id] if reservation else [])]
        since = reservation.reserved_at if reservation and reservation.reserved_at else _ALWAYS
        return bool(
            await self.connection.fetchval(
                _IS_OPEN,
                state.certificate_id,
                deadline.at,
                [one.number for one in decided],
                list(applied),
                orders,
                named,
                [order_digest(self.keyring, order_id) for order_id in orders],
                since,
            )
        )
