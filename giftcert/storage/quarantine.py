"""Quarantine: records that could not be applied, kept sealed for support to look at, replay or dismiss.

An open record holds back the release of whatever it names (ADR 17).
"""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Literal, TypeAlias
from uuid import UUID

from giftcert.security.keyring import Keyring
from giftcert.storage.repository import Repository

Place: TypeAlias = tuple[str, int, int]
"""Topic, partition, offset."""
BEGINNING: Place = ("", -1, -1)
Closing: TypeAlias = Literal["replayed", "dismissed"]

_RECORD = """topic, partition, record_offset, record_key, record_value, fingerprint, reason, detail, written_at,
    contradiction"""
_ADD = f"""
    INSERT INTO quarantine ({_RECORD}, named_ids, named_orders, searchable, quarantined_at)
    VALUES ({", ".join(f"${nth}" for nth in range(1, 15))}) ON CONFLICT DO NOTHING
    RETURNING topic, partition, record_offset
"""  # noqa: S608 - made of constants
# Ordered as the index of open records, so that it is read whatever the statistics say.
_ANY_OPEN = "SELECT quarantined_at FROM quarantine WHERE closed_at IS NULL ORDER BY quarantined_at LIMIT 1"
_COUNTS = """
    SELECT reason, count(*), min(quarantined_at) FROM quarantine WHERE closed_at IS NULL GROUP BY reason ORDER BY reason
"""
_NAMING = """
    SELECT topic, partition, record_offset, reason, detail, quarantined_at, closed_at, closed_how FROM quarantine
    WHERE $1 = ANY(named_ids) ORDER BY quarantined_at, quarantine_id
"""
_HELD_UP = """
    SELECT digest, min(record_offset) AS first
    FROM quarantine JOIN unnest($1::bytea[]) AS digest ON named_orders @> ARRAY[digest]
    WHERE topic = $2 AND closed_at IS NULL GROUP BY digest
"""
_PAGE = """
    SELECT topic, partition, record_offset, reason, detail, quarantined_at, closed_at, closed_how FROM quarantine
    WHERE ($1::text IS NULL OR topic = $1) AND ($2::integer IS NULL OR partition = $2)
        AND ($3::bigint IS NULL OR record_offset = $3) AND ($4::text IS NULL OR reason = $4)
        AND ($5 OR closed_at IS NULL) AND (topic, partition, record_offset) > ($6, $7, $8)
    ORDER BY topic, partition, record_offset FETCH FIRST $9 ROWS WITH TIES
"""
_FOLLOWERS = """
    SELECT q.quarantine_id FROM quarantine AS q JOIN quarantine AS first ON q.named_orders && first.named_orders
    WHERE first.quarantine_id = $1
        AND q.topic = first.topic AND q.partition = first.partition AND q.record_offset > first.record_offset
        AND q.closed_at IS NULL AND q.reason = $2
    ORDER BY q.record_offset, q.quarantine_id
"""
_LYING_AT = """
    SELECT quarantine_id FROM quarantine
    WHERE topic = $1 AND partition = $2 AND record_offset = $3 AND closed_at IS NULL ORDER BY quarantine_id
"""
_ONE = f"SELECT {_RECORD}, quarantine_id, quarantined_at, closed_at, closed_how FROM quarantine"  # noqa: S608
# Of several at one place the one that a replay takes next; if all are closed, the last.
_SHOW = f"""
    {_ONE} WHERE topic = $1 AND partition = $2 AND record_offset = $3
    ORDER BY closed_at DESC NULLS FIRST, quarantine_id LIMIT 1
"""
_LOCK = f"{_ONE} WHERE quarantine_id = $1 AND closed_at IS NULL FOR NO KEY UPDATE"

_EMPTY = """
    UPDATE quarantine SET record_key = NULL, record_value = NULL
    WHERE closed_at < $1 AND (record_key IS NOT NULL OR record_value IS NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class NamedThings:
    """What a record names, as far as it can be searched: all UUIDs in it, and digests of the orders it may mean."""

    ids: tuple[UUID, ...] = ()
    orders: tuple[bytes, ...] = ()
    searchable: bool = True


@dataclass(frozen=True, slots=True)
class QuarantinedRecord:
    """A record by its place, in the order of the columns."""

    topic: str
    partition: int
    offset: int
    sealed_key: bytes | None
    sealed_value: bytes | None
    fingerprint: bytes  # a topic that was made anew has other records at the same places
    reason: str
    detail: str
    written_at: datetime | None  # the record's own time
    contradiction: bytes | None  # by which a message that contradicts an earlier one is known again

    @property
    def place(self) -> Place:
        """Topic, partition and offset."""
        return self.topic, self.partition, self.offset


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
class OpenRecords:
    """How many open records have a reason, and since when the oldest of them is here."""

    reason: str
    count: int
    since: datetime


@dataclass(frozen=True, slots=True)
class StoredRecord(QuarantinedRecord):
    """A record as it is stored."""

    quarantine_id: int  # distinguishes several of one place
    quarantined_at: datetime
    closed_at: datetime | None
    closed_how: Closing | None


class QuarantineRepository(Repository):
    """Writes, finds and closes quarantined records."""

    async def add(self, records: Sequence[tuple[QuarantinedRecord, NamedThings]], at: datetime) -> set[Place]:
        """Add records, those already there left out; return the places of those that are new."""
        rows = [(*astuple(record), *astuple(names), at) for record, names in records]
        return {(row[0], row[1], row[2]) for row in await self._connection.fetchmany(_ADD, rows)}

    async def any_open(self) -> bool:
        """Return whether anything lies in quarantine; mostly nothing does."""
        return await self._fetchval(_ANY_OPEN) is not None

    async def counts(self) -> list[OpenRecords]:
        """Return how many records are open, by their reason."""
        return [OpenRecords(*row) for row in await self._fetch(_COUNTS)]

    async def reasons(self) -> list[str]:
        """Return the reasons of all records, also of those that are closed."""
        return [row[0] for row in await self._fetch("SELECT DISTINCT reason FROM quarantine ORDER BY reason")]

    async def naming(self, certificate_id: UUID | str) -> list[ListedRecord]:
        """Return the records that name a certificate, also those that are closed, in the order in which they came."""
        return [ListedRecord(*row) for row in await self._fetch(_NAMING, certificate_id)]

    async def held_up(self, order_ids: Iterable[str], topic: str, keyring: Keyring) -> dict[str, int]:
        """Return those of the orders that an open record of this topic names, with the first one's offset."""
        digests = {order_digest(keyring, order_id): order_id for order_id in order_ids}
        rows = await self._fetch(_HELD_UP, list(digests), topic)
        return {digests[row["digest"]]: row["first"] for row in rows}

    async def page(self, wanted: Wanted, after: Place, limit: int) -> list[ListedRecord]:
        """Return the next records by place; more than the limit where several of the last place would not fit."""
        rows = await self._fetch(_PAGE, *astuple(wanted), *after, limit)
        return [ListedRecord(*row) for row in rows]

    async def lying_at(self, place: Place) -> list[int]:
        """Return the ids of the open records of a place, in the order in which they came."""
        return [row[0] for row in await self._fetch(_LYING_AT, *place)]

    async def followers_of(self, quarantine_id: int, reason: str) -> list[int]:
        """Return the later records of the same order that lie here for this reason, in order."""
        return [row[0] for row in await self._fetch(_FOLLOWERS, quarantine_id, reason)]

    async def find(self, place: Place) -> StoredRecord | None:
        """Return a record, or ``None`` where there is none at this place."""
        row = await self._fetchrow(_SHOW, *place)
        return None if row is None else StoredRecord(*row)

    async def lock(self, quarantine_id: int) -> StoredRecord | None:
        """Return an open record and hold it until the transaction ends."""
        row = await self._fetchrow(_LOCK, quarantine_id)
        return None if row is None else StoredRecord(*row)

    async def close(self, quarantine_id: int, how: Closing, at: datetime) -> None:
        """Remember that the record was applied, or that somebody gave it up: it holds nothing back any more."""
        statement = "UPDATE quarantine SET closed_at = $3, closed_how = $2 WHERE quarantine_id = $1"
        await self._execute(statement, quarantine_id, how, at)

    async def empty_closed(self, before: datetime) -> int:
        """Erase the content of records that were closed before then: nobody replays them; return of how many."""
        return await self._execute(_EMPTY, before)

    async def restate(self, quarantine_id: int, reason: str, detail: str) -> None:
        """Say why the record still cannot be applied."""
        statement = "UPDATE quarantine SET reason = $2, detail = $3 WHERE quarantine_id = $1"
        await self._execute(statement, quarantine_id, reason, detail)


def owner_at(place: Place) -> bytes:
    """Return what the seals of a record are bound to: where it lies."""
    return ":".join(map(str, place)).encode()


def order_digest(keyring: Keyring, order_id: str) -> bytes:
    """Return what an order is known again by: what stands in an unreadable record is kept nowhere in clear."""
    key = keyring.fingerprint("orders in quarantine")
    return blake2b(order_id.encode(errors="surrogatepass"), key=key, digest_size=16).digest()
