"""Certificates in a pool, and a look into the tables."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from giftcert.domain.products import Product
from giftcert.security.data_keys import DataKey
from giftcert.security.keyring import Keyring
from giftcert.storage.claims import ClaimRepository, ClaimRequest
from giftcert.storage.database import Database
from giftcert.storage.pool import PoolRepository
from giftcert.storage.products import ProductRepository
from tests.named_values import Statements

GIFT = Product("GC-5000", "RUB", nominal=500_000)


class PlainSealer:
    """A keyring whose fingerprints and wrapped keys are in clear: for tests that look at everything but secrets."""

    async def wrap(self, key: DataKey) -> bytes:
        return key.serialise()

    async def unwrap(self, _key_id: int, wrapped: bytes) -> DataKey:
        return DataKey.parse(wrapped)

    def fingerprint(self, number: str) -> bytes:
        return number.encode()


@dataclass
class Tables(Statements):
    database: Database
    url: str

    async def fill(
        self, quantity: int, product: Product = GIFT, keyring: Keyring | PlainSealer | None = None
    ) -> UUID:
        async with self.database.transaction() as connection:
            await ProductRepository(connection).put([product])
            pool = PoolRepository(connection)
            return await pool.generate(product, quantity, keyring or PlainSealer(), datetime.now(UTC))

    async def reserve(self, quantity: int = 1, ago: timedelta = timedelta()) -> list[dict[str, Any]]:
        """Claim certificates for the channel ``im`` as if some time ago."""
        now = datetime.now(UTC) - ago
        async with self.claims() as claims:
            [claimed] = await claims.claim([ClaimRequest(GIFT, quantity, "im", "shop", GIFT.nominal, now)])
            return list(claimed.claims)

    @asynccontextmanager
    async def claims(self) -> AsyncIterator[ClaimRepository]:
        """Claims as the API makes them."""
        async with Database(self.url) as database:
            yield ClaimRepository(database)

    async def until(self, condition: str) -> None:
        """Wait for what a table comes to say."""
        while not (await self.rows(f"SELECT {condition} AS met"))[0]["met"]:  # noqa: ASYNC110 - a table tells nobody
            await asyncio.sleep(0.01)

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

    async def news(self, certificate_id: str) -> None:
        """Leave something of an order that the certificate has not decided yet."""
        await self.run(
            """INSERT INTO pending (certificate_id, order_id, line_key, kind, channel)
                VALUES (CAST(:id AS uuid), 'IM-1', 1, 'order_created', 'im')""",
            id=certificate_id,
        )
