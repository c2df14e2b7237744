"""Quarantine: records that could not be applied, kept sealed for support to look at, replay or dismiss.

An open record holds back the release of whatever it names; see ``release_gate``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.security.keyring import Keyring
from giftcert.storage.engine import driver_of

# Lists of names are arrays in the table, which unnest would flatten: they come joined.
_ADD = """
    INSERT INTO quarantine (topic, partition, record_offset, record_key, record_value, record_size, reason, detail,
        written_at, fingerprint, contradiction, named_ids, named_orders, searchable, quarantined_at)
    SELECT topic, partition, record_offset, record_key, record_value, record_size, reason, detail, written_at,
        fingerprint, contradiction, string_to_array(named_ids, ',')::uuid[],
        ARRAY(SELECT decode(digest, 'hex') FROM unnest(string_to_array(named_orders, ',')) AS digest), searchable, $15
    FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bytea[], $5::bytea[], $6::bigint[], $7::text[],
        $8::text[], $9::timestamptz[], $10::bytea[], $11::bytea[], $12::text[], $13::text[], $14::boolean[])
        AS new (topic, partition, record_offset, record_key, record_value, record_size, reason, detail, written_at,
            fingerprint, contradiction, named_ids, named_orders, searchable)
    ON CONFLICT DO NOTHING
    RETURNING topic, partition, record_offset
"""
# Ordered as the index of open records, so that it is read whatever the statistics say.
_ANY_OPEN = "SELECT quarantined_at FROM quarantine WHERE closed_at IS NULL ORDER BY quarantined_at LIMIT 1"
_HELD_UP = """
    SELECT digest, min(record_offset) AS first
    FROM quarantine JOIN unnest($1::bytea[]) AS digest ON named_orders @> ARRAY[digest]
    WHERE topic = $2 AND closed_at IS NULL GROUP BY digest
"""


@dataclass(frozen=True, slots=True)
class NamedThings:
    """What a record names, as far as it can be searched: all UUIDs in it, and digests of the orders it may mean."""

    ids: tuple[UUID, ...] = ()
    orders: tuple[bytes, ...] = ()
    searchable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedRecord:
    """A record by its place; key and value are sealed, ``None`` where the record has none.

    ``fingerprint`` is that of key and value: where a topic was made anew, another record stands at the same place.
    ``size`` is that of the value before it was cut; ``written_at`` is the record's own time; ``contradiction`` tells a
    message that contradicts an earlier one again, whatever its place and event id.
    """

    topic: str
    partition: int
    offset: int
    sealed_key: bytes | None
    sealed_value: bytes | None
    size: int | None
    fingerprint: bytes
    reason: str
    detail: str
    written_at: datetime | None = None
    contradiction: bytes | None = None

    @property
    def place(self) -> tuple[str, int, int]:
        """Topic, partition and offset."""
        return self.topic, self.partition, self.offset


class QuarantineRepository:
    """Writes quarantined records; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(
        self, records: Sequence[tuple[QuarantinedRecord, NamedThings]], at: datetime
    ) -> set[tuple[str, int, int]]:
        """Add records, those already there left out.

        Returns:
            The places of those that are new.
        """
        driver = await driver_of(self._connection)
        rows = await driver.fetch(
            _ADD,
            [one.topic for one, _ in records],
            [one.partition for one, _ in records],
            [one.offset for one, _ in records],
            [one.sealed_key for one, _ in records],
            [one.sealed_value for one, _ in records],
            [one.size for one, _ in records],
            [one.reason for one, _ in records],
            [one.detail for one, _ in records],
            [one.written_at for one, _ in records],
            [one.fingerprint for one, _ in records],
            [one.contradiction for one, _ in records],
            [",".join(map(str, names.ids)) for _, names in records],
            [",".join(digest.hex() for digest in names.orders) for _, names in records],
            [names.searchable for _, names in records],
            at,
        )
        return {(row["topic"], row["partition"], row["record_offset"]) for row in rows}

    async def any_open(self) -> bool:
        """Return whether anything lies in quarantine; mostly nothing does."""
        driver = await driver_of(self._connection)
        return await driver.fetchval(_ANY_OPEN) is not None

    async def held_up(self, order_ids: Iterable[str], topic: str, keyring: Keyring) -> dict[str, int]:
        """Return those of the orders that an open record of this topic names, with the first one's offset."""
        driver = await driver_of(self._connection)
        digests = {order_digest(keyring, order_id): order_id for order_id in order_ids}
        rows = await driver.fetch(_HELD_UP, list(digests), topic)
        return {digests[row["digest"]]: row["first"] for row in rows}


def order_digest(keyring: Keyring, order_id: str) -> bytes:
    """Return what an order is known again by: what stands in an unreadable record is kept nowhere in clear."""
    key = keyring.fingerprint("orders in quarantine")
    return blake2b(order_id.encode(errors="surrogatepass"), key=key, digest_size=16).digest()
