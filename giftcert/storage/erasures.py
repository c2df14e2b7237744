"""The erasure of clients: whom their certificates are for is forgotten, in all orders of theirs.

It is repeated until every transaction that was open when it was committed has ended, as those may not have seen it.
"""

from giftcert.storage.repository import Repository

# As for new orders (orders.py): whoever began before the erasure was committed has a lower id.
_SET_FENCES = """
    UPDATE clients SET erasure_fence = pg_current_xact_id()::text::bigint
    WHERE client_id IN (
        SELECT client_id FROM clients WHERE erasure_recheck AND erasure_fence IS NULL
        ORDER BY client_id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
    )
"""
_ERASED_NOW = """
    SELECT client_id FROM clients WHERE erasure_recheck AND erasure_fence IS NOT NULL ORDER BY client_id LIMIT $1
"""
# Their own orders, and those of all who were merged into them.
_LOCK_ORDERS = """
    WITH RECURSIVE merged (client_id) AS (
        SELECT unnest($1::text[])
        UNION
        SELECT c.client_id FROM clients c JOIN merged ON c.merged_into = merged.client_id
    )
    SELECT order_id FROM orders WHERE customer_id IN (SELECT client_id FROM merged)
    ORDER BY order_id FOR NO KEY UPDATE
"""
_ERASE_RECIPIENTS = """
    WITH held AS (
        SELECT order_id, line_key FROM order_lines WHERE order_id = ANY($1) AND recipient IS NOT NULL
        ORDER BY order_id, line_key FOR NO KEY UPDATE
    )
    UPDATE order_lines SET recipient = NULL FROM held
    WHERE order_lines.order_id = held.order_id AND order_lines.line_key = held.line_key
"""
# Rows of clients are locked last everywhere, after orders and lines.
_END_ERASURE = """
    UPDATE clients SET erasure_recheck = false, erasure_fence = NULL
    WHERE client_id IN (
        SELECT client_id FROM clients WHERE client_id = ANY($1) AND erasure_fence <= $2
        ORDER BY client_id FOR NO KEY UPDATE
    )
"""


class ErasureRepository(Repository):
    """Erasures that are under way, as marked in table ``clients``."""

    async def set_fences(self, limit: int) -> None:
        """Give new erasures the transaction id before which all who may have missed them began."""
        await self._execute(_SET_FENCES, limit)

    async def erase_recipients(self, limit: int, oldest_open: int) -> bool:
        """Erase whom the certificates of erased clients are for; return whether any client has to be looked at again.

        ``oldest_open``: as of before.
        """
        erased = [row[0] for row in await self._fetch(_ERASED_NOW, limit)]
        if erased:
            orders = [row[0] for row in await self._fetch(_LOCK_ORDERS, erased)]
            await self._execute(_ERASE_RECIPIENTS, orders)
            await self._execute(_END_ERASURE, erased, oldest_open)
        return await self.are_any()

    async def are_any(self) -> bool:
        """Return whether any erasure is still to be looked at again."""
        return bool(await self._fetchval("SELECT EXISTS (SELECT FROM clients WHERE erasure_recheck)"))
