"""Tables of ingest in day partitions, which are made ahead and dropped whole: originals and unmatched payments."""

from datetime import date, timedelta
from typing import Literal, TypeAlias

from giftcert.storage.database import Connection

Table: TypeAlias = Literal["unmatched_payments", "inbox"]

# Making or dropping a partition locks the table for a moment; rather another time than ingest behind a long wait.
_ALONE = "SET LOCAL lock_timeout = '2s'; SELECT pg_advisory_xact_lock(7310592)"
_DAYS = """
    SELECT child.relname FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
    WHERE inhparent = $1::text::regclass ORDER BY child.relname
"""


async def make_days(connection: Connection, table: Table, first: date, count: int) -> None:
    """Make the partitions of so many days, as far as they are not there; raises where the table is too busy."""
    there = await _lock_days(connection, table)
    for day in (first + timedelta(days=nth) for nth in range(count)):
        if _name(table, day) not in there:
            await _make_day(connection, table, day)


async def drop_before(connection: Connection, table: Table, first_kept: date) -> list[str]:
    """Drop the partitions of all days before this one, whole, and remember that payments are gone.

    Returns their names, and that of the default partition if any of its rows were so old. Raises as ``make_days``.
    """
    days = await _lock_days(connection, table)
    gone = [name for name in days if f"{table}_2" < name < _name(table, first_kept)]
    for name in gone:
        await connection.execute(f"DROP TABLE {name}")
    default = f"{table}_default"
    if await connection.execute(f"DELETE FROM {default} WHERE received_on < $1", first_kept) != "DELETE 0":  # noqa: S608
        gone.append(default)
    if gone and table == "unmatched_payments":
        moved = "UPDATE payment_horizon SET kept_since = greatest(kept_since, $1)"
        await connection.execute(moved, first_kept)
    return gone


async def _lock_days(connection: Connection, table: Table) -> list[str]:
    """Return the partitions of a table, which nobody else makes or drops until the transaction ends."""
    await connection.execute(_ALONE)
    return [row["relname"] for row in await connection.fetch(_DAYS, table)]


async def _make_day(connection: Connection, table: Table, day: date) -> None:
    """Put aside what was written before its day was made: PostgreSQL would refuse the day for ever."""
    make = (
        f"CREATE TABLE {_name(table, day)} PARTITION OF {table}"
        f" FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}')"
    )
    in_default = f"FROM {table}_default WHERE received_on = '{day}'"
    if not await connection.fetchval(f"SELECT EXISTS (SELECT {in_default})"):
        await connection.execute(make)
        return
    # Locked, as ingest may be writing more of them.
    await connection.execute(f"""
        LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;
        CREATE TEMP TABLE put_aside ON COMMIT DROP AS SELECT * {in_default};
        DELETE {in_default};
        {make};
        INSERT INTO {table} SELECT * FROM put_aside;
        DROP TABLE put_aside
    """)  # noqa: S608 - names of ours


def _name(table: Table, day: date) -> str:
    return f"{table}_{day:%Y%m%d}"
