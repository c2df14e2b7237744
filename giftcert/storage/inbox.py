"""What ingest keeps of the topics, in day partitions that are made ahead and dropped whole.

Table ``inbox``: originals of what was folded, as long as a trace needs them; repeats are known elsewhere. Table
``unmatched_payments``: compact rows of payments whose order is not known to name a certificate, which it may yet do.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Literal, TypeAlias

from giftcert.storage.database import Connection
from giftcert.storage.repository import Repository, Write, by_column

Table: TypeAlias = Literal["unmatched_payments", "inbox"]
InboxRow: TypeAlias = tuple[date, str, str, int, int, str, str, bytes]
"""Day received, order id, topic, partition, offset, event id, event type, original sealed by the keyring."""
UnmatchedRow: TypeAlias = tuple[date, str, str, int, int, bytes]
"""Day received, order id, topic, partition, offset, compact message."""

_RECEIVED = """
    INSERT INTO inbox (received_on, order_id, topic, partition, record_offset, event_id, event_type, original)
    SELECT * FROM unnest({}::date[], {}::text[], {}::text[], {}::integer[], {}::bigint[], {}::text[], {}::text[],
        {}::bytea[])
"""
_UNMATCHED = ("received_on", "order_id", "topic", "partition", "record_offset", "message")
_TAKE = f"""
    WITH taken AS (DELETE FROM unmatched_payments WHERE order_id = ANY($1) RETURNING {", ".join(_UNMATCHED)})
    SELECT * FROM taken ORDER BY topic, partition, record_offset
"""  # noqa: S608 - made of constants
# Making or dropping a partition locks the table for a moment; rather another time than ingest behind a long wait.
_ALONE = "SET LOCAL lock_timeout = '2s'; SELECT pg_advisory_xact_lock(7310592)"
_DAYS = """
    SELECT child.relname FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
    WHERE inhparent = $1::text::regclass ORDER BY child.relname
"""


def received(rows: Sequence[InboxRow]) -> Write:
    """Keep originals; a day without a partition of its own goes to the default partition."""
    return Write(_RECEIVED, by_column(rows))


class UnmatchedPaymentRepository(Repository):
    """Keeps payments, and gives them back to their order."""

    async def keep(self, rows: Sequence[UnmatchedRow]) -> None:
        """Write payments; a day without a partition of its own goes to the default partition."""
        await self._connection.copy_records_to_table("unmatched_payments", records=rows, columns=_UNMATCHED)

    async def take(self, order_ids: Iterable[str]) -> list[UnmatchedRow]:
        """Remove and return all payments of these orders, each partition's in the order of its topic."""
        return [tuple(row) for row in await self._fetch(_TAKE, list(order_ids))]

    async def were_dropped(self) -> bool:
        """Return whether any day was ever dropped: an older order's payments may be gone."""
        return bool(await self._fetchval("SELECT kept_since <> '-infinity' FROM payment_horizon"))


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
