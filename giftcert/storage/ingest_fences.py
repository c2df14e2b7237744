"""The order in which ingest transactions see each other's work."""

from collections.abc import Iterable
from zlib import crc32

from giftcert.storage.database import Connection

_LOCK_CLASS = 0x6B61  # "ka": the high half of the keys of our advisory locks
# The transaction id is taken first: a mapping's recheck knows by it who may have looked before the mapping was there.
_ENTER = """
    SELECT pg_current_xact_id(),
        (SELECT count(pg_advisory_xact_lock(key)) FROM unnest($1::bigint[]) AS key)
"""
_OLDEST_OPEN = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"


async def enter(connection: Connection, partitions: Iterable[tuple[str, int]]) -> None:
    """Give a transaction its id before its first look-up, and wait for others that write of the same partitions.

    A process that lost a partition without noticing must not commit a message between two of its successor's.
    """
    names = (f"{topic}-{partition}".encode() for topic, partition in partitions)
    keys = sorted({_LOCK_CLASS << 32 | crc32(name) for name in names})
    await connection.execute(_ENTER, keys)


async def oldest_open(connection: Connection) -> int:
    """Return the lowest transaction id that may still be in progress: all below have ended."""
    return int(await connection.fetchval(_OLDEST_OPEN))
