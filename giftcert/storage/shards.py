"""Shards: how work that must stay in order per certificate is shared among processes."""

from zlib import crc32

SHARDS = 32
"""As many as the rows that the first migration makes in ``shards``, for each purpose."""


def shard_of(key: str) -> int:
    """Return the shard of a stream key or certificate id: the same for ever, in every process."""
    return crc32(key.encode()) % SHARDS
