"""Redemptions as they stand; the transaction that changes a certificate writes them."""

from dataclasses import dataclass
from datetime import datetime

from giftcert.domain.certificate.state import RedemptionState
from giftcert.storage.repository import Repository, of_row

# A payment may name an id that is another certificate's: what was asked for over HTTP, which alone expires, goes first.
_FIND = """
    SELECT r.redemption_id, r.certificate_id::text AS certificate_id, r.channel, r.order_id, r.state, r.amount, r.held,
        r.spent, r.restored, r.expires_at, c.currency, c.balance
    FROM redemptions AS r JOIN certificates AS c USING (certificate_id)
    WHERE r.redemption_id = $1 AND r.channel IS NOT NULL
    ORDER BY r.expires_at IS NULL, r.created_at LIMIT 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRedemption:
    """A redemption, and its certificate's balance; amounts in minor units of ``currency``."""

    redemption_id: str
    certificate_id: str
    channel: str
    order_id: str
    state: RedemptionState
    amount: int  # of what only payments reported: what was spent
    held: int
    spent: int
    restored: int
    expires_at: datetime | None  # of a hold
    currency: str
    balance: int


class RedemptionRepository(Repository):
    """Reads ``redemptions``."""

    async def find(self, redemption_id: str) -> StoredRedemption | None:
        """Return a redemption, asked for over HTTP or reported by payments, whatever its state."""
        row = await self._fetchrow(_FIND, redemption_id)
        return None if row is None else of_row(StoredRedemption, row, state=RedemptionState(row["state"]))
