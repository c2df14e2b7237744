"""The products on sale, as the database knows them."""

from collections.abc import Iterable
from dataclasses import astuple, fields

from giftcert.domain.products import Product
from giftcert.storage.repository import Repository


class ProductChangedError(Exception):
    """A product that exists may not get another currency or nominal: its certificates carry them."""

    def __init__(self, product_id: str) -> None:
        super().__init__(f"product {product_id} exists with another currency or nominal; give it a new id")


_FIELDS = [field.name for field in fields(Product) if field.name != "id"]
TERMS = [name for name in _FIELDS if name not in {"currency", "nominal"}]
"""Columns of ``products`` that may change, named as the fields of ``Product``."""
_PUT = f"""
    INSERT INTO products AS known (product_id, {", ".join(_FIELDS)})
    VALUES ({", ".join(f"${nth + 1}" for nth in range(len(_FIELDS) + 1))})
    ON CONFLICT (product_id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in TERMS)}
    WHERE known.currency = excluded.currency AND known.nominal IS NOT DISTINCT FROM excluded.nominal
    RETURNING product_id
"""  # noqa: S608 - made of field names
_ALL = f"SELECT product_id AS id, {', '.join(_FIELDS)} FROM products ORDER BY product_id"  # noqa: S608


class ProductRepository(Repository):
    """Reads and writes ``products``."""

    async def put(self, products: Iterable[Product]) -> None:
        """Add products, or give those that exist new terms; none is ever removed. Raises ``ProductChangedError``."""
        for product in products:
            if await self._fetchval(_PUT, *astuple(product)) is None:
                raise ProductChangedError(product.id)

    async def all(self) -> dict[str, Product]:
        """Return the products by id."""
        return {row["id"]: Product(**row) for row in await self._fetch(_ALL)}
