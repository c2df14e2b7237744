"""The products as this process knows them, read again every few seconds."""

import asyncio
import time

from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.domain.products import Product
from giftcert.storage.outages import DATABASE_ERRORS, is_database_away
from giftcert.storage.products import ProductRepository

FRESH_SECONDS = 5.0


class Catalogue:
    """Answers from memory; what it knows stays good while the database is away."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._products: dict[str, Product] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def all(self) -> dict[str, Product]:
        """Return the products by id."""
        if time.monotonic() - self._read_at > FRESH_SECONDS:
            await self._refresh()
        return self._products

    async def _refresh(self) -> None:
        async with self._reading:
            if time.monotonic() - self._read_at <= FRESH_SECONDS:
                return
            try:
                async with self._engine.connect() as connection:
                    self._products = await ProductRepository(connection).all()
            except DATABASE_ERRORS as error:
                if not self._products or not is_database_away(error):
                    raise
            self._read_at = time.monotonic()
