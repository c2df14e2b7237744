"""The inbox: messages of orders with certificates, once each, in the order in which they were first seen."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.storage.engine import driver_of

_KNOWN = "SELECT identity, content FROM inbox WHERE identity = ANY($1)"
_HISTORY = """
    SELECT order_id, identity, topic, partition, record_offset, event_type, original FROM inbox
    WHERE order_id = ANY($1) ORDER BY inbox_id
"""
_ADD = """
    INSERT INTO inbox (identity, content, order_id, topic, partition, record_offset, event_id, event_type, original)
    SELECT identity, content, order_id, topic, partition, record_offset, event_id, event_type, original
    FROM unnest($1::text[], $2::bytea[], $3::text[], $4::text[], $5::integer[], $6::bigint[], $7::text[],
        $8::text[], $9::bytea[]) WITH ORDINALITY
        AS new (identity, content, order_id, topic, partition, record_offset, event_id, event_type, original, nth)
    ORDER BY nth
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxMessage:
    """A message as first seen. ``identity`` is what repeats share, ``content`` what they must not differ in."""

    identity: str
    content: bytes
    order_id: str
    topic: str
    partition: int
    offset: int
    event_id: str
    event_type: str
    original: bytes


@dataclass(frozen=True, slots=True)
class PastMessage:
    """A message of an order's history."""

    order_id: str
    identity: str
    topic: str
    partition: int
    offset: int
    event_type: str
    original: bytes


class InboxRepository:
    """Reads and writes messages in batches; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def contents(self, identities: Iterable[str]) -> dict[str, bytes]:
        """Return the content of those messages that are in the inbox already, by identity."""
        driver = await driver_of(self._connection)
        rows = await driver.fetch(_KNOWN, list(identities))
        return {row["identity"]: row["content"] for row in rows}

    async def history(self, order_ids: Iterable[str]) -> dict[str, list[PastMessage]]:
        """Return all messages of orders, as first seen."""
        driver = await driver_of(self._connection)
        histories: dict[str, list[PastMessage]] = {}
        for row in await driver.fetch(_HISTORY, list(order_ids)):
            histories.setdefault(row["order_id"], []).append(PastMessage(*row))
        return histories

    async def add(self, messages: Sequence[InboxMessage]) -> None:
        """Add messages in this order.

        Raises:
            asyncpg.UniqueViolationError: another transaction has added one of them meanwhile.
        """
        driver = await driver_of(self._connection)
        await driver.execute(
            _ADD,
            [one.identity for one in messages],
            [one.content for one in messages],
            [one.order_id for one in messages],
            [one.topic for one in messages],
            [one.partition for one in messages],
            [one.offset for one in messages],
            [one.event_id for one in messages],
            [one.event_type for one in messages],
            [one.original for one in messages],
        )
