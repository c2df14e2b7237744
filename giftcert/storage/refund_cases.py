"""Refund cases: which are open, and whose they are; the transactions of their certificates write them."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from giftcert.domain.order.standing import LineStanding
from giftcert.storage.repository import Repository

# Ids of refund cases are UUIDv7, so their order is that of their opening.
_OPEN = """
    SELECT c.certificate_id::text, one ->> 'refund_case_id', l.standing
    FROM certificates AS c
    CROSS JOIN LATERAL (
        SELECT jsonb_path_query(c.state, '$.sale') UNION ALL SELECT jsonb_path_query(c.state, '$.past_sales[*]')
    ) AS sales (sale)
    CROSS JOIN LATERAL jsonb_path_query(sale, '$.cases[*]') AS cases (one)
    LEFT JOIN order_lines AS l
        ON l.order_id = sale ->> 'order_id' AND l.line_key = CAST(sale ->> 'line_key' AS integer)
    WHERE c.any_refund_state IN ('requested', 'awaitingCapture', 'pendingDetails')
        AND one ->> 'state' = $1 AND one ->> 'refund_case_id' > $2
    ORDER BY 2 LIMIT $3
"""
_COUNTS = """
    SELECT one ->> 'state', count(*), min(coalesce(one ->> 'pending_since', one ->> 'opened_at')::timestamptz)
    FROM certificates AS c
    CROSS JOIN LATERAL (
        SELECT jsonb_path_query(c.state, '$.sale') UNION ALL SELECT jsonb_path_query(c.state, '$.past_sales[*]')
    ) AS sales (sale)
    CROSS JOIN LATERAL jsonb_path_query(sale, '$.cases[*]') AS cases (one)
    WHERE c.any_refund_state IN ('requested', 'awaitingCapture', 'pendingDetails')
        AND one ->> 'state' IN ('requested', 'awaitingCapture', 'pendingDetails')
    GROUP BY 1 ORDER BY 1
"""
# Every case is published by the transaction that opens it.
_CERTIFICATE = """
    SELECT certificate_id::text FROM events
    WHERE payload ? 'refundCaseId' AND payload ->> 'refundCaseId' = $1 LIMIT 1
"""
_STANDING: msgspec.json.Decoder[LineStanding] = msgspec.json.Decoder(LineStanding)


@dataclass(frozen=True, slots=True)
class OpenCase:
    """An open refund case, its certificate, and how its order line stands."""

    certificate_id: str
    refund_case_id: str
    standing: LineStanding | None


@dataclass(frozen=True, slots=True)
class OpenCases:
    """How many refund cases are in an open state, and since when the oldest of them is."""

    state: str
    count: int
    since: datetime | None


class RefundCaseRepository(Repository):
    """Reads refund cases."""

    async def counts(self) -> list[OpenCases]:
        """Return how many refund cases are open, by their state."""
        return [OpenCases(*row) for row in await self._fetch(_COUNTS)]

    async def open_cases(self, state: str, after: str, limit: int) -> list[OpenCase]:
        """Return open refund cases in a state, oldest first, from behind the case ``after``."""
        return [
            OpenCase(certificate_id, case_id, _STANDING.decode(standing) if standing else None)
            for certificate_id, case_id, standing in await self._fetch(_OPEN, state, after, limit)
        ]

    async def certificate_of(self, refund_case_id: str) -> str | None:
        """Return the certificate of a case, or ``None`` if there is no such case."""
        certificate_id: str | None = await self._fetchval(_CERTIFICATE, refund_case_id)
        return certificate_id
