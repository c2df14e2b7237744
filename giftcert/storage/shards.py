"""Shards of the outbox: how events that must stay in order per certificate are shared among processes."""

from zlib import crc32

SHARDS = 32
"""As many as the rows that the first migration makes in ``outbox_shards``."""


def shard_of(key: str) -> int:
    """Return the shard of a stream key: the same for ever, in every process."""
    return crc32(key.encode()) % SHARDS
