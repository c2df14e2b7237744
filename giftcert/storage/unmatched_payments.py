"""Payments whose order is not known to hold a certificate: compact rows in daily partitions."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import TypeAlias

from asyncpg import Connection, Record
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.storage.engine import driver_of

UnmatchedRow: TypeAlias = tuple[date, str, str, int, int, bytes]
"""Day received, order id, topic, partition, offset, compact message: as COPY takes it."""

_TABLE = "unmatched_payments"
_COLUMNS = ("received_on", "order_id", "topic", "partition", "record_offset", "message")
_TAKE = """
    WITH taken AS (
        DELETE FROM unmatched_payments WHERE order_id = ANY($1)
        RETURNING received_on, order_id, topic, partition, record_offset, message
    )
    SELECT * FROM taken ORDER BY topic, partition, record_offset
"""
_DAYS = """
    SELECT child.relname FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
    WHERE inhparent = 'unmatched_payments'::regclass ORDER BY child.relname
"""
_DEFAULT = "unmatched_payments_default"
_IN_DEFAULT = f"SELECT EXISTS (SELECT FROM {_DEFAULT} WHERE received_on = $1)"  # noqa: S608 - made of constants
_LOCK_ALL = f"LOCK TABLE {_TABLE} IN ACCESS EXCLUSIVE MODE"  # ingest may be writing more of them
_PUT_ASIDE = (
    f"CREATE TEMP TABLE put_aside ON COMMIT DROP AS SELECT * FROM {_DEFAULT} WHERE received_on = '{{day}}'",  # noqa: S608
    f"DELETE FROM {_DEFAULT} WHERE received_on = '{{day}}'",  # noqa: S608 - made of constants and a date
)
_PUT_BACK = (f"INSERT INTO {_TABLE} SELECT * FROM put_aside", "DROP TABLE put_aside")  # noqa: S608 - made of constants
_FORGET_IN_DEFAULT = f"""
    WITH old AS (DELETE FROM {_DEFAULT} WHERE received_on < $1 RETURNING 1) SELECT count(*) FROM old
"""  # noqa: S608 - made of constants
_KEPT_SINCE = "SELECT kept_since <> '-infinity' FROM payment_horizon"
_MOVE_HORIZON = "UPDATE payment_horizon SET kept_since = greatest(kept_since, $1)"
# Making or dropping a partition locks the table for a moment; rather another time than ingest behind a long wait.
_PATIENCE = text("SET LOCAL lock_timeout = '2s'")
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(7310592)")


class UnmatchedPaymentRepository:
    """Keeps and gives back payments; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def keep(self, rows: Sequence[UnmatchedRow]) -> None:
        """Write payments by COPY; a day without a partition of its own goes to the default partition."""
        driver = await driver_of(self._connection)
        await driver.copy_records_to_table(_TABLE, records=rows, columns=_COLUMNS)

    async def take(self, order_ids: Iterable[str]) -> list[UnmatchedRow]:
        """Remove and return all payments of these orders, each partition's in the order of its topic."""
        driver = await driver_of(self._connection)
        return [tuple(row) for row in await driver.fetch(_TAKE, list(order_ids))]

    async def some_were_dropped(self) -> bool:
        """Return whether any day was ever dropped: an older order's payments may be gone."""
        driver = await driver_of(self._connection)
        return bool(await driver.fetchval(_KEPT_SINCE))

    async def make_days(self, first: date, count: int) -> None:
        """Make the partitions of so many days, as far as they are not there.

        Raises:
            asyncpg.LockNotAvailableError: the table was too busy; try again.
        """
        await self._alone()
        there = set(await self._days())
        driver = await driver_of(self._connection)
        for day in (first + timedelta(days=nth) for nth in range(count)):
            if _name(day) not in there:
                await self._make_day(driver, day)

    async def _make_day(self, driver: "Connection[Record]", day: date) -> None:
        """What was written before its day was made is put aside: PostgreSQL would refuse the day for ever."""
        bounds = f"FROM ('{day}') TO ('{day + timedelta(days=1)}')"
        make = f"CREATE TABLE {_name(day)} PARTITION OF {_TABLE} FOR VALUES {bounds}"
        if not await driver.fetchval(_IN_DEFAULT, day):
            await driver.execute(make)
            return
        await driver.execute(_LOCK_ALL)
        for statement in (*_PUT_ASIDE, make, *_PUT_BACK):
            await driver.execute(statement.format(day=day))

    async def drop_before(self, first_kept: date) -> list[str]:
        """Drop the partitions of all days before this one, whole, and remember that payments are gone.

        Returns:
            The names of those dropped, and of the default partition if any of its rows were so old.

        Raises:
            asyncpg.LockNotAvailableError: the table was too busy; try again.
        """
        await self._alone()
        gone = [name for name in await self._days() if f"{_TABLE}_2" < name < _name(first_kept)]
        driver = await driver_of(self._connection)
        for name in gone:
            await driver.execute(f"DROP TABLE {name}")
        if await driver.fetchval(_FORGET_IN_DEFAULT, first_kept):
            gone.append(_DEFAULT)
        if gone:
            await driver.execute(_MOVE_HORIZON, first_kept)
        return gone

    async def _alone(self) -> None:
        await self._connection.execute(_PATIENCE)
        await self._connection.execute(_ONE_AT_A_TIME)

    async def _days(self) -> list[str]:
        driver = await driver_of(self._connection)
        return [row["relname"] for row in await driver.fetch(_DAYS)]


def _name(day: date) -> str:
    return f"{_TABLE}_{day:%Y%m%d}"
