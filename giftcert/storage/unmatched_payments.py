"""Payments whose order is not known to name a certificate: compact rows in day partitions."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TypeAlias

from giftcert.storage.day_partitions import drop_before
from giftcert.storage.repository import Repository

UnmatchedRow: TypeAlias = tuple[date, str, str, int, int, bytes]
"""Day received, order id, topic, partition, offset, compact message: as COPY takes it."""

_COLUMNS = ("received_on", "order_id", "topic", "partition", "record_offset", "message")
_TAKE = """
    WITH taken AS (
        DELETE FROM unmatched_payments WHERE order_id = ANY($1)
        RETURNING received_on, order_id, topic, partition, record_offset, message
    )
    SELECT * FROM taken ORDER BY topic, partition, record_offset
"""
_WERE_DROPPED = "SELECT kept_since <> '-infinity' FROM payment_horizon"
_MOVE_HORIZON = "UPDATE payment_horizon SET kept_since = greatest(kept_since, $1)"


class UnmatchedPaymentRepository(Repository):
    """Keeps and gives back payments."""

    async def keep(self, rows: Sequence[UnmatchedRow]) -> None:
        """Write payments by COPY; a day without a partition of its own goes to the default partition."""
        await self._connection.copy_records_to_table("unmatched_payments", records=rows, columns=_COLUMNS)

    async def take(self, order_ids: Iterable[str]) -> list[UnmatchedRow]:
        """Remove and return all payments of these orders, each partition's in the order of its topic."""
        return [tuple(row) for row in await self._fetch(_TAKE, list(order_ids))]

    async def were_dropped(self) -> bool:
        """Return whether any day was ever dropped: an older order's payments may be gone."""
        return bool(await self._fetchval(_WERE_DROPPED))

    async def drop_before(self, first_kept: date) -> list[str]:
        """Drop all days before this one, whole, and remember that payments are gone; see ``day_partitions``."""
        gone = await drop_before(self._connection, "unmatched_payments", first_kept)
        if gone:
            await self._execute(_MOVE_HORIZON, first_kept)
        return gone
