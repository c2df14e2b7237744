"""Quarantine as support sees it: listed, shown, locked for a replay, and closed."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.storage.quarantine import QuarantinedRecord

Place: TypeAlias = tuple[str, int, int]
"""Topic, partition, offset."""
BEGINNING: Place = ("", -1, -1)
Closing: TypeAlias = Literal["replayed", "dismissed"]
_PAGE = text("""
    SELECT topic, partition, record_offset, reason, detail, quarantined_at, closed_at, closed_how FROM quarantine
    WHERE (CAST(:topic AS text) IS NULL OR topic = :topic)
        AND (CAST(:partition AS integer) IS NULL OR partition = :partition)
        AND (CAST(:offset AS bigint) IS NULL OR record_offset = :offset)
        AND (CAST(:reason AS text) IS NULL OR reason = :reason)
        AND (:closed_too OR closed_at IS NULL)
        AND (topic, partition, record_offset) > (:after_topic, :after_partition, :after_offset)
    ORDER BY topic, partition, record_offset FETCH FIRST :limit ROWS WITH TIES
""")
_FOLLOWERS = text("""
    SELECT q.quarantine_id FROM quarantine AS q
        JOIN quarantine AS first ON q.named_orders && first.named_orders
    WHERE first.quarantine_id = :quarantine_id
        AND q.topic = first.topic AND q.partition = first.partition AND q.record_offset > first.record_offset
        AND q.closed_at IS NULL AND q.reason = :reason
    ORDER BY q.record_offset, q.quarantine_id
""")
_LYING_AT = text("""
    SELECT quarantine_id FROM quarantine
    WHERE topic = :topic AND partition = :partition AND record_offset = :offset AND closed_at IS NULL
    ORDER BY quarantine_id
""")
_ONE = """
    SELECT quarantine_id, fingerprint, topic, partition, record_offset AS offset, record_key AS sealed_key,
        record_value AS sealed_value, record_size AS size, reason, detail, written_at, contradiction, quarantined_at,
        closed_at, closed_how
    FROM quarantine
"""
# Of several at one place the one that a replay takes next; if all are closed, the last.
_SHOW = text(f"""
    {_ONE} WHERE topic = :topic AND partition = :partition AND record_offset = :offset
    ORDER BY closed_at DESC NULLS FIRST, quarantine_id LIMIT 1
""")
_LOCK = text(f"{_ONE} WHERE quarantine_id = :quarantine_id AND closed_at IS NULL FOR NO KEY UPDATE")
_CLOSE = text("""
    UPDATE quarantine SET closed_at = :at, closed_how = :how WHERE quarantine_id = :quarantine_id
""")
_RESTATE = text("""
    UPDATE quarantine SET reason = :reason, detail = :detail WHERE quarantine_id = :quarantine_id
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which records are meant; ``None`` means any."""

    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    reason: str | None = None
    closed_too: bool = False


@dataclass(frozen=True, slots=True)
class ListedRecord:
    """A record as a list shows it."""

    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    quarantined_at: datetime
    closed_at: datetime | None
    closed_how: Closing | None

    @property
    def place(self) -> Place:
        """Topic, partition and offset."""
        return self.topic, self.partition, self.offset


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record whole, key and value sealed; ``quarantine_id`` tells several of one place apart."""

    quarantine_id: int
    record: QuarantinedRecord
    quarantined_at: datetime
    closed_at: datetime | None
    closed_how: Closing | None


class QuarantineReview:
    """Reads and closes quarantined records; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def page(self, wanted: Wanted, after: Place, limit: int) -> list[ListedRecord]:
        """Return the next records behind a place, by topic, partition and offset.

        A page is longer than the limit where several records of its last place would not fit.
        """
        topic, partition, offset = after
        behind = {"after_topic": topic, "after_partition": partition, "after_offset": offset, "limit": limit}
        return [ListedRecord(*row) for row in await self._connection.execute(_PAGE, asdict(wanted) | behind)]

    async def lying_at(self, place: Place) -> list[int]:
        """Return the ids of the open records of a place, in the order in which they came."""
        return list((await self._connection.execute(_LYING_AT, _named(place))).scalars())

    async def followers_of(self, quarantine_id: int, reason: str) -> list[int]:
        """Return the later records of the same order that lie here for this reason, in order."""
        values = {"quarantine_id": quarantine_id, "reason": reason}
        return list((await self._connection.execute(_FOLLOWERS, values)).scalars())

    async def find(self, place: Place) -> StoredRecord | None:
        """Return a record, or ``None`` where there is none at this place."""
        return await self._one(_SHOW, _named(place))

    async def lock(self, quarantine_id: int) -> StoredRecord | None:
        """Return an open record and hold it until the transaction ends."""
        return await self._one(_LOCK, {"quarantine_id": quarantine_id})

    async def close(self, quarantine_id: int, how: Closing, at: datetime) -> None:
        """Remember that the record was applied, or that somebody gave it up: it holds nothing back any more."""
        await self._connection.execute(_CLOSE, {"quarantine_id": quarantine_id, "how": how, "at": at})

    async def restate(self, quarantine_id: int, reason: str, detail: str) -> None:
        """Say why the record still cannot be applied."""
        values = {"quarantine_id": quarantine_id, "reason": reason, "detail": detail}
        await self._connection.execute(_RESTATE, values)

    async def _one(self, statement: TextClause, values: dict[str, Any]) -> StoredRecord | None:
        row = (await self._connection.execute(statement, values)).mappings().one_or_none()
        if row is None:
            return None
        about = ("quarantine_id", "quarantined_at", "closed_at", "closed_how")
        record = QuarantinedRecord(**{name: value for name, value in row.items() if name not in about})
        return StoredRecord(
            row["quarantine_id"], record, row["quarantined_at"], row["closed_at"], row["closed_how"]
        )


def _named(place: Place) -> dict[str, Any]:
    return {"topic": place[0], "partition": place[1], "offset": place[2]}
