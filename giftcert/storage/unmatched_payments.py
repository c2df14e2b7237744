"""Payments whose order is not known to name a certificate, which it may yet do. Table ``unmatched_payments``.

Compact rows in day partitions, which ``day_partitions`` drops whole after a horizon.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TypeAlias

from giftcert.storage.repository import Repository

UnmatchedRow: TypeAlias = tuple[date, str, str, int, int, bytes]
"""Day received, order id, topic, partition, offset, compact message."""

_UNMATCHED = ("received_on", "order_id", "topic", "partition", "record_offset", "message")
_TAKE = f"""
    WITH taken AS (DELETE FROM unmatched_payments WHERE order_id = ANY($1) RETURNING {", ".join(_UNMATCHED)})
    SELECT * FROM taken ORDER BY topic, partition, record_offset
"""  # noqa: S608 - made of constants


class UnmatchedPaymentRepository(Repository):
    """Keeps payments, and gives them back to their order."""

    async def keep(self, rows: Sequence[UnmatchedRow]) -> None:
        """Write payments; a day without a partition of its own goes to the default partition."""
        await self._connection.copy_records_to_table("unmatched_payments", records=rows, columns=_UNMATCHED)

    async def take(self, order_ids: Iterable[str]) -> list[UnmatchedRow]:
        """Remove and return all payments of these orders, each partition's in the order of its topic."""
        return [tuple(row) for row in await self._fetch(_TAKE, list(order_ids))]

    async def were_dropped(self) -> bool:
        """Return whether any day was ever dropped: an older order's payments may be gone."""
        return bool(await self._fetchval("SELECT kept_since <> '-infinity' FROM payment_horizon"))
