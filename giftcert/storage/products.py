"""The products on sale, as the database knows them."""

from collections.abc import Iterable
from dataclasses import asdict, fields

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.domain.products import Product


class ProductChangedError(Exception):
    """A product that exists may not get another currency or nominal: its certificates carry them."""

    def __init__(self, product_id: str) -> None:
        super().__init__(f"product {product_id} exists with another currency or nominal; give it a new id")


_FIELDS = [field.name for field in fields(Product) if field.name != "id"]
_TERMS = [name for name in _FIELDS if name not in {"currency", "nominal"}]
_PUT = text(f"""
    INSERT INTO products AS known (product_id, {", ".join(_FIELDS)})
    VALUES (:id, {", ".join(f":{name}" for name in _FIELDS)})
    ON CONFLICT (product_id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _TERMS)}
    WHERE known.currency = excluded.currency AND known.nominal IS NOT DISTINCT FROM excluded.nominal
    RETURNING product_id
""")  # noqa: S608 - made of field names
_ALL = text(f"SELECT product_id AS id, {', '.join(_FIELDS)} FROM products ORDER BY product_id")  # noqa: S608


class ProductRepository:
    """Reads and writes ``products``; the caller owns the transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def put(self, products: Iterable[Product]) -> None:
        """Add products, or give those that exist new terms. None is ever removed.

        Raises:
            ProductChangedError: an existing product comes with another currency or nominal.
        """
        for product in products:
            result = await self._connection.execute(_PUT, asdict(product))
            if result.scalar_one_or_none() is None:
                raise ProductChangedError(product.id)

    async def all(self) -> dict[str, Product]:
        """Return the products by id."""
        rows = await self._connection.execute(_ALL)
        return {row["id"]: Product(**row) for row in rows.mappings()}
