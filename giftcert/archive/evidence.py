"""What the archive, the audit chain, the stream and the database say of the same events, compared event by event."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import duckdb

from giftcert.contracts.stream import StoredEvent, digest_of

SHOWN = 5
_TABLES = """
    CREATE TABLE archived (event_id VARCHAR, digest BLOB, mac BLOB);
    CREATE TABLE linked (event_id VARCHAR, mac BLOB);
    CREATE TABLE recorded (event_id VARCHAR, digest BLOB);
    CREATE TABLE streamed (
        event_id VARCHAR, digest BLOB, certificate_id VARCHAR, sequence INTEGER, key BLOB, value BLOB)
"""
_DIFFERS = """
    SELECT event_id, count(*) OVER () FROM archived AS a
    WHERE NOT EXISTS (SELECT 1 FROM {table} AS o WHERE o.event_id = a.event_id AND o.{what} = a.{what})
    ORDER BY event_id LIMIT {shown}
"""
_SOURCES = (
    ("audit chain", "linked", "mac"),
    ("stream", "streamed", "digest"),
    ("database", "recorded", "digest"),
)
_OF_CERTIFICATES = """
    SELECT DISTINCT ON (certificate_id, sequence) certificate_id, key, value FROM streamed
    WHERE certificate_id >= $1 AND certificate_id <= $2 ORDER BY certificate_id, sequence
"""
Record: TypeAlias = tuple[bytes, bytes]
"""Key and value of a record of the stream."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Archived events that one of the others lacks, or says otherwise: how many, and the ids of the first."""

    source: str
    count: int
    first: Sequence[str]


class Evidence:
    """Tables in a file that goes afterwards: millions of events find no place in memory."""

    def __init__(self, folder: Path) -> None:
        self._connection = duckdb.connect(folder / "evidence.duckdb")
        self._connection.execute(_TABLES)

    def close(self) -> None:
        """Let the file go."""
        self._connection.close()

    def add_archived(self, rows: Sequence[tuple[StoredEvent, bytes]]) -> None:
        """Take in events of the archive, each with the keyed hash that it must have in the chain."""
        self._add("archived", [(one.event_id, digest_of(one), mac) for one, mac in rows])

    def add_linked(self, rows: Iterable[tuple[str, bytes]]) -> None:
        """Take in what links of the audit chain hold."""
        self._add("linked", list(rows))

    def add_recorded(self, events: Iterable[StoredEvent]) -> None:
        """Take in events of the database."""
        self._add("recorded", [(one.event_id, digest_of(one)) for one in events])

    def add_streamed(self, rows: Iterable[tuple[StoredEvent, Record]]) -> None:
        """Take in records of the stream."""
        self._add(
            "streamed",
            [
                (one.event_id, digest_of(one), one.certificate_id, one.sequence, *record)
                for one, record in rows
            ],
        )

    def archived(self) -> int:
        """Return how many events of the archive were taken in."""
        return int(self._all("SELECT count(*) FROM archived")[0][0])

    def differences(self) -> list[Difference]:
        """Return what differs from the audit chain, the stream and the database."""
        found = []
        for source, table, what in _SOURCES:
            rows = self._all(_DIFFERS.format(table=table, what=what, shown=SHOWN))
            if rows:
                found.append(Difference(source, rows[0][1], [row[0] for row in rows]))
        return found

    def records_of(self, first: str, last: str) -> list[tuple[str, Record]]:
        """Return the records of all certificates between two ids, each one's in sequence and once."""
        return [(row[0], (row[1], row[2])) for row in self._all(_OF_CERTIFICATES, first, last)]

    def _add(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            columns = [list(column) for column in zip(*rows, strict=True)]
            places = ", ".join(f"unnest(${nth})" for nth in range(1, len(columns) + 1))
            self._connection.execute(f"INSERT INTO {table} SELECT {places}", columns)

    def _all(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, list(values)).fetchall()
