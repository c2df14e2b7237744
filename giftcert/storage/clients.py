"""Clients as CRM last described them, and the certificates that they bought."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.storage.engine import driver_of

# With every client that one of them was merged into, at any remove; UNION ends a ring of merges.
_LATEST = """
    WITH RECURSIVE wanted (client_id) AS (
        SELECT unnest($1::text[])
        UNION
        SELECT c.merged_into FROM clients c JOIN wanted USING (client_id) WHERE c.merged_into IS NOT NULL
    )
    SELECT client_id, locale, preferred_channel, merged_into, blocked, erased, occurred_at, event_id, message_key
    FROM clients JOIN wanted USING (client_id)
"""
_SAVE = """
    INSERT INTO clients AS known (client_id, locale, preferred_channel, merged_into, blocked, erased, occurred_at,
        event_id, message_key)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::boolean[],
        $7::timestamptz[], $8::text[], $9::text[])
    ON CONFLICT (client_id) DO UPDATE
    SET locale = excluded.locale, preferred_channel = excluded.preferred_channel, blocked = excluded.blocked,
        merged_into = excluded.merged_into, erased = excluded.erased, occurred_at = excluded.occurred_at,
        event_id = excluded.event_id, message_key = excluded.message_key
    WHERE known.occurred_at <= excluded.occurred_at
"""
# Sold certificates by their customer; also those whose order has not reached the workflow yet, by the order's.
_CERTIFICATES = """
    WITH RECURSIVE bought (told, client_id) AS (
        SELECT client_id, client_id FROM unnest($1::text[]) AS client_id
        UNION
        SELECT bought.told, c.client_id FROM clients c JOIN bought ON c.merged_into = bought.client_id
    )
    SELECT bought.told, c.certificate_id::text, coalesce(c.sale_channel, c.reservation_channel)
    FROM bought JOIN certificates c ON c.customer_id = bought.client_id
    WHERE c.status IN ('ordered', 'issued', 'partiallyRedeemed')
    UNION
    SELECT bought.told, oc.certificate_id::text, o.snapshot ->> 'channel'
    FROM bought JOIN orders o ON o.customer_id = bought.client_id JOIN order_certificates oc USING (order_id)
    JOIN certificates c USING (certificate_id)
    WHERE c.status IN ('available', 'reserved') AND EXISTS (
        SELECT FROM deliveries d WHERE d.certificate_id = oc.certificate_id AND NOT EXISTS (
            SELECT FROM applied_messages a
            WHERE a.certificate_id = d.certificate_id AND a.message_key = d.message_key
        )
    )
    ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredClient:
    """A client's settings; ``key`` is the identity of the message that brought them."""

    client_id: str
    locale: str | None
    preferred_channel: str | None
    merged_into: str | None
    blocked: bool
    erased: bool
    occurred_at: datetime
    event_id: str
    key: str


class ClientRepository:
    """Reads and writes clients in batches; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def latest(self, client_ids: Iterable[str]) -> dict[str, StoredClient]:
        """Return what is known of these clients, and of those that they were merged into."""
        driver = await driver_of(self._connection)
        return {
            row["client_id"]: StoredClient(
                client_id=row["client_id"],
                locale=row["locale"],
                preferred_channel=row["preferred_channel"],
                merged_into=row["merged_into"],
                blocked=row["blocked"],
                erased=row["erased"],
                occurred_at=row["occurred_at"],
                event_id=row["event_id"],
                key=row["message_key"],
            )
            for row in await driver.fetch(_LATEST, list(client_ids))
        }

    async def certificates_of(self, client_ids: Iterable[str]) -> dict[str, list[tuple[str, str | None]]]:
        """Return the sold certificates of clients, or of clients merged into them, as (certificate id, channel)."""
        driver = await driver_of(self._connection)
        bought: dict[str, list[tuple[str, str | None]]] = {}
        for client_id, certificate_id, channel in await driver.fetch(_CERTIFICATES, list(client_ids)):
            bought.setdefault(client_id, []).append((certificate_id, channel))
        return bought

    async def save(self, clients: Sequence[StoredClient]) -> None:
        """Store clients, each once, unless what is known is newer."""
        driver = await driver_of(self._connection)
        await driver.execute(
            _SAVE,
            [one.client_id for one in clients],
            [one.locale for one in clients],
            [one.preferred_channel for one in clients],
            [one.merged_into for one in clients],
            [one.blocked for one in clients],
            [one.erased for one in clients],
            [one.occurred_at for one in clients],
            [one.event_id for one in clients],
            [one.key for one in clients],
        )
