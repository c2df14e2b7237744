"""Counts of the pool: each change of a status leaves a row, and maintenance adds the rows up (ADR 86).

Nobody waits for a counter that others change too, and whoever counts reads what is added up and the few rows since.
"""

from datetime import datetime, timedelta

from giftcert.storage.repository import Repository

SHOWN = "CASE WHEN {0}.blocked THEN 'blocked' ELSE {0}.status END"
"""The status of a row of ``certificates`` as events and counts show it."""
SALES_WINDOW = timedelta(hours=24)
"""A forecast knows the sales of so long."""

_TRY_LOCK, _LOCK = (f"SELECT pg_{how}advisory_xact_lock(7310594)" for how in ("try_", ""))
_FOLD = """
WITH folded AS MATERIALIZED (
    DELETE FROM pool_changes RETURNING *
), changes AS (
    SELECT product_id, status, certificates FROM folded
    UNION ALL SELECT product_id, was, -certificates FROM folded WHERE was IS NOT NULL
), added AS (
    INSERT INTO pool_counts AS known (product_id, status, certificates)
    SELECT product_id, status, sum(certificates) FROM changes GROUP BY product_id, status
    ON CONFLICT (product_id, status) DO UPDATE SET certificates = known.certificates + excluded.certificates
), sold AS (
    INSERT INTO pool_sales AS known (product_id, hour, sold)
    SELECT product_id, date_trunc('hour', $1::timestamptz), sum(certificates) FROM folded
    WHERE status = 'issued' AND was IN ('available', 'reserved', 'ordered') GROUP BY product_id
    ON CONFLICT (product_id, hour) DO UPDATE SET sold = known.sold + excluded.sold
)
SELECT count(*) FROM folded
"""
# In one snapshot: what commits later has left its row, which stays.
_RECOUNT = f"""
WITH gone AS (
    DELETE FROM pool_changes
), there AS (
    SELECT product_id, {SHOWN.format("c")} AS status, count(*) AS certificates FROM certificates AS c GROUP BY 1, 2
)
INSERT INTO pool_counts AS known (product_id, status, certificates)
SELECT product_id, status, coalesce(there.certificates, 0) FROM there FULL JOIN pool_counts USING (product_id, status)
ON CONFLICT (product_id, status) DO UPDATE SET certificates = excluded.certificates
"""  # noqa: S608 - made of constants
_COUNTING_SECONDS = 600.0  # all certificates
_FORGET = "DELETE FROM pool_sales WHERE hour <= $1"


def counted(changed: str, was: str, status: str) -> str:
    """Return a CTE that records a change of status of each certificate whose product the CTE ``changed`` returns."""
    return f"""counted AS (
    INSERT INTO pool_changes (product_id, was, status, certificates)
    SELECT product_id, {was}, {status}, count(*) FROM {changed} WHERE {was} <> {status} GROUP BY 1, 2, 3
)"""  # noqa: S608 - made of constants


class PoolChangeRepository(Repository):
    """Adds up what changed."""

    async def add(self, product_id: str, certificates: int) -> None:
        """Record that certificates were put into the pool."""
        statement = "INSERT INTO pool_changes (product_id, status, certificates) VALUES ($1, 'available', $2)"
        await self._execute(statement, product_id, certificates)

    async def fold(self, now: datetime) -> int:
        """Add up all changes that are committed, unless another process does; return how many there were."""
        if not await self._fetchval(_TRY_LOCK):
            return 0
        await self._execute(_FORGET, now - SALES_WINDOW)
        return int(await self._fetchval(_FOLD, now))

    async def recount(self) -> None:
        """Count all certificates anew, in place of what was added up."""
        await self._connection.execute("SET LOCAL statement_timeout = 0")
        await self._connection.execute(_LOCK)
        await self._connection.execute(_RECOUNT, timeout=_COUNTING_SECONDS)
