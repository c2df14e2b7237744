"""What ``verify --repair`` changes, so that the parts of the service do again what got lost."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from giftcert.storage.events import SHARD, SHARDS
from giftcert.storage.repository import Repository

# Whoever draws a position of the outbox has a transaction id before, see ``outbox.py``.
_ENTER = "SELECT pg_current_xact_id()"
_PUBLISH_AGAIN = f"""
    INSERT INTO outbox (shard, event_id)
    SELECT {SHARD.format("stream_key")}, event_id FROM events
    WHERE event_id = ANY($1::uuid[])
        AND NOT EXISTS (SELECT FROM outbox WHERE outbox.event_id = events.event_id)
    ORDER BY certificate_id, sequence
"""  # noqa: S608 - made of constants
_ADD_SHARDS = f"""
    INSERT INTO outbox_shards (shard) SELECT generate_series(0, {SHARDS - 1}) ON CONFLICT DO NOTHING
"""
_DECIDE_AGAIN = """
    INSERT INTO pending (certificate_id, order_id, line_key, kind, channel, since)
    SELECT lost.certificate_id, lost.order_id, lost.line_key,
        CASE WHEN lost.order_id = '' THEN 'certificate_spent' ELSE 'order_changed' END,
        coalesce(l.standing ->> 'channel', c.sale_channel, c.reservation_channel, $2), $3
    FROM jsonb_to_recordset($1::jsonb) AS lost (certificate_id uuid, order_id text, line_key integer)
    JOIN certificates c ON c.certificate_id = lost.certificate_id
    LEFT JOIN order_lines l ON l.order_id = lost.order_id AND l.line_key = lost.line_key
    ORDER BY 1, 2, 3
    ON CONFLICT (certificate_id, order_id, line_key) DO UPDATE
    SET number = nextval('pending_number'), signalled_at = NULL
"""
# As after the first look at a new order: what waited for it is folded.
_FOLD_AGAIN = """
    UPDATE orders SET recheck = true, recheck_fence = NULL, mapped_at = clock_timestamp()
    WHERE order_id IN (SELECT order_id FROM orders WHERE order_id = ANY($1) ORDER BY 1 FOR NO KEY UPDATE)
"""
_TO_WAKE = """
    SELECT certificate_id::text AS certificate_id, coalesce(sale_channel, reservation_channel) AS channel,
        product_id AS product, order_id
    FROM certificates WHERE certificate_id = ANY($1::uuid[])
"""
# A certificate that is due and looked at has an instant in the future, or none because nothing is open any more.
_COUNT_LEFT = """
    SELECT (SELECT count(*) FROM pending WHERE certificate_id = ANY($1::uuid[]))
        + (SELECT count(*) FROM certificates WHERE certificate_id = ANY($1::uuid[])
            AND next_instant < clock_timestamp() AND parked IS NULL)
        + (SELECT count(*) FROM outbox WHERE event_id = ANY($2::uuid[]))
        + (SELECT count(*) FROM orders WHERE order_id = ANY($3) AND recheck)
"""


class RepairRepository(Repository):
    """Writes what re-drives. Each returns how many rows it changed."""

    async def publish_again(self, event_ids: Sequence[str]) -> int:
        """Have dispatch publish events that the stream lacks."""
        await self._execute(_ENTER)
        return await self._execute(_PUBLISH_AGAIN, event_ids)

    async def decide_again(self, lost: str, channel: str, now: datetime) -> int:
        """Have certificates decide on lines or spendings that were passed over.

        ``lost`` is a JSON list of ``certificate_id``, ``order_id`` and ``line_key`` (``''`` and 0: spendings); a
        certificate that was never sold or reserved runs on the queue of ``channel``.
        """
        return await self._execute(_DECIDE_AGAIN, lost, channel, now)

    async def fold_again(self, order_ids: Sequence[str]) -> int:
        """Have ingest fold the payments that were left behind by these orders."""
        return await self._execute(_FOLD_AGAIN, order_ids)

    async def add_shards(self) -> int:
        """Add the rows by which the events of a shard are published, where they are missing."""
        return await self._execute(_ADD_SHARDS)

    async def to_wake(self, certificate_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return what has to be known to signal the workflows of these certificates."""
        return [dict(row) for row in await self._fetch(_TO_WAKE, certificate_ids)]

    async def count_left(
        self, *, certificate_ids: Sequence[str], event_ids: Sequence[str], order_ids: Sequence[str]
    ) -> int:
        """Return how many of these still wait to be decided, published or folded."""
        return int(await self._fetchval(_COUNT_LEFT, certificate_ids, event_ids, order_ids))
