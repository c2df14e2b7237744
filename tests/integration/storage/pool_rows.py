"""Certificates in a pool, and a look into the tables."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.domain.products import Product
from giftcert.storage.claims import ClaimRepository, ClaimRequest
from giftcert.storage.pool import PoolRepository
from giftcert.storage.products import ProductRepository

GIFT = Product("GC-5000", "RUB", nominal=500_000)


class PlainSealer:
    """Seals nothing: for tests that look at everything but secrets."""

    def seal(self, secret: str, context: bytes) -> bytes:
        return context + secret[-1:].encode()

    def fingerprint(self, number: str) -> bytes:
        return number.encode()


@dataclass
class Tables:
    engine: AsyncEngine
    url: str

    async def fill(self, quantity: int, product: Product = GIFT) -> UUID:
        async with self.engine.begin() as connection:
            await ProductRepository(connection).put([product])
            pool = PoolRepository(connection)
            return await pool.generate(product, quantity, PlainSealer(), datetime.now(UTC))

    async def reserve(self, quantity: int = 1, ago: timedelta = timedelta()) -> list[dict[str, Any]]:
        """Claim certificates for the channel ``im`` as if some time ago."""
        now = datetime.now(UTC) - ago
        async with asyncpg.create_pool(self.url, min_size=1, max_size=2) as connections:
            wanted = ClaimRequest(GIFT, quantity, "im", "shop", GIFT.nominal, now)
            [claimed] = await ClaimRepository(connections).claim([wanted])
            return list(claimed.claims)

    async def run(self, statement: str, **values: Any) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(text(statement), values)

    async def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        async with self.engine.connect() as connection:
            return [dict(row) for row in (await connection.execute(text(statement), values)).mappings()]

    async def certificate_ids(self) -> list[str]:
        return [
            row["id"]
            for row in await self.rows("SELECT certificate_id::text AS id FROM certificates ORDER BY 1")
        ]

    async def caught_up(self, *instants: datetime) -> None:
        """Set the mark of one partition per instant."""
        for partition, instant in enumerate(instants):
            await self.run(
                "INSERT INTO ingest_marks VALUES ('All_SalesOrder', :partition, :instant)",
                partition=partition,
                instant=instant,
            )

    async def deliver(self, certificate_id: str) -> str:
        """Leave a delivery that is not applied yet, and return its key."""
        key = uuid4().hex
        await self.run(
            """INSERT INTO deliveries (certificate_id, message_key, shard, channel, message)
                VALUES (CAST(:id AS uuid), :key, 0, 'im', '')""",
            id=certificate_id,
            key=key,
        )
        return key
