"""How far ingest has caught up: our clock's instant up to which each partition is committed here (ADR 20)."""

from collections.abc import Sequence
from datetime import datetime

from giftcert.storage.repository import Repository, by_column

_REGISTER = """
    INSERT INTO ingest_marks (topic, partition, caught_up_to)
    SELECT topic, partition, '-infinity' FROM unnest($1::text[], $2::integer[]) AS new (topic, partition)
    ON CONFLICT DO NOTHING
"""
# While a new order may still have payments that its certificates have not seen, no partition is beyond it.
_ADVANCE = """
    INSERT INTO ingest_marks AS known (topic, partition, caught_up_to)
    SELECT topic, partition, least(instant, (
        SELECT min(mapped_at) FROM orders
        WHERE recheck AND mapped_at >= (SELECT looked_to FROM sweep_bounds WHERE kind = 'orders')
    ))
    FROM unnest($1::text[], $2::integer[], $3::timestamptz[]) AS new (topic, partition, instant)
    ORDER BY topic, partition
    ON CONFLICT (topic, partition) DO UPDATE
    SET caught_up_to = greatest(known.caught_up_to, excluded.caught_up_to)
"""


class MarkRepository(Repository):
    """Writes marks."""

    async def register(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Have every partition hold releases back until it is caught up for the first time."""
        if partitions:
            await self._execute(_REGISTER, *by_column(partitions))

    async def advance(self, marks: Sequence[tuple[str, int, datetime]]) -> None:
        """Move marks, as (topic, partition, instant), forward; none ever moves back."""
        if marks:
            await self._execute(_ADVANCE, *by_column(marks))
