"""What ``verify --repair`` changes: marks, so that dispatch publishes again and ingest signals again."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.storage.shards import SHARDS

_PUBLISH_AGAIN = text("""
    UPDATE events SET published_at = NULL
    WHERE event_id = ANY(CAST(:event_ids AS uuid[])) AND published_at IS NOT NULL
""")
_SEND_AGAIN = text("""
    UPDATE deliveries AS d SET sent_at = NULL
    FROM unnest(CAST(:certificate_ids AS uuid[]), CAST(:keys AS text[])) AS lost (certificate_id, message_key)
    WHERE d.certificate_id = lost.certificate_id AND d.message_key = lost.message_key AND d.sent_at IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM applied_messages a
            WHERE a.certificate_id = d.certificate_id AND a.message_key = d.message_key
        )
""")
_ADD_SHARDS = text(f"""
    INSERT INTO shards (purpose, shard)
    SELECT purpose, shard FROM unnest(ARRAY['events', 'signals']) AS purpose, generate_series(0, {SHARDS - 1}) AS shard
    ON CONFLICT DO NOTHING
""")  # noqa: S608 - made of constants
_RUNS = text("""
    SELECT certificate_id::text AS certificate_id, coalesce(sale_channel, reservation_channel) AS channel,
        product_id AS product, CASE WHEN blocked THEN 'blocked' ELSE status END AS status, order_id,
        any_refund_state AS refund_state
    FROM certificates WHERE certificate_id = ANY(CAST(:certificate_ids AS uuid[]))
""")


class RepairRepository:
    """Writes what re-drives; the caller owns the transaction. Each returns how many rows it changed."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def publish_again(self, event_ids: Sequence[str]) -> int:
        """Have dispatch publish events that the stream lacks."""
        result = await self._connection.execute(_PUBLISH_AGAIN, {"event_ids": list(event_ids)})
        return result.rowcount

    async def send_again(self, deliveries: Sequence[tuple[str, str]]) -> int:
        """Have ingest's sweep signal deliveries, as (certificate id, message key), that no workflow knows."""
        values = {"certificate_ids": [one for one, _ in deliveries], "keys": [key for _, key in deliveries]}
        return (await self._connection.execute(_SEND_AGAIN, values)).rowcount

    async def add_shards(self) -> int:
        """Add the rows by which the work of a shard is taken, where they are missing."""
        return (await self._connection.execute(_ADD_SHARDS)).rowcount

    async def runs_to_start(self, certificate_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return what has to be known to start the workflows of these certificates."""
        rows = await self._connection.execute(_RUNS, {"certificate_ids": list(certificate_ids)})
        return [dict(row) for row in rows.mappings()]
