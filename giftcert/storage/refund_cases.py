"""Refund cases: which wait, whose they are, and what was decided last."""

from dataclasses import dataclass

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# Ids of refund cases are UUIDv7, so their order is that of their opening.
_OPEN = text("""
    SELECT c.certificate_id, one ->> 'refund_case_id' AS refund_case_id
    FROM certificates AS c,
        LATERAL (SELECT jsonb_path_query(c.state, '$.sale.cases[*]')
            UNION ALL SELECT jsonb_path_query(c.state, '$.past_sales[*].cases[*]')) AS cases (one)
    WHERE c.any_refund_state IN ('requested', 'awaitingCapture', 'pendingDetails')
        AND one ->> 'state' = ANY(CAST(:states AS text[])) AND one ->> 'refund_case_id' > :after
    ORDER BY 2 LIMIT :limit
""")
_OF_CASE = "payload ? 'refundCaseId' AND payload ->> 'refundCaseId' = :refund_case_id"  # as the index has it
_CERTIFICATE = text(f"SELECT certificate_id::text FROM events WHERE {_OF_CASE} LIMIT 1")  # noqa: S608 - a constant
_LAST_DECISION = text(f"""
    SELECT decided.payload::text AS decided, (
        SELECT done.payload::text FROM events AS done
        WHERE {_OF_CASE} AND done.event_type = 'refund.completed' AND done.sequence > decided.sequence
        ORDER BY done.sequence LIMIT 1
    ) AS completed
    FROM events AS decided
    WHERE {_OF_CASE} AND decided.event_type = 'refund.resolved' AND decided.payload ->> 'resolvedBy' = :resolved_by
    ORDER BY decided.sequence DESC LIMIT 1
""")  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True, kw_only=True)
class LastDecision:
    """What a person last decided about a case, as the stream tells it; amounts in minor units of the nominal.

    ``amount`` was allowed to be taken from the balance, ``taken`` has been: 0 while the money is not back.
    """

    decision: str
    note: str
    amount: int
    taken: int
    uncovered: int


class RefundCaseRepository:
    """Reads refund cases; the transitions of their certificates write them."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def open_cases(self, states: list[str], after: str, limit: int) -> list[tuple[str, str]]:
        """Return (certificate id, refund case id) of open refund cases in these states, oldest first."""
        values = {"states": states, "after": after, "limit": limit}
        rows = await self._connection.execute(_OPEN, values)
        return [(str(row.certificate_id), row.refund_case_id) for row in rows]

    async def certificate_of(self, refund_case_id: str) -> str | None:
        """Return whose a case is; every case is told on the stream in the transaction that opens it."""
        result = await self._connection.execute(_CERTIFICATE, {"refund_case_id": refund_case_id})
        found: str | None = result.scalar_one_or_none()
        return found

    async def last_decision(self, refund_case_id: str, resolved_by: str) -> LastDecision | None:
        """Return what somebody decided last about a case, or ``None`` if nothing."""
        values = {"refund_case_id": refund_case_id, "resolved_by": resolved_by}
        row = (await self._connection.execute(_LAST_DECISION, values)).one_or_none()
        if row is None:
            return None
        decided = msgspec.json.decode(row.decided)
        return LastDecision(
            decision=decided["decision"],
            note=decided["note"],
            amount=decided["amount"]["amount"],
            taken=msgspec.json.decode(row.completed)["taken"]["amount"] if row.completed else 0,
            uncovered=decided["uncovered"]["amount"],
        )
