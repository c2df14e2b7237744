"""A database with certificates, records that come, and what ingest has stored of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.contracts.codec import decode_message
from giftcert.domain.messages import Message
from giftcert.security.keyring import Keyring
from giftcert.storage.deliveries import UnsentDelivery
from kafka_ingest.settling import Settling
from kafka_ingest.source import KeptRecord
from kafka_ingest.topics import Topics
from kafka_ingest.transaction import BatchWriter, Committed
from tests.unit.contracts.topic_records import certificate_line, raw

TOPICS = Topics("All_SalesOrder", "All_Payments", "All_Clients", ("im", "pos"))
TABLES = (
    "SELECT order_id, version, customer_id, snapshot::text FROM orders",
    "SELECT order_id, certificate_id::text FROM order_certificates",
    "SELECT order_id, line_id, alerted_amount FROM unknown_lines",
    "SELECT identity, content, order_id, event_type FROM inbox",
    "SELECT certificate_id::text, message_key, channel, message FROM deliveries",
    "SELECT DISTINCT order_id, topic, partition, record_offset FROM unmatched_payments",
    "SELECT client_id, locale, erased, message_key FROM clients",
    "SELECT topic, partition, record_offset, reason FROM quarantine",
    "SELECT stream_key, event_type, payload::text FROM events",
)


async def add_certificates(engine: AsyncEngine, count: int, ids: list[str] | None = None) -> list[str]:
    """Put certificates into the pool; return their ids."""
    ids = ids or [str(uuid4()) for _ in range(count)]
    async with engine.begin() as connection:
        await connection.execute(
            text("""
                INSERT INTO products (product_id, currency, nominal, validity, reservation, reservation_limit, hold,
                    hold_limit, greatest_discount_percent, number_length, cvc_length)
                VALUES ('GC-5000', 'RUB', 500000, '365 days', '30 min', '2 h', '30 min', '1 day', 20, 16, 6)
                ON CONFLICT DO NOTHING
            """)
        )
        await connection.execute(
            text("INSERT INTO batches VALUES (gen_random_uuid(), 'GC-5000', :count, 'generate')"),
            {"count": count},
        )
        await connection.execute(
            text("""
                INSERT INTO certificates (certificate_id, product_id, batch_id, number_sealed, number_fingerprint,
                    last_four, cvc_sealed, currency, nominal)
                SELECT id, 'GC-5000', (SELECT batch_id FROM batches LIMIT 1), '', id::text::bytea, '0000', '', 'RUB',
                    500000
                FROM unnest(CAST(:ids AS uuid[])) AS id
            """),
            {"ids": ids},
        )
    return ids


@dataclass
class Store:
    """What ingest works on, and a writer of its own."""

    engine: AsyncEngine
    keyring: Keyring
    certificates: list[str]
    offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    handed_over: list[UnsentDelivery] = field(default_factory=list)

    @property
    def writer(self) -> BatchWriter:
        return BatchWriter(self.engine, TOPICS, self.keyring)

    @property
    def settling(self) -> Settling:
        return Settling(self.engine, TOPICS, self.keyring, self.handed_over.extend)

    def record(self, topic: str, value: Any, key: str = "k", partition: int = 0) -> KeptRecord:
        """The next record of a partition."""
        offset = self.offsets[topic, partition] = self.offsets.get((topic, partition), -1) + 1
        body = value if isinstance(value, bytes | None) else raw(value)
        return KeptRecord(topic, partition, offset, key.encode(), body, 1_763_892_000_000)

    def order_record(self, value: Any, partition: int = 0) -> KeptRecord:
        return self.record(TOPICS.orders, value, _order_id(value), partition)

    def payment_record(self, value: Any, partition: int = 0) -> KeptRecord:
        return self.record(TOPICS.payments, value, _order_id(value), partition)

    def client_record(self, value: Any, key: str = "C-77") -> KeptRecord:
        return self.record(TOPICS.clients, value, key)

    def line(self, nth: int = 0, **changes: Any) -> dict[str, Any]:
        """An order line that names a certificate."""
        return certificate_line(certificateId=self.certificates[nth], **changes)

    async def commit(self, *records: KeptRecord) -> Committed:
        """One batch comes and is committed."""
        writer = self.writer
        return await writer.commit(records, writer.read(records))

    async def rows(self, statement: str, **values: Any) -> list[Any]:
        async with self.engine.connect() as connection:
            return [tuple(row) for row in await connection.execute(text(statement), values)]

    async def rows_changed(self, statement: str, **values: Any) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(text(statement), values)

    async def value(self, statement: str, **values: Any) -> Any:
        [(value,)] = await self.rows(statement, **values)
        return value

    async def told(self, nth: int = 0) -> list[Message]:
        """What a certificate is to be told, in order."""
        statement = "SELECT message FROM deliveries WHERE certificate_id = :id ORDER BY delivery_id"
        return [
            decode_message(message) for (message,) in await self.rows(statement, id=self.certificates[nth])
        ]

    async def kinds(self, nth: int = 0) -> list[str]:
        return [type(message).__name__ for message in await self.told(nth)]

    async def events(self) -> list[tuple[str, dict[str, Any]]]:
        return await self.rows("SELECT event_type, payload FROM events ORDER BY position")

    async def everything(self) -> list[list[Any]]:
        """All that is stored, but for what every attempt makes anew."""
        return [sorted(await self.rows(statement), key=repr) for statement in TABLES]

    async def settled(self) -> None:
        """Look again until no order is left to be looked at."""
        settling = self.settling
        while await settling.round():
            pass


def _order_id(value: Any) -> str:
    """The key, as the owners of the topics write it."""
    return str(value.get("orderId", "k")) if isinstance(value, dict) else "k"


def offsets_of(records: Sequence[KeptRecord]) -> list[int]:
    return [record.offset for record in records]
