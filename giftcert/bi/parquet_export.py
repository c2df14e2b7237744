"""Parquet by day: one file a day of each table, for warehouses that read files; a closed day never changes again."""

from datetime import date
from pathlib import Path

from giftcert.bi.warehouse import Warehouse

CLOSED = "_SUCCESS"
"""The file beside a day's that says that it is complete, as Spark and Hadoop name it."""
TABLES = {
    "stream": "SELECT * EXCLUDE (digest, read_at) FROM events",
    "money": "SELECT * FROM money",
    "orders": "SELECT *, local_day(written_at) AS day FROM orders",
    "payments": "SELECT *, local_day(written_at) AS day FROM payments",
}
"""What is exported, under its folder's name: each message once, by the day in which it was recorded or written."""


def export(warehouse: Warehouse, folder: Path) -> int:
    """Write ``TABLE/day=DATE/TABLE.parquet`` of each day that has changed since; return how many files that were."""
    closed = {day for (day,) in warehouse.query("SELECT day FROM days WHERE is_closed").rows}
    written = 0
    for table, select in TABLES.items():
        counts = warehouse.query(f"SELECT day, count(*) FROM ({select}) GROUP BY day ORDER BY day")  # noqa: S608
        for day, count in counts.rows:
            path = folder / table / f"day={day}" / f"{table}.parquet"
            if _rows_in(warehouse, path) != count:
                _write(warehouse, select, day, path)
                written += 1
            if day in closed:
                (path.parent / CLOSED).touch()
    return written


def _rows_in(warehouse: Warehouse, path: Path) -> int | None:
    if not path.exists():
        return None
    (rows,) = warehouse.query("SELECT num_rows FROM parquet_file_metadata($1)", str(path)).rows[0]
    return int(rows)


def _write(warehouse: Warehouse, select: str, day: date, path: Path) -> None:
    """Write a day beside its place first: whoever reads sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}")
    target = str(beside).replace("'", "''")
    query = f"SELECT * EXCLUDE (day) FROM ({select}) WHERE day = DATE '{day}'"  # noqa: S608 - our own
    warehouse.run(f"COPY ({query}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
    beside.replace(path)
