"""``/products``: what is on sale, and the products as this process knows them."""

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Request, Security
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncEngine

from api.authentication import AuthenticatedRoute, Bearer
from api.openapi import may_answer
from api.problems import InvalidFieldError
from api.schemas import Money, Schema, money
from api.services import Services, services_of
from giftcert.domain.products import Product
from giftcert.security import Caller, Role
from giftcert.storage.outages import DATABASE_ERRORS, is_database_away
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


@router.get("/products", operation_id="listProducts", responses=may_answer())
async def list_products(
    request: Request, _: Annotated[Caller, Security(Bearer(Role.CHANNEL, Role.OPS))]
) -> list[ProductView]:
    """List the products with their nominal or bounds."""
    services = services_of(request)
    products = await services.catalogue.all()
    return [_view(product, services.settings.default_product) for product in products.values()]


def _view(product: Product, default: str | None) -> ProductView:
    return ProductView(
        id=product.id,
        currency=product.currency,
        nominal=money(product.nominal, product.currency),
        least_nominal=money(product.least_nominal, product.currency),
        greatest_nominal=money(product.greatest_nominal, product.currency),
        validity_days=product.validity.days,
        default=product.id == default,
    )


class Catalogue:
    """The products, read again every few seconds; what is known stays good while the database is away."""

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


async def find_product(services: Services, name: str | None) -> Product:
    """Return a product by its id, the default one without.

    Raises:
        InvalidFieldError: there is none.
    """
    wanted = name or services.settings.default_product
    if wanted is None:
        raise InvalidFieldError("product", "no default product is configured, so name one")
    found = (await services.catalogue.all()).get(wanted)
    if found is None:
        raise InvalidFieldError("product", "no such product")
    return found
