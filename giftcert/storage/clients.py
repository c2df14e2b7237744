"""Clients as CRM last described them, and the erasure of whom their certificates are for. Table ``clients``."""

from collections.abc import Iterable, Sequence
from operator import attrgetter

from giftcert.contracts.clients import ClientRecord
from giftcert.storage.repository import Repository, by_column

# With every client that one of them was merged into, at any remove; UNION ends a ring of merges.
_ERASED = """
    WITH RECURSIVE chain (client_id, survivor) AS (
        SELECT client_id, client_id FROM unnest($1::text[]) AS client_id
        UNION
        SELECT chain.client_id, c.merged_into FROM clients c JOIN chain ON c.client_id = chain.survivor
        WHERE c.merged_into IS NOT NULL
    )
    SELECT DISTINCT chain.client_id FROM clients c JOIN chain ON c.client_id = chain.survivor WHERE c.erased
"""
_SAVED = (
    "client_id",
    "locale",
    "preferred_channel",
    "merged_into",
    "blocked",
    "erased",
    "occurred_at",
    "event_id",
)
_SAVE = f"""
    INSERT INTO clients AS known ({", ".join(_SAVED)})
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::boolean[],
        $7::timestamptz[], $8::text[]) AS new (client_id)
    ORDER BY client_id
    ON CONFLICT (client_id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _SAVED)}
    WHERE known.occurred_at <= excluded.occurred_at AND known.event_id <> excluded.event_id
"""  # noqa: S608 - made of constants
_BEGIN_ERASURE = "UPDATE clients SET erasure_recheck = true, erasure_fence = NULL WHERE client_id = ANY($1)"
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


class ClientRepository(Repository):
    """Clients in batches."""

    async def erased_among(self, client_ids: Iterable[str]) -> frozenset[str]:
        """Return those of the clients that are erased, or were merged into one who is."""
        return frozenset(row[0] for row in await self._fetch(_ERASED, list(client_ids)))

    async def save(self, clients: Sequence[ClientRecord]) -> None:
        """Store clients, each once, unless what is known is newer; remember whose recipients have to go."""
        await self._execute(_SAVE, *by_column(map(attrgetter(*_SAVED), clients)))
        if erased := await self.erased_among(one.client_id for one in clients):
            await self._execute(_BEGIN_ERASURE, sorted(erased))

    async def set_erasure_fences(self, limit: int) -> None:
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
        return await self.any_erasure()

    async def any_erasure(self) -> bool:
        """Return whether any erasure is still to be looked at again."""
        return bool(await self._fetchval("SELECT EXISTS (SELECT FROM clients WHERE erasure_recheck)"))
