"""The file of DuckDB: tables of what was read from the topics, and the views that count it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

SCHEMA_VERSION = 1  # of the tables; the views are made anew whenever the file is filled
SQL = files("giftcert.bi") / "sql"
_TABLES = ("stream", "order_records", "payment_records", "unread")
_BATCH = """
    CREATE OR REPLACE TEMP TABLE batch (partition INTEGER, "offset" BIGINT, written_at TIMESTAMPTZ, value VARCHAR)
"""
_FILL = "INSERT INTO batch SELECT unnest($1), unnest($2), make_timestamptz(unnest($3)), unnest($4)"
_ADVANCE = """
    INSERT INTO positions SELECT $1, partition, max("offset") + 1 FROM batch GROUP BY partition
    ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset
"""


class WarehouseError(Exception):
    """The file cannot be used; the message is one line and says what to do."""


class ReadRecord(NamedTuple):
    """A record of a topic; ``written_at`` is Kafka's timestamp in milliseconds."""

    partition: int
    offset: int
    written_at: int
    value: str


@dataclass(frozen=True, slots=True)
class Source:
    """A topic by its name, and the file of SQL that makes rows of its records, in the shape that ``specs`` has.

    ``translated`` makes that shape of a record of another; one that it cannot read it returns as it is.
    """

    topic: str
    sql: str
    translated: Callable[[bytes], bytes] | None = None


class Rows(NamedTuple):
    """What a query returned."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]

    @property
    def as_dicts(self) -> list[dict[str, Any]]:
        """Each row by the names of its columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Warehouse:
    """One open file."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: Path, time_zone: str) -> "Warehouse":
        """Open a file to fill it, and make it if there is none; raises `WarehouseError`."""
        warehouse = cls(_connect(path, read_only=False))
        try:
            warehouse.query("SELECT timezone($1, now())", time_zone)
        except duckdb.Error:
            warehouse.close()
            raise WarehouseError(
                f"GIFTCERT_BI_TIME_ZONE={time_zone} is no time zone such as Europe/Moscow"
            ) from None
        warehouse.run(f"BEGIN; {_text('tables.sql')} COMMIT")
        made_for = warehouse.query("SELECT schema_version, time_zone FROM settings").rows
        if not made_for:
            warehouse.query("INSERT INTO settings VALUES ($1, $2)", SCHEMA_VERSION, time_zone)
        elif made_for[0] != (SCHEMA_VERSION, time_zone):
            raise WarehouseError(
                f"{path} was made for version {made_for[0][0]} and time zone {made_for[0][1]}, not for version "
                f"{SCHEMA_VERSION} and {time_zone}: fill it anew with --rebuild"
            )
        warehouse.run(f"BEGIN; {_text('views.sql')} COMMIT")
        return warehouse

    @classmethod
    def open_to_read(cls, path: Path) -> "Warehouse":
        """Open a file that `giftcert bi load` has filled; raises `WarehouseError`."""
        if not path.exists():
            raise WarehouseError(f"there is no file {path}: `giftcert bi load` makes it")
        warehouse = cls(_connect(path, read_only=True))
        try:
            versions = warehouse.query("SELECT schema_version FROM settings").rows
        except duckdb.CatalogException:
            versions = ()
        if versions != [(SCHEMA_VERSION,)]:
            raise WarehouseError(
                f"{path} was not filled by this version: `giftcert bi load --rebuild` does it"
            )
        return warehouse

    def close(self) -> None:
        """Write what is not written yet, and let others have the file."""
        self._connection.close()

    def query(self, sql: str, *parameters: object) -> Rows:
        """Run one statement and return what it returns."""
        found = self._connection.execute(sql, list(parameters))
        return Rows(tuple(one[0] for one in found.description or ()), found.fetchall())

    def run(self, sql: str) -> None:
        """Run statements."""
        self._connection.execute(sql)

    def set_variable(self, name: str, value: object) -> None:
        """Set what `getvariable` returns in SQL."""
        self._connection.execute(f"SET VARIABLE {name} = $1", [value])

    def positions(self, topic: str) -> Mapping[int, int]:
        """Return the next offset to read of each partition that anything was read of."""
        return dict(self.query("SELECT partition, next_offset FROM positions WHERE topic = $1", topic).rows)

    def add(self, source: Source, records: Collection[ReadRecord], read_at: datetime) -> int:
        """Add records and move the positions behind them, both or neither; return how many rows that made.

        ``read_at`` is the instant of the load, the same for all that it reads.
        """
        self.run(_BATCH)
        partitions, offsets, times, values = map(list, zip(*records, strict=True))
        self.query(_FILL, partitions, offsets, [1_000 * one for one in times], values)
        self.set_variable("topic", source.topic)
        self.set_variable("read_at", read_at)
        before = self.size()
        self.run("BEGIN")
        try:
            self.run(_text(source.sql))
            self.query(_ADVANCE, source.topic)
            self.run("COMMIT")
        except BaseException:
            self.run("ROLLBACK")
            raise
        return self.size() - before

    def size(self) -> int:
        """Return how many rows there are of records, readable or not."""
        counts = " + ".join(f"(SELECT count(*) FROM {table})" for table in _TABLES)  # noqa: S608 - constants
        (size,) = self.query(f"SELECT {counts}").rows[0]
        return int(size)

    def remember_load(self, read_until: datetime, records: int, repeats: int) -> None:
        """Note that everything published before an instant has been read."""
        self.query("INSERT INTO loads VALUES ($1, $2, $3)", read_until, records, repeats)


def _connect(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(path, read_only=read_only)
    except duckdb.IOException as error:
        if "lock" in str(error):
            raise WarehouseError(f"{path} is open in another process: wait for it, or end it") from None
        raise WarehouseError(f"{path} cannot be opened as a file of DuckDB: name another by --file") from None


def _text(name: str) -> str:
    return (SQL / name).read_text("utf-8")
