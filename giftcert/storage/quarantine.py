"""Records that could not be applied, kept sealed for support to look at and replay."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.storage.engine import driver_of

_ADD = """
    INSERT INTO quarantine (topic, partition, record_offset, record_key, record_value, reason, detail, order_digest,
        written_at, fingerprint, said)
    SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bytea[], $5::bytea[], $6::text[], $7::text[],
        $8::bytea[], $9::timestamptz[], $10::bytea[], $11::bytea[])
    ON CONFLICT DO NOTHING
    RETURNING topic, partition, record_offset
"""
# Ordered as the index of such rows, so that it is read whatever the statistics say.
_ANY_HELD_UP = """
    SELECT order_digest FROM quarantine WHERE order_digest IS NOT NULL AND replayed_at IS NULL
    ORDER BY order_digest LIMIT 1
"""
_HELD_UP = """
    SELECT order_digest, min(record_offset) AS first FROM quarantine
    WHERE order_digest = ANY($1) AND replayed_at IS NULL GROUP BY order_digest
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedRecord:
    """A record by its place; key and value are sealed, ``None`` where the record has none.

    ``fingerprint`` is that of key and value: where a topic was made anew, another record stands at the same place.
    ``order_id``: messages of this order may have to wait for the record; ``written_at`` is the record's own time;
    ``said`` tells a contradiction that comes again, whatever its place and event id.
    """

    topic: str
    partition: int
    offset: int
    sealed_key: bytes | None
    sealed_value: bytes | None
    fingerprint: bytes
    reason: str
    detail: str
    order_id: str | None = None
    written_at: datetime | None = None
    said: bytes | None = None

    @property
    def place(self) -> tuple[str, int, int]:
        """Topic, partition and offset."""
        return self.topic, self.partition, self.offset


class QuarantineRepository:
    """Writes quarantined records; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, records: Sequence[QuarantinedRecord]) -> set[tuple[str, int, int]]:
        """Add records, those already there left out.

        Returns:
            The places of those that are new.
        """
        driver = await driver_of(self._connection)
        rows = await driver.fetch(
            _ADD,
            [one.topic for one in records],
            [one.partition for one in records],
            [one.offset for one in records],
            [one.sealed_key for one in records],
            [one.sealed_value for one in records],
            [one.reason for one in records],
            [one.detail for one in records],
            [_digest(one.order_id) if one.order_id is not None else None for one in records],
            [one.written_at for one in records],
            [one.fingerprint for one in records],
            [one.said for one in records],
        )
        return {(row["topic"], row["partition"], row["record_offset"]) for row in rows}

    async def held_up(self, order_ids: Iterable[str]) -> dict[str, int]:
        """Return those of the orders that have a record here which was not replayed, with the first one's offset."""
        driver = await driver_of(self._connection)
        if await driver.fetchval(_ANY_HELD_UP) is None:  # as nearly always, and digests cost
            return {}
        digests = {_digest(order_id): order_id for order_id in order_ids}
        rows = await driver.fetch(_HELD_UP, list(digests))
        return {digests[row["order_digest"]]: row["first"] for row in rows}


def _digest(order_id: str) -> bytes:
    """An order is known again by this; what stands in an unreadable record's key is kept nowhere else in clear."""
    return sha256(order_id.encode(errors="surrogatepass")).digest()
