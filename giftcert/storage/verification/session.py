"""The session of a whole verification: what it reads page by page, and temporary tables for what memory cannot hold.

That is what the stream holds, which events were not on it yet, which workflows are open, and which certificates are
the sample.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeAlias
from uuid import UUID

import msgspec
from asyncpg import Record
from asyncpg.transaction import Transaction

from giftcert.contracts.stream import StoredEvent
from giftcert.domain.certificate.state import LineRef, known_lines
from giftcert.domain.order.order import Order
from giftcert.storage.audit_chain import Link, links_after
from giftcert.storage.certificates import CertificateRepository, StoredCertificate
from giftcert.storage.database import PLAN_FREELY, Connection, Database
from giftcert.storage.events import EVENT, stored_event
from giftcert.storage.order_lines import LINE, OrderLineRow, line_of
from giftcert.storage.verification.checks import Check, Violation

QUERY_SECONDS = 600.0
"""A question about millions of rows takes longer than the service lets its own statements take."""
MOST_ROWS = 1_000
"""Of one check; more are counted."""
FETCHED_AT_ONCE = 2_000
PAGE, ORDER_PAGE, EVENT_PAGE, LINK_PAGE = 1_000, 200, 2_000, 20
BEGINNING = str(UUID(int=0))

# A page is folded while its snapshot is open.
_PATIENCE = f"""
    SET idle_in_transaction_session_timeout = '5min'; SET statement_timeout = '10min'; SET lock_timeout = '1min';
    {PLAN_FREELY}
"""
# An event is found on the stream by its certificate and sequence, one without a certificate by its own id and 0.
TABLES = """
    CREATE TEMPORARY TABLE stream_events (subject uuid NOT NULL, sequence integer NOT NULL, digest bytea NOT NULL);
    CREATE TEMPORARY TABLE waiting_events (event_id uuid PRIMARY KEY);
    CREATE TEMPORARY TABLE unlinked_before (event_id uuid NOT NULL);
    CREATE TEMPORARY TABLE linked_events (event_id uuid NOT NULL, link bigint NOT NULL, mac bytea NOT NULL);
    CREATE TEMPORARY TABLE open_runs (certificate_id uuid NOT NULL);
    CREATE TEMPORARY TABLE sampled (certificate_id uuid PRIMARY KEY);
"""
INDEX = """
    CREATE INDEX ON stream_events (subject, sequence);
    ANALYZE stream_events;
    CREATE INDEX ON linked_events (event_id);
    ANALYZE linked_events;
    CREATE INDEX ON unlinked_before (event_id);
    ANALYZE unlinked_before;
    CREATE INDEX ON open_runs (certificate_id);
    ANALYZE open_runs;
"""
_NOTE_WAITING = """
    INSERT INTO waiting_events SELECT event_id FROM outbox;
    INSERT INTO unlinked_before SELECT event_id FROM unlinked_events
"""
# Half of the sample by chance, half of what happened last: that is where something new can be wrong.
_DRAW_SAMPLE = """
    INSERT INTO sampled
    SELECT certificate_id FROM (
        (
            SELECT certificate_id, 1 AS part FROM (
                SELECT certificate_id FROM events WHERE certificate_id IS NOT NULL ORDER BY event_id DESC LIMIT 4 * $1
            ) AS latest JOIN certificates USING (certificate_id) GROUP BY certificate_id LIMIT ($1 + 1) / 2
        ) UNION ALL (
            SELECT certificate_id, 2 FROM certificates ORDER BY random() LIMIT $1
        )
    ) AS drawn GROUP BY certificate_id ORDER BY min(part) LIMIT $1
    RETURNING certificate_id::text
"""
_SAMPLED = "sampled JOIN certificates AS c USING (certificate_id)"
_OF_SAMPLED = f"order_id IN (SELECT c.order_id FROM {_SAMPLED})"  # noqa: S608 - made of constants
_PAGE = """
    SELECT c.certificate_id::text, c.product_id, c.currency, c.nominal, c.status, c.blocked, c.balance, c.held,
        c.refund_state, c.sequence
    FROM {} WHERE c.certificate_id > $1 ORDER BY c.certificate_id LIMIT $2
"""
_EVENT = f"""{EVENT},
    EXISTS (SELECT FROM outbox AS o WHERE o.event_id = e.event_id) AS waits,
    EXISTS (SELECT FROM waiting_events AS w WHERE w.event_id = e.event_id) AS waited,
    ARRAY(
        SELECT digest FROM stream_events AS s
        WHERE s.subject = coalesce(e.certificate_id, e.event_id) AND s.sequence = coalesce(e.sequence, 0)
    ) AS published,
    EXISTS (SELECT FROM unlinked_before AS u WHERE u.event_id = e.event_id) AS unlinked,
    ARRAY(SELECT mac FROM linked_events AS l WHERE l.event_id = e.event_id) AS macs"""  # noqa: S608 - made of constants
_EVENTS = f"""
    SELECT {_EVENT} FROM events AS e WHERE certificate_id = ANY($1::uuid[]) ORDER BY certificate_id, sequence
"""  # noqa: S608 - made of constants
_KEYED_EVENTS = f"""
    SELECT {_EVENT} FROM events AS e WHERE certificate_id IS NULL AND event_id > $1 ORDER BY event_id LIMIT $2
"""  # noqa: S608 - made of constants
_ORDERS = "SELECT order_id, aggregate FROM orders WHERE order_id > $1 AND {} ORDER BY order_id LIMIT $2"
_LINES = f"SELECT {LINE} FROM order_lines WHERE order_id = ANY($1)"  # noqa: S608 - made of constants
_RECEIVED = "SELECT order_id, count(*) FROM inbox WHERE order_id = ANY($1) GROUP BY order_id"
_WAITING = """
    SELECT certificate_id::text FROM pending WHERE certificate_id = ANY($1::uuid[])
    UNION SELECT certificate_id::text FROM spendings WHERE certificate_id = ANY($1::uuid[]) AND applied_at IS NULL
"""
_CHECK = """
    SELECT subject::text, about::text, expected, seen, count(*) OVER ()
    FROM ({}) AS found (subject, about, expected, seen) LIMIT {}
"""
_ORDER: msgspec.msgpack.Decoder[Order] = msgspec.msgpack.Decoder(Order)

# Stored texts: in this order kind and subject of the place, what there, and the text. ``$2``: digits as in a number.
STATES = """
    SELECT 'certificate', certificate_id::text, 'state', state::text FROM certificates
    WHERE certificate_id = ANY($1::uuid[]) AND state::text ~ $2
"""
LINES = """
    SELECT 'order', order_id, 'standing of line ' || line_key, jsonb_build_array(standing, recipient)::text
    FROM order_lines WHERE order_id = ANY($1) AND (standing::text ~ $2 OR recipient::text ~ $2)
"""
ANSWERS = """
    SELECT 'idempotency key', encode(caller_key, 'hex'), '', answer::text FROM idempotency_keys
    WHERE answered_at > $1 AND answer::text ~ $2
"""
QUARANTINE = """
    SELECT 'input', topic || '-' || partition, 'offset ' || record_offset, reason || ' ' || detail FROM quarantine
    WHERE quarantined_at > $1 AND (reason || ' ' || detail) ~ $2
"""
# A CVC is remembered as a text of its own, an amount as a number.
ANSWERED = """
    SELECT id #>> '{}', 'the answer of ' || encode(caller_key, 'hex'), answer::text
    FROM idempotency_keys, jsonb_path_query(answer, 'lax $[*].certificateId ? (@.type() == "string")') AS id
    WHERE answered_at > $1 AND answer::text ~ '"[0-9]{3,8}"'
"""
SEALED_RECORDS = """
    SELECT topic, partition, record_offset, record_key, record_value FROM quarantine
    WHERE quarantined_at > $1 ORDER BY topic, partition, record_offset
"""
_KNOWN = "SELECT number_fingerprint FROM certificate_secrets WHERE number_fingerprint = ANY($1::bytea[])"
_SEALED_CVCS = (
    "SELECT certificate_id::text, cvc_sealed FROM certificate_secrets WHERE certificate_id = ANY($1::uuid[])"
)

StreamRow: TypeAlias = tuple[str, int, bytes]
"""Certificate id and sequence of a record of the stream, or event id and 0, and the digest; as COPY takes them."""


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
        """The status as events show it."""
        return "blocked" if self.blocked else self.status


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as stored, and the digests of what the stream holds in its place.

    ``waits``: it is in the outbox; ``waited``: it was, before the stream was read. ``unlinked``: no link of the audit
    chain had it then; ``macs`` are what its links say of it.
    """

    stored: StoredEvent
    waits: bool
    waited: bool
    published: Sequence[bytes]
    unlinked: bool
    macs: Sequence[bytes]


class OrderRow(NamedTuple):
    """An order as it lies in its row."""

    order_id: str
    aggregate: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOrders:
    """Orders as one snapshot has them.

    ``lines`` are theirs and whatever else their certificates decide on; ``received`` counts the messages about each
    order that the inbox still has; for ``waiting`` certificates something is to be decided yet.
    """

    orders: Collection[Order]
    lines: Mapping[LineRef, OrderLineRow]
    received: Mapping[str, int]
    certificates: Mapping[str, StoredCertificate]
    waiting: Collection[str]


class Session:
    """Asks all questions of one verification."""

    def __init__(self, connection: Connection, *, sampled: bool) -> None:
        self._connection = connection
        self._certificates = _SAMPLED if sampled else "certificates AS c"
        self._is_wanted = _OF_SAMPLED if sampled else "true"

    def snapshot(self) -> Transaction:
        """Let all questions see the same moment; nothing can be written meanwhile."""
        return self._connection.transaction(isolation="repeatable_read", readonly=True)

    async def begin(self) -> datetime:
        """Note which events are not on the stream yet; return the time by the clock that stamps events."""
        now: datetime = await self._connection.fetchval("SELECT clock_timestamp()")
        await self._connection.execute(_NOTE_WAITING, timeout=QUERY_SECONDS)
        return now

    async def draw_sample(self, size: int) -> list[str]:
        """Choose so many certificates, or all where there are no more, and return them."""
        return [row[0] for row in await self._connection.fetch(_DRAW_SAMPLE, size, timeout=QUERY_SECONDS)]

    async def add_published(self, rows: Sequence[StreamRow]) -> None:
        """Take in records of the stream."""
        await self._connection.copy_records_to_table("stream_events", records=rows)

    async def links(self, after: int) -> list[Link]:
        """Return the links of the audit chain behind this one."""
        return await links_after(self._connection, after, LINK_PAGE)

    async def add_linked(self, links: Iterable[Link]) -> None:
        """Take in which events links hold, and their hashes."""
        rows = [
            (event_id, link.number, mac)
            for link in links
            for event_id, mac in zip(link.event_ids, link.event_macs, strict=True)
        ]
        await self._connection.copy_records_to_table("linked_events", records=rows)

    async def add_open_runs(self, certificate_ids: Iterable[str]) -> None:
        """Take in certificates whose workflow is open."""
        await self._connection.copy_records_to_table("open_runs", records=[(one,) for one in certificate_ids])

    async def index(self) -> None:
        """Say that all is taken in and will be asked for."""
        await self._connection.execute(INDEX, timeout=QUERY_SECONDS)

    async def count_certificates(self) -> int:
        """Return how many certificates there are to look at."""
        return await self._count(self._certificates)

    async def certificates(self, after: str) -> list[CertificateRow]:
        """Return the certificates behind this one."""
        rows = await self._connection.fetch(_PAGE.format(self._certificates), after, PAGE)
        return [CertificateRow(*row) for row in rows]

    async def events(self, certificate_ids: Sequence[str]) -> AsyncIterator[RecordedEvent]:
        """Yield all events of these certificates, each one's in sequence, within a snapshot."""
        async for row in self.rows(_EVENTS, certificate_ids):
            yield _recorded(row)

    async def keyed_events(self, after: str) -> list[RecordedEvent]:
        """Return the events about no certificate behind this one, in the order of their ids."""
        return [_recorded(row) for row in await self._connection.fetch(_KEYED_EVENTS, after, EVENT_PAGE)]

    async def count_orders(self) -> int:
        """Return how many orders there are to look at."""
        return await self._count(f"orders WHERE {self._is_wanted}")

    async def orders(self, after: str) -> list[OrderRow]:
        """Return the orders behind this one."""
        rows = await self._connection.fetch(_ORDERS.format(self._is_wanted), after, ORDER_PAGE)
        return [OrderRow(*row) for row in rows]

    async def stored(self, rows: Sequence[OrderRow]) -> StoredOrders:
        """Return orders with all that concerns them, within a snapshot.

        Raises:
            ValueError: an order, a line of one, or a certificate that it concerns cannot be decoded.
        """
        orders = [_ORDER.decode(row.aggregate) for row in rows]
        ids = [row.order_id for row in rows]
        lines = await self._lines(ids)
        concerned = {one for row in lines.values() for one in concerned_by(row)}
        found = await CertificateRepository(self._connection).load_all(concerned)
        beside = {ref.order_id for one in found for ref in known_lines(one.state)}.difference(ids)
        return StoredOrders(
            orders=orders,
            lines=lines | await self._lines(beside),
            received={row[0]: row[1] for row in await self._connection.fetch(_RECEIVED, ids)},
            certificates={one.state.certificate_id: one for one in found},
            waiting={row[0] for row in await self._connection.fetch(_WAITING, concerned)},
        )

    async def ask(
        self, check: Check, *parameters: Sequence[str] | datetime | str
    ) -> tuple[list[Violation], int]:
        """Return what breaks the rule, at most ``MOST_ROWS``, and how many there are in all."""
        statement = _CHECK.format(check.statement, MOST_ROWS)
        rows = await self._connection.fetch(statement, *parameters, timeout=QUERY_SECONDS)
        return [check.broken(*row[:4]) for row in rows], rows[0][4] if rows else 0

    async def figures(self, statement: str, *parameters: Sequence[str] | datetime) -> Sequence[int]:
        """Return the figures of a counting statement."""
        return tuple(await self._connection.fetchrow(statement, *parameters, timeout=QUERY_SECONDS) or ())

    async def rows(
        self, statement: str, *parameters: Sequence[str] | datetime | str
    ) -> AsyncIterator[Record]:
        """Yield the rows of a statement, within a snapshot."""
        async for row in self._connection.cursor(statement, *parameters, prefetch=FETCHED_AT_ONCE):
            yield row

    async def known(self, fingerprints: Collection[bytes]) -> set[bytes]:
        """Return those that are of numbers of ours."""
        return {row[0] for row in await self._connection.fetch(_KNOWN, fingerprints)}

    async def sealed_cvcs(self, certificate_ids: Collection[str]) -> dict[str, bytes]:
        """Return the sealed CVCs of certificates."""
        return {row[0]: row[1] for row in await self._connection.fetch(_SEALED_CVCS, certificate_ids)}

    async def number_lengths(self) -> tuple[int, ...]:
        """Return how long numbers of our products are."""
        return tuple(
            row[0] for row in await self._connection.fetch("SELECT DISTINCT number_length FROM products")
        )

    async def _count(self, rows: str) -> int:
        return int(await self._connection.fetchval(f"SELECT count(*) FROM {rows}", timeout=QUERY_SECONDS))  # noqa: S608

    async def _lines(self, order_ids: Collection[str]) -> dict[LineRef, OrderLineRow]:
        lines = map(line_of, await self._connection.fetch(_LINES, order_ids))
        return {LineRef(*row.key): row for row in lines}


@asynccontextmanager
async def verification_session(database: Database, *, sampled: bool) -> AsyncIterator[Session]:
    """Open a session with empty temporary tables, which vanish with it, as its settings do.

    They are written outside any transaction of ours that lasts: an open one would hold back the watermarks of ingest.
    """
    async with database.connection() as connection:
        try:
            await connection.execute(_PATIENCE)
            await connection.execute(TABLES)
            yield Session(connection, sampled=sampled)
        finally:
            await connection.close()


def concerned_by(row: OrderLineRow) -> set[str]:
    """Return the certificates that decide on a line: all that it ever named, and whoever holds it."""
    return {one for one in (*row.named, row.holder) if one is not None}


_ABOUT_EVENT = ("waits", "waited", "published", "unlinked", "macs")


def _recorded(row: Record) -> RecordedEvent:
    return RecordedEvent(stored_event(row), *(row[name] for name in _ABOUT_EVENT))
