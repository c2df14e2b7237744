"""Statistics of a database of a year, and an empty database that the planner takes for it.

Beside rows and values the planner looks at how long a table's file is, so the files are lengthened, without a byte in
them. Nothing may be written to such a database any more.
"""

import json
import re
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

from giftcert.storage.database import Connection
from giftcert.storage.day_partitions import Table, make_days

FILE = Path(__file__).resolve().parents[2] / "specs" / "plans" / "statistics.json"
Statistics: TypeAlias = dict[str, dict[str, Any]]
"""Of each table and index: pages, tuples, pages that are all visible, and of a table's columns what pg_stats says."""
DAYS = {"20260101": date(2026, 1, 1), "20260102": date(2026, 1, 2)}
"""All days of a table that is kept in days are as its fullest; two are enough to see how they are read."""
_PAGE, _SEGMENT = 8192, 2**30
_DAILY: tuple[Table, ...] = ("inbox", "unmatched_payments")
_RELATIONS = """
    SELECT c.relname AS name, coalesce(t.relname, c.relname) AS table, c.relpages, c.reltuples, c.relallvisible
    FROM pg_class AS c LEFT JOIN pg_index AS i ON i.indexrelid = c.oid LEFT JOIN pg_class AS t ON t.oid = i.indrelid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'i', 'p', 'I') ORDER BY 1
"""
_COLUMN = (
    ("null_frac", "real"),
    ("avg_width", "integer"),
    ("n_distinct", "real"),
    ("most_common_vals", "text"),
    ("most_common_freqs", "real[]"),
    ("histogram_bounds", "text"),
    ("correlation", "real"),
    ("most_common_elems", "text"),
    ("most_common_elem_freqs", "real[]"),
    ("elem_count_histogram", "real[]"),
)
_COLUMNS = f"""
    SELECT tablename, attname, inherited, {", ".join(f"{name}::text" for name, _ in _COLUMN)}
    FROM pg_stats WHERE schemaname = 'public' ORDER BY 1, 2, 3
"""  # noqa: S608 - made of constants
_SET_RELATION = """
    SELECT pg_restore_relation_stats('schemaname', 'public', 'relname', $1::text, 'relpages', $2::integer,
        'reltuples', $3::real, 'relallvisible', $4::integer)
"""
_SAID = ", ".join(f"'{name}', ${nth}::text::{kind}" for nth, (name, kind) in enumerate(_COLUMN, 4))
_SET_COLUMN = f"""
    SELECT pg_restore_attribute_stats('schemaname', 'public', 'relname', $1::text, 'attname', $2::text,
        'inherited', $3::boolean, {_SAID})
"""


async def export(connection: Connection) -> Statistics:
    """Return the statistics of all tables; of days only two, as full as the fullest."""
    await connection.execute(
        "SET default_statistics_target = 10; ANALYZE"
    )  # values hardly matter to generic plans
    relations = await connection.fetch(_RELATIONS)
    days = {table: _fullest_day(table, relations) for table in _DAILY}
    found: Statistics = {}
    for row in relations:
        size = {"pages": row["relpages"], "tuples": row["reltuples"], "visible": row["relallvisible"]}
        for name in _stored_names(row["name"], row["table"], days):
            found[name] = size
    for row in await connection.fetch(_COLUMNS):
        said = {name: row[name] for name, _ in _COLUMN if row[name] is not None}
        for name in _stored_names(row["tablename"], row["tablename"], days):
            column = f"{row['attname']} inherited" if row["inherited"] else row["attname"]
            found[name] = found[name] | {"columns": found[name].get("columns", {}) | {column: said}}
    return found


def write(statistics: Statistics) -> None:
    """Store statistics, a line per table, index or column."""
    FILE.parent.mkdir(exist_ok=True)
    lines = []
    for name, one in sorted(statistics.items()):
        columns = one.get("columns", {})
        inner = [f"  {json.dumps(column)}: {json.dumps(said)}" for column, said in sorted(columns.items())]
        sizes = ", ".join(f'"{key}": {one[key]}' for key in ("pages", "tuples", "visible"))
        tail = ', "columns": {\n' + ",\n".join(inner) + "}" if inner else ""
        lines.append(f"{json.dumps(name)}: {{{sizes}{tail}}}")
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def read() -> Statistics:
    """Return what is stored."""
    stored: Statistics = json.loads(FILE.read_text(encoding="utf-8"))
    return stored


async def impersonate(owner: Connection, statistics: Statistics, data_folder: Path) -> None:
    """Make the planner take an empty database, whose files are below a folder, for one with these statistics."""
    for table in _DAILY:
        await make_days(owner, table, min(DAYS.values()), len(DAYS))
    for row in await owner.fetch(_RELATIONS):
        if (one := statistics.get(row["name"])) is None:
            continue
        await owner.execute(_SET_RELATION, row["name"], one["pages"], one["tuples"], one["visible"])
        path = await owner.fetchval("SELECT pg_relation_filepath($1::text::regclass)", row["name"])
        if path is not None:
            _lengthen(data_folder / path, one["pages"] * _PAGE)
        for column, said in one.get("columns", {}).items():
            name, _, inherited = column.partition(" ")
            values = (said.get(each) for each, _ in _COLUMN)
            await owner.execute(_SET_COLUMN, row["name"], name, bool(inherited), *values)


def _lengthen(path: Path, size: int) -> None:
    segment = 0
    while size > 0:
        file = path if segment == 0 else path.with_name(f"{path.name}.{segment}")
        if file.stat().st_size < min(size, _SEGMENT):
            with file.open("r+b") as opened:
                opened.truncate(min(size, _SEGMENT))
        size, segment = size - _SEGMENT, segment + 1


def _fullest_day(table: str, relations: list[Any]) -> str:
    days = [row for row in relations if re.fullmatch(rf"{table}_\d{{8}}", row["name"])]
    return str(max(days, key=lambda row: row["reltuples"])["name"])[-8:]


def _stored_names(name: str, table: str, days: dict[Table, str]) -> list[str]:
    for daily in _DAILY:
        if found := re.match(rf"{daily}_(\d{{8}})", table):
            return [name.replace(found[1], day) for day in DAYS] if found[1] == days[daily] else []
    return [name]
