"""Redemptions: which key asked for which, and what stands of each.

The row of a key is there before the workflow is asked, so that a repeat asks for the same redemption. What stands is
written by the transition that changes it, in its transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.domain.state import Redemption, RedemptionState

_STORED = """r.redemption_id, r.certificate_id::text AS certificate_id, r.parameters, r.channel, r.order_id,
    coalesce(r.amount, r.spent) AS amount, r.state, r.held, r.spent, r.restored, r.expires_at, c.currency, c.balance,
    c.sale_channel"""
_BEGIN = text("""
    INSERT INTO redemptions AS r
        (certificate_id, redemption_id, caller, idempotency_key, parameters, unanswered, channel, order_id, amount)
    VALUES (:certificate_id, :redemption_id, :caller, :key, :parameters, 1, :channel, :order_id, :amount)
    ON CONFLICT (caller, idempotency_key) DO UPDATE SET unanswered = r.unanswered + 1
    WHERE r.parameters = excluded.parameters AND r.state IS NULL
""")
_BY_KEY = text(f"""
    SELECT {_STORED} FROM redemptions AS r JOIN certificates AS c USING (certificate_id)
    WHERE r.caller = :caller AND r.idempotency_key = :key
""")  # noqa: S608 - made of constants
_CARRIED_OUT = f"""
    SELECT {_STORED}, r.caller IS NULL AS untold, r.created_at
    FROM redemptions AS r JOIN certificates AS c USING (certificate_id)
    WHERE r.redemption_id = :redemption_id AND r.state IS NOT NULL
"""  # noqa: S608 - made of constants
# Two parts, each by its index. Payments may name an id that is another certificate's; who asked for it comes first.
_BY_ID = text(f"""
    {_CARRIED_OUT} AND r.caller IS NOT NULL UNION ALL {_CARRIED_OUT} AND r.caller IS NULL AND r.channel IS NOT NULL
    ORDER BY untold, created_at LIMIT 1
""")
_ANSWERED = text("""
    UPDATE redemptions SET unanswered = unanswered - 1
    WHERE caller = :caller AND idempotency_key = :key AND redemption_id = :redemption_id AND unanswered > 0
""")
_FORGET = text("""
    DELETE FROM redemptions WHERE caller = :caller AND idempotency_key = :key AND redemption_id = :redemption_id
        AND state IS NULL AND unanswered = 0
""")
_STORE = text("""
    INSERT INTO redemptions (certificate_id, redemption_id, channel, order_id, state, payment_id, held, spent, restored,
        expires_at, updated_at)
    SELECT CAST(:certificate_id AS uuid), redemption_id, channel, order_id, state, payment_id, held, spent, restored,
        expires_at, clock_timestamp()
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS changed (redemption_id text, channel text, order_id text,
        state text, payment_id text, held bigint, spent bigint, restored bigint, expires_at timestamptz)
    ON CONFLICT (certificate_id, redemption_id) DO UPDATE SET state = excluded.state,
        payment_id = excluded.payment_id, held = excluded.held, spent = excluded.spent, restored = excluded.restored,
        expires_at = excluded.expires_at, updated_at = excluded.updated_at
""")


class KeyUsedError(Exception):
    """The caller's key belongs to a redemption with other parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedRedemption:
    """A call for a redemption under the caller's key; ``parameters`` is the SHA-256 of what makes two calls the same.

    ``redemption_id`` is the id that it gets if the key is new.
    """

    caller: str
    key: str
    parameters: bytes
    redemption_id: UUID
    certificate_id: UUID
    channel: str
    order_id: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRedemption:
    """A redemption that was asked for, and its certificate's balance; amounts in minor units of ``currency``.

    ``state`` is ``None`` while nobody knows whether the workflow carries it out. What payments alone told of was never
    held: it has no ``expires_at``, and its ``amount`` is what was spent.
    """

    redemption_id: str
    certificate_id: str
    channel: str
    order_id: str
    amount: int
    state: RedemptionState | None
    held: int
    spent: int
    restored: int
    expires_at: datetime | None
    currency: str
    balance: int
    sale_channel: str | None


class RedemptionRepository:
    """Reads and writes ``redemptions``; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def begin(self, wanted: WantedRedemption) -> StoredRedemption:
        """Return the redemption of the key: as it stands, or one for which the workflow has to be asked.

        Raises:
            KeyUsedError: it has other parameters.
        """
        about = {
            "certificate_id": wanted.certificate_id,
            "redemption_id": str(wanted.redemption_id),
            "channel": wanted.channel,
            "order_id": wanted.order_id,
            "amount": wanted.amount,
        }
        key = {"caller": wanted.caller, "key": wanted.key}
        await self._connection.execute(_BEGIN, about | key | {"parameters": wanted.parameters})
        row = (await self._connection.execute(_BY_KEY, key)).mappings().one()
        if row["parameters"] != wanted.parameters:
            raise KeyUsedError
        return _stored(row)

    async def refused(self, wanted: WantedRedemption, redemption_id: str) -> None:
        """Forget an attempt that the workflow refused, and the key with it unless another may yet be carried out."""
        values = {"caller": wanted.caller, "key": wanted.key, "redemption_id": redemption_id}
        await self._connection.execute(_ANSWERED, values)
        await self._connection.execute(_FORGET, values)

    async def find(self, redemption_id: UUID) -> StoredRedemption | None:
        """Return a redemption that was carried out, asked for over HTTP or told by payments, whatever became of it."""
        found = await self._connection.execute(_BY_ID, {"redemption_id": str(redemption_id)})
        row = found.mappings().one_or_none()
        return _stored(row) if row else None

    async def store(self, certificate_id: str, redemptions: Sequence[Redemption]) -> None:
        """Store redemptions as they now stand: those asked for over HTTP, and those that payments alone told of."""
        if redemptions:
            rows = msgspec.json.encode([_row(one) for one in redemptions]).decode()
            await self._connection.execute(_STORE, {"certificate_id": certificate_id, "rows": rows})


_UNSHOWN = frozenset({"parameters", "untold", "created_at"})


def _stored(row: RowMapping) -> StoredRedemption:
    values = {name: value for name, value in row.items() if name not in _UNSHOWN}
    state = RedemptionState(row["state"]) if row["state"] else None
    return StoredRedemption(**values | {"state": state})


def _row(redemption: Redemption) -> dict[str, Any]:
    return {
        "redemption_id": redemption.redemption_id,
        "channel": redemption.channel,
        "order_id": redemption.order_id,
        "state": redemption.state.value,
        "payment_id": redemption.payment_id,
        "held": redemption.held,
        "spent": redemption.spent,
        "restored": redemption.restored,
        "expires_at": redemption.expires_at,
    }
