"""Events as others record them, and what the tables say of them."""

import asyncio
from datetime import UTC, datetime
from zlib import crc32

from giftcert.contracts.stream import EventRecord
from giftcert.domain.cause import Cause
from giftcert.storage.database import Database
from giftcert.storage.events import SHARDS, EventRepository

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def reserved(number: int = 1) -> EventRecord:
    return EventRecord(
        event_type="issue.reserved",
        occurred_at=NOON,
        channel="im",
        payload={"reservationId": f"r-{number}", "reservedUntil": "2026-11-23T12:30:00Z"},
        cause=Cause("All_SalesOrder", f"so-{number}", NOON),
        sale_channel="im",
        status="reserved",
        refund_state="none",
        product="GC-5000",
        nominal=500_000,
        currency="RUB",
        balance=0,
        held=0,
    )


def shard_of(key: str) -> int:
    """The shard of a stream key, as PostgreSQL finds it too."""
    return crc32(key.encode()) % SHARDS


async def append(database: Database, certificate_id: str, *records: EventRecord) -> None:
    async with database.transaction() as connection:
        await EventRepository(connection).append(certificate_id, records)


async def event_ids(database: Database) -> set[str]:
    async with database.connection() as connection:
        return {row["event_id"] for row in await connection.fetch("SELECT event_id::text FROM events")}


async def unpublished(database: Database) -> int:
    async with database.connection() as connection:
        return int(await connection.fetchval("SELECT count(*) FROM outbox"))


async def until_none_waits(database: Database) -> None:
    while await unpublished(database):  # noqa: ASYNC110 - a table tells nobody
        await asyncio.sleep(0.01)
