"""Search for certificates by what people and channels know of them."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from giftcert.domain.numbers import mask
from giftcert.storage.repository import Repository

_FOUND = """c.certificate_id, c.product_id, c.currency, nullif(c.nominal, 0) AS nominal, c.last_four, p.number_length,
    CASE WHEN c.blocked THEN 'blocked' ELSE c.status END AS status, c.refund_state, c.balance, c.held, c.order_id,
    l.line_id, c.customer_id"""
# Ids are looked up first: sorted by them, the server would else walk all certificates to the first that fits.
_CONDITIONS = {
    "certificate_id": "c.certificate_id = {}",
    "order_id": """c.certificate_id = ANY(ARRAY(SELECT unnest(named_certificates) FROM order_lines
        WHERE order_id = {}))""",
    "refund_id": """c.certificate_id = ANY(ARRAY(SELECT e.certificate_id FROM events AS e
        WHERE e.payload ? 'refundId' AND e.payload ->> 'refundId' = {}))""",
    "reservation_id": """c.certificate_id = (SELECT r.certificate_id FROM reservations AS r
        WHERE r.reservation_id = {})""",
    # Bought by the client, or by one who was merged into the client, at any remove; UNION ends a ring of merges.
    "customer_id": """c.customer_id = ANY(ARRAY(
        WITH RECURSIVE merged (client_id) AS (
            SELECT {}::text
            UNION
            SELECT k.client_id FROM clients AS k JOIN merged ON k.merged_into = merged.client_id
        )
        SELECT client_id FROM merged))""",
    "last_four": "c.last_four = {} AND c.order_id IS NOT NULL",
}


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


class CertificateSearch(Repository):
    """Finds certificates for people and channels."""

    async def find(
        self, criteria: dict[str, Any], after: UUID | None = None, limit: int = 1
    ) -> list[FoundCertificate]:
        """Return certificates that fit all criteria, at least one, in the order of their ids, from behind ``after``.

        Criteria are ``certificate_id``, ``order_id`` (now or ever), ``refund_id``, ``reservation_id``, ``customer_id``,
        ``last_four`` (of those with an order).
        """
        conditions = " AND ".join(_CONDITIONS[name].format(f"${nth}") for nth, name in enumerate(criteria, 3))
        statement = f"""
            SELECT {_FOUND} FROM certificates AS c JOIN products AS p USING (product_id)
            LEFT JOIN order_lines AS l ON l.order_id = c.order_id AND l.line_key = c.line_key
            WHERE {conditions} AND c.certificate_id > $1 ORDER BY c.certificate_id LIMIT $2
        """  # noqa: S608 - made of constants
        rows = await self._fetch(statement, after or UUID(int=0), limit, *criteria.values())
        return [FoundCertificate(*row) for row in rows]
