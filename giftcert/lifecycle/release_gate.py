"""Release on time alone: only when no news of the certificate can be on its way."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from giftcert.domain.certificate.deadlines import Deadline
from giftcert.domain.certificate.state import CertificateState, known_lines
from giftcert.security.keyring import Keyring
from giftcert.storage.certificates import PendingLine
from giftcert.storage.database import Connection
from giftcert.storage.quarantine import order_digest
from giftcert.storage.reservations import ReservationRepository

SHORTEST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(hours=1)


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
        orders = sorted({ref.order_id for ref in known_lines(state)})
        return await ReservationRepository(self.connection).may_release(
            state,
            deadline.at,
            {order_id: order_digest(self.keyring, order_id) for order_id in orders},
            decided=[one.number for one in decided],
            applied=applied,
        )
