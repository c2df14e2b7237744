"""A database with certificates, records that come, and what ingest has stored of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from giftcert.clock import Clock, utc_now
from giftcert.contracts.payments import encode_payment
from giftcert.domain.policy import Policy
from giftcert.security.keyring import Keyring
from giftcert.storage.data_keys import Seals
from giftcert.storage.database import Connection, Database
from giftcert.storage.order_lines import LINE, OrderLineRow, line_of
from giftcert.storage.unmatched_payments import UnmatchedPaymentRepository
from giftcert.temporal.signals import Wake
from kafka_ingest.decoder import decode
from kafka_ingest.late_match import LateMatch
from kafka_ingest.records import InputRecord, Topics
from kafka_ingest.transaction import Committed, IngestRules
from kafka_ingest.writer import BatchWriter
from tests.named_values import query
from tests.unit.contracts.topic_records import certificate_line, raw

TOPICS = Topics("All_SalesOrder", "All_Payments", "All_Clients", ("im", "pos"))
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TABLES = (
    "SELECT order_id, customer_id, aggregate FROM orders",
    """SELECT order_id, line_key, line_id, standing::text, recipient::text, unpaid_until, named_certificates::text[],
        speaker::text, reported::text FROM order_lines""",
    "SELECT certificate_id::text, order_id, line_key, kind, channel FROM pending",
    "SELECT identity, content, certificate_id::text, message::text FROM spendings",
    "SELECT order_id, topic, partition, record_offset, event_id, event_type FROM inbox",
    "SELECT DISTINCT order_id, topic, partition, record_offset FROM unmatched_payments",
    "SELECT client_id, locale, erased, event_id FROM clients",
    "SELECT topic, partition, record_offset, reason FROM quarantine",
    "SELECT stream_key, event_type, payload::text FROM events",
)
_LINES = f"SELECT {LINE} FROM order_lines WHERE order_id = $1 ORDER BY line_key"  # noqa: S608
_RESERVE = """
    WITH pair AS (
        SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:reservations AS uuid[])) AS pair (id, reservation)
    ), made AS (
        INSERT INTO reservations (reservation_id, certificate_id, channel, reserved_by, reserved_at, reserved_until)
        SELECT reservation, id, :channel, 'shop', :now, :until FROM pair
    )
    UPDATE certificates SET status = 'reserved', reservation_id = reservation, reservation_channel = :channel,
        reserved_at = :now, reserved_until = :until, reservation_ended = false, version = 1
    FROM pair WHERE certificate_id = id
"""


async def add_certificates(database: Database, count: int, ids: list[str] | None = None) -> list[str]:
    """Put certificates into the pool; return their ids."""
    ids = ids or [str(uuid4()) for _ in range(count)]
    async with database.transaction() as connection:
        await connection.execute("""
            INSERT INTO products (product_id, currency, nominal, validity, reservation, reservation_limit, hold,
                hold_limit, greatest_discount_percent, number_length, cvc_length)
            VALUES ('GC-5000', 'RUB', 500000, '365 days', '30 min', '2 h', '30 min', '1 day', 20, 16, 6)
            ON CONFLICT DO NOTHING
        """)
        await connection.execute(
            "INSERT INTO batches VALUES (gen_random_uuid(), 'GC-5000', $1, 'generate')", len(ids)
        )
        await connection.execute(
            """
            WITH made AS (
                INSERT INTO certificates (certificate_id, product_id, batch_id, last_four, currency, nominal)
                SELECT id, 'GC-5000', (SELECT batch_id FROM batches LIMIT 1), '0000', 'RUB', 500000
                FROM unnest($1::uuid[]) AS id RETURNING certificate_id
            )
            INSERT INTO certificate_secrets (certificate_id, number_sealed, number_fingerprint, cvc_sealed)
            SELECT certificate_id, 'number', certificate_id::text::bytea, 'cvc' FROM made
            """,
            ids,
        )
    return ids


async def reserve_all(database: Database, reservations: Mapping[str, str], channel: str = "im") -> None:
    """Reserve certificates of the pool under these reservations."""
    values = {
        "ids": list(reservations),
        "reservations": list(reservations.values()),
        "channel": channel,
        "now": NOON,
        "until": NOON + timedelta(minutes=30),
    }
    async with database.transaction() as connection:
        await query(connection, _RESERVE, **values)


@dataclass
class Store:
    """What ingest works on, and a writer of its own."""

    database: Database
    keyring: Keyring
    certificates: list[str]
    offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    handed_over: list[Wake] = field(default_factory=list)
    topics: Topics = TOPICS
    clock: Clock = utc_now

    @property
    def seals(self) -> Seals:
        return Seals(self.database, self.keyring)

    @property
    def rules(self) -> IngestRules:
        return IngestRules(self.topics, self.keyring, Policy())

    @property
    def writer(self) -> BatchWriter:
        return BatchWriter(self.database, self.rules, self.clock)

    @property
    def late_match(self) -> LateMatch:
        return LateMatch(self.database, self.rules, self.handed_over.extend, self.clock)

    def record(self, topic: str, value: Any, key: str = "k", partition: int = 0) -> InputRecord:
        """The next record of a partition."""
        offset = self.offsets[topic, partition] = self.offsets.get((topic, partition), -1) + 1
        body = value if isinstance(value, bytes | None) else raw(value)
        return InputRecord(topic, partition, offset, key.encode(), body, 1_763_892_000_000)

    def order_record(self, value: Any, partition: int = 0) -> InputRecord:
        return self.record(TOPICS.orders, value, _order_id(value), partition)

    def payment_record(self, value: Any, partition: int = 0) -> InputRecord:
        return self.record(TOPICS.payments, value, _order_id(value), partition)

    def client_record(self, value: Any, key: str = "C-77") -> InputRecord:
        return self.record(TOPICS.clients, value, key)

    def line(self, nth: int = 0, **changes: Any) -> dict[str, Any]:
        """An order line that names a certificate."""
        return certificate_line(certificateId=self.certificates[nth], **changes)

    async def commit(self, *records: InputRecord) -> Committed:
        """One batch comes and is committed."""
        writer = self.writer
        return await writer.commit(records, writer.decode(records))

    async def rows(self, statement: str, **values: Any) -> list[Any]:
        async with self.database.connection() as connection:
            return [tuple(row.values()) for row in await query(connection, statement, **values)]

    async def rows_changed(self, statement: str, **values: Any) -> None:
        async with self.database.transaction() as connection:
            await query(connection, statement, **values)

    async def value(self, statement: str, **values: Any) -> Any:
        [(value,)] = await self.rows(statement, **values)
        return value

    async def lines(self, order_id: str = "IM-1001") -> list[OrderLineRow]:
        """The certificate lines of an order, as stored."""
        async with self.database.connection() as connection:
            return [line_of(row) for row in await connection.fetch(_LINES, order_id)]

    async def line_row(self, order_id: str = "IM-1001") -> OrderLineRow:
        """The only certificate line of an order."""
        [row] = await self.lines(order_id)
        return row

    async def pending(self, nth: int = 0) -> list[str]:
        """The kinds of work that waits for a certificate, in the order in which it was last written."""
        statement = "SELECT kind FROM pending WHERE certificate_id = CAST(:id AS uuid) ORDER BY number"
        return [kind for (kind,) in await self.rows(statement, id=self.certificates[nth])]

    async def events(self) -> list[tuple[str, dict[str, Any]]]:
        return await self.rows("SELECT event_type, payload FROM events ORDER BY recorded_at, event_id")

    async def everything(self) -> list[list[Any]]:
        """All that is stored, but for what every attempt makes anew."""
        return [sorted(await self.rows(statement), key=repr) for statement in TABLES]

    async def settled(self) -> None:
        """Look again until nothing is left to be looked at."""
        late_match = self.late_match
        while await late_match.round():
            pass


def _order_id(value: Any) -> str:
    """The key, as the owners of the topics write it."""
    return str(value.get("orderId", "k")) if isinstance(value, dict) else "k"


async def keep_unmatched(connection: Connection, record: InputRecord) -> None:
    """Write a payment as a transaction does that found no order."""
    [(_, payment)] = decode([record], TOPICS, 1_048_576).payments
    place = (record.topic, record.partition, record.offset)
    row = (NOON.date(), payment.order_id, *place, encode_payment(payment))
    await UnmatchedPaymentRepository(connection).keep([row])
