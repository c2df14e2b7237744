"""Reading for people and channels: which certificates there are, and the history of one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.domain.numbers import mask

_FOUND = """c.certificate_id, c.product_id, c.currency, nullif(c.nominal, 0) AS nominal, c.last_four, p.number_length,
    CASE WHEN c.blocked THEN 'blocked' ELSE c.status END AS status, c.refund_state, c.balance, c.held, c.order_id,
    l.line_id, c.customer_id"""
_CONDITIONS = {
    "certificate_id": "c.certificate_id = :certificate_id",
    "order_id": """c.certificate_id IN (SELECT unnest(named_certificates) FROM order_lines
        WHERE order_id = :order_id)""",
    "refund_id": """c.certificate_id IN (SELECT e.certificate_id FROM events AS e
        WHERE e.payload ? 'refundId' AND e.payload ->> 'refundId' = :refund_id)""",
    "reservation_id": """c.certificate_id = (SELECT r.certificate_id FROM reservations AS r
        WHERE r.reservation_id = :reservation_id)""",
    "customer_id": "c.customer_id = :customer_id",
    "last_four": "c.last_four = :last_four AND c.order_id IS NOT NULL",
}
_ANSWERS = text("SELECT FROM certificates LIMIT 0")
_EXISTS = text("SELECT 1 FROM certificates WHERE certificate_id = :certificate_id")
_HISTORY = text("""
    SELECT event_id, sequence, event_type, occurred_at, recorded_at, channel, status, refund_state, nominal, currency,
        balance, held, CAST(payload AS text) AS payload
    FROM events WHERE certificate_id = :certificate_id AND sequence > :after ORDER BY sequence LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class FoundCertificate:
    """A certificate in a list; amounts in minor units of ``currency``."""

    certificate_id: UUID
    product: str
    currency: str
    nominal: int | None
    last_four: str
    number_length: int
    status: str
    refund_state: str
    balance: int
    held: int
    order_id: str | None
    line_id: str | None
    customer_id: str | None

    @property
    def masked_number(self) -> str:
        """The number as it may be shown."""
        return mask(self.last_four, self.number_length)


@dataclass(frozen=True, slots=True)
class PastEvent:
    """A public event of a certificate; ``payload`` is JSON text."""

    event_id: UUID
    sequence: int
    event_type: str
    occurred_at: datetime
    recorded_at: datetime
    channel: str | None
    status: str | None
    refund_state: str | None
    nominal: int | None
    currency: str | None
    balance: int | None
    held: int | None
    payload: str


class ReadingRepository:
    """Answers questions; changes nothing."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def answers(self) -> None:
        """Return if the database is there and migrated."""
        await self._connection.execute(_ANSWERS)

    async def exists(self, certificate_id: UUID) -> bool:
        """Return whether there is a certificate with this id."""
        found = await self._connection.execute(_EXISTS, {"certificate_id": certificate_id})
        return found.one_or_none() is not None

    async def search(
        self, criteria: dict[str, Any], after: UUID | None, limit: int
    ) -> list[FoundCertificate]:
        """Return certificates that fit all criteria, in the order of their ids, from behind ``after``.

        Args:
            criteria: values by name: ``certificate_id``, ``order_id`` (now or ever), ``refund_id``, ``reservation_id``,
                ``customer_id``, ``last_four`` (of those with an order); at least one.
            after: the last id of the page before.
            limit: the length of a page.
        """
        conditions = " AND ".join(_CONDITIONS[name] for name in criteria)
        statement = text(f"""
            SELECT {_FOUND} FROM certificates AS c JOIN products AS p USING (product_id)
            LEFT JOIN order_lines AS l ON l.order_id = c.order_id AND l.line_key = c.line_key
            WHERE {conditions} AND c.certificate_id > :after ORDER BY c.certificate_id LIMIT :limit
        """)  # noqa: S608 - made of constants
        values = criteria | {"after": after or UUID(int=0), "limit": limit}
        return [FoundCertificate(*row) for row in await self._connection.execute(statement, values)]

    async def history(self, certificate_id: UUID, after: int, limit: int) -> list[PastEvent]:
        """Return the public events behind a sequence number, in order."""
        values = {"certificate_id": certificate_id, "after": after, "limit": limit}
        return [PastEvent(*row) for row in await self._connection.execute(_HISTORY, values)]
