"""Payments whose order is not known to name a certificate: compact rows in day partitions."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import TypeAlias

from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.storage import day_partitions
from giftcert.storage.engine import driver_of

UnmatchedRow: TypeAlias = tuple[date, str, str, int, int, bytes]
"""Day received, order id, topic, partition, offset, compact message: as COPY takes it."""

_TABLE: day_partitions.Table = "unmatched_payments"
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


class UnmatchedPaymentRepository:
    """Keeps and gives back payments; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def keep(self, rows: Sequence[UnmatchedRow]) -> None:
        """Write payments by COPY; a day without a partition of its own goes to the default partition."""
        driver = await driver_of(self._connection)
        await driver.copy_records_to_table(_TABLE, records=rows, columns=_COLUMNS)

    async def take(self, order_ids: Iterable[str]) -> list[UnmatchedRow]:
        """Remove and return all payments of these orders, each partition's in the order of its topic."""
        driver = await driver_of(self._connection)
        return [tuple(row) for row in await driver.fetch(_TAKE, list(order_ids))]

    async def were_dropped(self) -> bool:
        """Return whether any day was ever dropped: an older order's payments may be gone."""
        driver = await driver_of(self._connection)
        return bool(await driver.fetchval(_WERE_DROPPED))

    async def drop_before(self, first_kept: date) -> list[str]:
        """Drop all days before this one, whole, and remember that payments are gone; see ``day_partitions``."""
        gone = await day_partitions.drop_before(self._connection, _TABLE, first_kept)
        if gone:
            driver = await driver_of(self._connection)
            await driver.execute(_MOVE_HORIZON, first_kept)
        return gone
