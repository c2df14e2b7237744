"""Whether the database and the stream belong together, as their last comparison has found (ADR 91)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from giftcert.storage.repository import Repository, of_row

_STATE = """
    SELECT topic, topic_id, standstill, standstill_since, detail, database_life() AS life,
        compared_in IS NOT DISTINCT FROM database_life() AS is_compared
    FROM stream_comparison
"""
_POSITIONS = "SELECT partition, published_to FROM stream_positions"
# What was compared counts only for the life of the database in which it was.
_BELONGS = """
    UPDATE stream_comparison SET topic = $1, topic_id = $2, compared_in = $3, compared_at = clock_timestamp(),
        standstill = NULL, standstill_since = NULL, detail = NULL
    WHERE database_life() = $3 AND (standstill IS DISTINCT FROM 'recovering' OR $4)
"""
# Written once, so that the row does not grow versions while the service stands still.
_STANDS_STILL = """
    UPDATE stream_comparison SET standstill = $1, standstill_since = coalesce(standstill_since, clock_timestamp()),
        detail = $2, compared_in = NULL
    WHERE standstill IS DISTINCT FROM $1 AND (standstill IS DISTINCT FROM 'recovering' OR $3)
"""
# In the order of partitions: several dispatchers write them.
PUBLISHED = """
    INSERT INTO stream_positions AS known (partition, published_to)
    SELECT partition, published_to FROM unnest($1::integer[], $2::bigint[]) AS new (partition, published_to)
    ORDER BY partition
    ON CONFLICT (partition) DO UPDATE SET published_to = greatest(known.published_to, excluded.published_to)
"""
_KNOWN = "SELECT event_id::text FROM events WHERE event_id = ANY($1::uuid[])"


class Reason(StrEnum):
    """Why nothing may be decided; all but the first are stored."""

    NOT_COMPARED = "notCompared"
    DATABASE_BEHIND = "databaseBehind"
    STREAM_BEHIND = "streamBehind"
    STREAM_REPLACED = "streamReplaced"
    RECOVERING = "recovering"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamState:
    """What the database says of the stream. ``life`` names the database's own life."""

    topic: str | None
    topic_id: str | None
    standstill: str | None
    standstill_since: datetime | None
    detail: str | None
    life: str
    is_compared: bool  # in this life

    @property
    def reason(self) -> Reason | None:
        """Why nothing may be decided, if so."""
        if self.standstill is not None:
            return Reason(self.standstill)
        return None if self.is_compared else Reason.NOT_COMPARED

    @property
    def was_ever_compared(self) -> bool:
        """Whether the database has belonged to a stream."""
        return self.topic is not None


class StreamComparisonRepository(Repository):
    """Reads and writes what a comparison has found."""

    async def state(self) -> StreamState:
        """Return what the last comparison found, and whether it was in this life of the database."""
        [row] = await self._fetch(_STATE)
        return of_row(StreamState, row)

    async def positions(self) -> dict[int, int]:
        """Return the offset behind the last record that dispatch published, by partition."""
        return {row[0]: row[1] for row in await self._fetch(_POSITIONS)}

    async def published(self, positions: Mapping[int, int]) -> None:
        """Note how far is published; nothing is taken back."""
        if positions:
            await self._execute(PUBLISHED, list(positions), list(positions.values()))

    async def forget_positions(self) -> None:
        """Forget how far was published: the stream is another, or was cut short."""
        await self._execute("DELETE FROM stream_positions")

    async def belongs(self, topic: str, topic_id: str | None, life: str, *, recovered: bool = False) -> bool:
        """Note that database and stream belong together; ``False`` where the database is not in that life any more.

        A recovery under way ends by its own word alone (``recovered``).
        """
        return await self._execute(_BELONGS, topic, topic_id, life, recovered) == 1

    async def stands_still(self, reason: Reason, detail: str, *, recovery: bool = False) -> bool:
        """Note why nothing may be decided; return whether that is new. Only a recovery speaks during one."""
        return await self._execute(_STANDS_STILL, reason.value, detail, recovery) == 1

    async def unknown_among(self, event_ids: Sequence[str]) -> Collection[str]:
        """Return those ids of events that are not recorded here."""
        known = {row[0] for row in await self._fetch(_KNOWN, event_ids)}
        return set(event_ids) - known
