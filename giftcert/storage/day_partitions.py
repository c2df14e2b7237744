"""Tables of ingest in day partitions, which are made ahead and dropped whole: originals and unmatched payments.

Making and dropping a table takes its owner, so functions of the owner do it for the service, for these two alone.
Either locks its table for a moment; rather another time than ingest behind a long wait.
"""

from datetime import date
from typing import Literal, TypeAlias

from giftcert.storage.database import Connection

Table: TypeAlias = Literal["unmatched_payments", "inbox"]

_PAYMENTS_ARE_GONE = "UPDATE payment_horizon SET kept_since = greatest(kept_since, $1)"


async def make_days(connection: Connection, table: Table, first: date, count: int) -> None:
    """Make the partitions of so many days, as far as they are not there; raises where the table is too busy."""
    await connection.execute("SELECT make_days($1, $2, $3)", table, first, count)


async def drop_before(connection: Connection, table: Table, first_kept: date) -> list[str]:
    """Drop the partitions of all days before this one, whole, and remember that payments are gone.

    Returns their names, and that of the default partition if any of its rows were so old. Raises as ``make_days``.
    """
    gone: list[str] = await connection.fetchval("SELECT drop_days($1, $2)", table, first_kept)
    if gone and table == "unmatched_payments":
        await connection.execute(_PAYMENTS_ARE_GONE, first_kept)
    return gone
