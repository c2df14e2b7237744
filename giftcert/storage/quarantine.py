"""Records that could not be applied, kept sealed for support to look at and replay."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.storage.engine import driver_of

_ADD = """
    INSERT INTO quarantine (topic, partition, record_offset, record_key, record_value, reason, detail)
    SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bytea[], $5::bytea[], $6::text[], $7::text[])
    ON CONFLICT DO NOTHING
    RETURNING topic, partition, record_offset
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedRecord:
    """A record by its place; key and value are sealed, ``None`` where the record has none."""

    topic: str
    partition: int
    offset: int
    sealed_key: bytes | None
    sealed_value: bytes | None
    reason: str
    detail: str

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
        )
        return {(row["topic"], row["partition"], row["record_offset"]) for row in rows}
