"""``/products``: what is on sale, and the products as this process knows them."""

import asyncio
import time

from fastapi import APIRouter
from pydantic import Field

from api.authentication import AuthenticatedRoute, ChannelOrOpsCall
from api.openapi import may_answer
from api.problems import InvalidFieldError
from api.schemas import Money, Schema
from giftcert.domain.products import Product
from giftcert.storage.database import DATABASE_ERRORS, Database, is_database_away
from giftcert.storage.products import ProductRepository

router = APIRouter(tags=["products"], route_class=AuthenticatedRoute)
FRESH_SECONDS = 5.0


class ProductView(Schema):
    """A product on sale: either a nominal or its bounds."""

    id: str = Field(examples=["GC-5000"])
    currency: str = Field(examples=["RUB"])
    nominal: Money | None
    least_nominal: Money | None
    greatest_nominal: Money | None
    validity_days: int = Field(examples=[365])
    default: bool = Field(description="Given where a request names no product")


@router.get("/products", responses=may_answer())
async def list_products(call: ChannelOrOpsCall) -> list[ProductView]:
    """List the products with their nominal or bounds."""
    products, default = await call.services.catalogue.all(), call.services.settings.default_product
    return [_view(product, default) for product in products.values()]


def _view(product: Product, default: str | None) -> ProductView:
    view = {
        "id": product.id,
        "currency": product.currency,
        "nominal": product.nominal,
        "least_nominal": product.least_nominal,
        "greatest_nominal": product.greatest_nominal,
        "validity_days": product.validity.days,
        "default": product.id == default,
    }
    return ProductView.model_validate(view, context=product.currency)


class Catalogue:
    """The products, read again every few seconds; what is known stays good while the database is away."""

    def __init__(self, database: Database, default: str | None) -> None:
        self._database = database
        self._default = default
        self._products: dict[str, Product] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def all(self) -> dict[str, Product]:
        """Return the products by id."""
        async with self._reading:
            if time.monotonic() - self._read_at > FRESH_SECONDS:
                try:
                    async with self._database.connection() as connection:
                        self._products = await ProductRepository(connection).all()
                except DATABASE_ERRORS as error:
                    if not self._products or not is_database_away(error):
                        raise
                self._read_at = time.monotonic()
        return self._products

    async def find(self, name: str | None) -> Product:
        """Return a product by its id, the default one without; 422 where there is none."""
        wanted = name or self._default
        if wanted is None:
            raise InvalidFieldError("product", "no default product is configured, so name one")
        found = (await self.all()).get(wanted)
        if found is None:
            raise InvalidFieldError("product", "no such product")
        return found
