"""Clients as CRM last described them. Table ``clients``."""

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
