"""Certificates with their events, and orders with their lines, page by page: a million need the memory of one page."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import msgspec
from asyncpg.transaction import Transaction

from giftcert.contracts.stream import StoredEvent
from giftcert.domain.certificate.state import LineRef
from giftcert.domain.order.order import Order
from giftcert.storage.events import EVENT, stored_event
from giftcert.storage.order_lines import LINE, OrderLineRow, line_of
from giftcert.storage.verification.session import Session

FETCHED_AT_ONCE = 2_000
BEGINNING = str(UUID(int=0))

_COLUMNS = """c.certificate_id::text AS certificate_id, c.product_id AS product, c.currency, c.nominal, c.status,
    c.blocked, c.balance, c.held, c.refund_state, c.sequence"""
_PAGE = (
    f"SELECT {_COLUMNS} FROM certificates c WHERE c.certificate_id > $1 ORDER BY c.certificate_id LIMIT $2"  # noqa: S608
)
_SAMPLED_PAGE = f"""
    SELECT {_COLUMNS} FROM sampled JOIN certificates c USING (certificate_id)
    WHERE c.certificate_id > $1 ORDER BY c.certificate_id LIMIT $2
"""  # noqa: S608 - made of constants
# Half of the sample by chance, half of what happened last: that is where something new can be wrong.
_SAMPLE = """
    INSERT INTO sampled
    SELECT certificate_id FROM (
        SELECT certificate_id FROM events WHERE certificate_id IS NOT NULL ORDER BY event_id DESC LIMIT 4 * $1
    ) AS latest JOIN certificates USING (certificate_id) GROUP BY certificate_id LIMIT ($1 + 1) / 2
    ON CONFLICT DO NOTHING
"""
_SAMPLE_BY_CHANCE = """
    INSERT INTO sampled
    SELECT c.certificate_id FROM certificates c TABLESAMPLE BERNOULLI ($2)
    LEFT JOIN sampled s USING (certificate_id) WHERE s.certificate_id IS NULL ORDER BY random()
    LIMIT $1 - (SELECT count(*) FROM sampled)
"""
_COUNT = "SELECT count(*) FROM certificates"
_COUNT_SAMPLED = "SELECT count(*) FROM sampled"
_EVENT = f"""{EVENT},
    EXISTS (SELECT FROM outbox AS o WHERE o.event_id = e.event_id) AS waits,
    EXISTS (SELECT FROM waiting_events AS w WHERE w.event_id = e.event_id) AS waited"""  # noqa: S608 - made of constants
_EVENTS = f"""
    SELECT {_EVENT} FROM events AS e WHERE certificate_id = ANY($1::uuid[]) ORDER BY certificate_id, sequence
"""  # noqa: S608 - made of constants
_KEYED_EVENTS = f"""
    SELECT {_EVENT} FROM events AS e WHERE certificate_id IS NULL AND event_id > $1 ORDER BY event_id LIMIT $2
"""  # noqa: S608 - made of constants
_ORDERS = "SELECT order_id, aggregate FROM orders WHERE order_id > $1 ORDER BY order_id LIMIT $2"
_SAMPLED_ORDERS = """
    SELECT DISTINCT o.order_id, o.aggregate FROM sampled
    JOIN certificates AS c USING (certificate_id) JOIN orders AS o ON o.order_id = c.order_id
    WHERE o.order_id > $1 ORDER BY o.order_id LIMIT $2
"""
_LINES = f"SELECT {LINE} FROM order_lines WHERE order_id = ANY($1)"  # noqa: S608 - made of constants
_LINES_OF = f"""
    SELECT {LINE} FROM order_lines
    WHERE (order_id, line_key) IN (SELECT * FROM unnest($1::text[], $2::integer[]))
"""  # noqa: S608 - made of constants
_RECEIVED = "SELECT order_id, count(*) FROM inbox WHERE order_id = ANY($1) GROUP BY order_id"
_WAITING = """
    SELECT certificate_id::text FROM pending WHERE certificate_id = ANY($1::uuid[])
    UNION SELECT certificate_id::text FROM spendings WHERE certificate_id = ANY($1::uuid[]) AND applied_at IS NULL
"""
_COUNT_ORDERS = "SELECT count(*) FROM orders"

_ORDER: msgspec.msgpack.Decoder[Order] = msgspec.msgpack.Decoder(Order)


@dataclass(frozen=True, slots=True)
class CertificateRow:
    """What the database says of a certificate. Amounts in minor units; ``sequence`` is of its last public event."""

    certificate_id: str
    product: str
    currency: str
    nominal: int
    status: str
    blocked: bool
    balance: int
    held: int
    refund_state: str
    sequence: int

    @property
    def shown_status(self) -> str:
        """The status as events tell it."""
        return "blocked" if self.blocked else self.status


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as stored. ``waits``: it is not on the stream yet; ``waited``: nor was it before the stream was read."""

    stored: StoredEvent
    waits: bool
    waited: bool


class PageRepository:
    """Reads pages; ``snapshot`` holds one moment of the database while a page is looked at."""

    def __init__(self, session: Session, *, sampled: bool = False) -> None:
        self._session = session
        self._sampled = sampled

    def snapshot(self) -> Transaction:
        """Let all questions see the same moment; nothing can be written meanwhile."""
        return self._session.transaction(isolation="repeatable_read", readonly=True)

    async def draw_sample(self, size: int) -> None:
        """Choose so many certificates, or all where there are no more."""
        await self._session.execute(_SAMPLE, size)
        # More than twice what is wanted is looked at, so that chance leaves enough.
        count = int(await self._session.fetchval(_COUNT))
        percent = min(100.0, 100.0 * (2 * size + 1_000) / max(count, 1))
        await self._session.execute(_SAMPLE_BY_CHANCE, size, percent)

    async def sampled_ids(self) -> list[str]:
        """Return the certificates that were chosen."""
        return [row[0] for row in await self._session.fetch("SELECT certificate_id::text FROM sampled")]

    async def count(self) -> int:
        """Return how many certificates there are to look at."""
        return int(await self._session.fetchval(_COUNT_SAMPLED if self._sampled else _COUNT))

    async def after(self, certificate_id: str, limit: int) -> list[CertificateRow]:
        """Return the certificates behind this one."""
        rows = await self._session.fetch(_SAMPLED_PAGE if self._sampled else _PAGE, certificate_id, limit)
        return [CertificateRow(*row) for row in rows]

    async def events(self, certificate_ids: Sequence[str]) -> AsyncIterator[RecordedEvent]:
        """Yield all events of these certificates, each one's in sequence, within a snapshot."""
        async for row in self._session.cursor(_EVENTS, certificate_ids, prefetch=FETCHED_AT_ONCE):
            yield _recorded(row)

    async def keyed_events(self, event_id: str, limit: int) -> list[RecordedEvent]:
        """Return the events about no certificate behind this one, in the order of their ids."""
        return [_recorded(row) for row in await self._session.fetch(_KEYED_EVENTS, event_id, limit)]


def _recorded(row: asyncpg.Record) -> RecordedEvent:
    return RecordedEvent(stored_event(row), row["waits"], row["waited"])


@dataclass(frozen=True, slots=True)
class OrderPage:
    """Orders, all their lines, and how many messages about each order the inbox still has."""

    orders: tuple[Order, ...]
    lines: tuple[OrderLineRow, ...]
    received: Mapping[str, int]


class OrderPageRepository:
    """Reads orders within the snapshot of a page."""

    def __init__(self, session: Session, *, sampled: bool = False) -> None:
        self._session = session
        self._sampled = sampled

    async def count(self) -> int:
        """Return how many orders there are; of a sample nobody knows before."""
        return 0 if self._sampled else int(await self._session.fetchval(_COUNT_ORDERS))

    async def after(self, order_id: str, limit: int) -> OrderPage:
        """Return the orders behind this one."""
        rows = await self._session.fetch(_SAMPLED_ORDERS if self._sampled else _ORDERS, order_id, limit)
        ids = [row[0] for row in rows]
        lines = await self._session.fetch(_LINES, ids)
        return OrderPage(
            tuple(_ORDER.decode(row[1]) for row in rows),
            tuple(line_of(row) for row in lines),
            {row[0]: row[1] for row in await self._session.fetch(_RECEIVED, ids)},
        )

    async def waiting(self, certificate_ids: Iterable[str]) -> set[str]:
        """Return for which of these certificates anything waits to be decided."""
        return {row[0] for row in await self._session.fetch(_WAITING, list(certificate_ids))}

    async def lines(self, refs: Sequence[LineRef]) -> list[OrderLineRow]:
        """Return lines of any orders."""
        rows = await self._session.fetch(
            _LINES_OF, [one.order_id for one in refs], [one.line_key for one in refs]
        )
        return [line_of(row) for row in rows]
