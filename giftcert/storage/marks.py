"""How far ingest has caught up: our clock's instant up to which each partition is committed here (ADR 20)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from giftcert.storage.repository import Repository, by_column

_REGISTER = """
    INSERT INTO ingest_marks (topic, partition, caught_up_to)
    SELECT topic, partition, '-infinity' FROM unnest($1::text[], $2::integer[]) AS new (topic, partition)
    ON CONFLICT DO NOTHING
"""
# While a new order may still have payments that its certificates have not seen, no partition is beyond it.
_ADVANCE = """
    INSERT INTO ingest_marks AS known (topic, partition, caught_up_to, reached)
    SELECT topic, partition, least(instant, (
        SELECT min(mapped_at) FROM orders
        WHERE recheck AND mapped_at >= (SELECT looked_to FROM sweep_bounds WHERE kind = 'orders')
    )), reached
    FROM unnest($1::text[], $2::integer[], $3::timestamptz[], $4::bigint[])
        AS new (topic, partition, instant, reached)
    ORDER BY topic, partition
    ON CONFLICT (topic, partition) DO UPDATE
    SET caught_up_to = greatest(known.caught_up_to, excluded.caught_up_to), reached = excluded.reached
"""
# A topic that was made anew has other records at the same offsets, and nothing of them is committed.
_IDENTIFY = """
    UPDATE ingest_marks AS m SET topic_id = new.topic_id,
        caught_up_to = CASE WHEN m.topic_id IS NULL THEN caught_up_to ELSE '-infinity' END,
        reached = CASE WHEN m.topic_id IS NULL THEN reached END
    FROM unnest($1::text[], $2::integer[], $3::text[]) AS new (topic, partition, topic_id)
    WHERE (m.topic, m.partition) = (new.topic, new.partition) AND m.topic_id IS DISTINCT FROM new.topic_id
    RETURNING m.topic, m.partition, old.topic_id IS NOT NULL
"""
_ALL = "SELECT topic, partition, nullif(caught_up_to, '-infinity'), reached, topic_id FROM ingest_marks"


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a partition of the topic with Kafka's id is committed: until when, and below which offset, if known."""

    caught_up_to: datetime | None
    reached: int | None
    topic_id: str | None


class MarkRepository(Repository):
    """Writes marks."""

    async def identify(self, partitions: Sequence[tuple[str, int, str]]) -> list[tuple[str, int]]:
        """Note of which topics, as (topic, partition, Kafka's id), partitions are; return those of topics made anew."""
        if not partitions:
            return []
        changed = await self._fetch(_IDENTIFY, *by_column(partitions))
        return [(topic, partition) for topic, partition, is_another in changed if is_another]

    async def all(self) -> dict[tuple[str, int], Mark]:
        """Return the marks by topic and partition."""
        return {(row[0], row[1]): Mark(row[2], row[3], row[4]) for row in await self._fetch(_ALL)}

    async def register(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Have every partition hold releases back until it is caught up for the first time."""
        if partitions:
            await self._execute(_REGISTER, *by_column(partitions))

    async def advance(self, marks: Sequence[tuple[str, int, datetime, int]]) -> None:
        """Move marks, as (topic, partition, instant, offset below which all is committed), forward; none moves back."""
        if marks:
            await self._execute(_ADVANCE, *by_column(marks))
