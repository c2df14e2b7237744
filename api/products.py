"""``/products``: what is on sale."""

from typing import Annotated

from fastapi import APIRouter, Request, Security

from api.callers import Bearer
from api.documentation import may_answer
from api.schemas import ProductView
from api.services import services_of
from api.views import money
from giftcert.domain.products import Product
from giftcert.security import Caller, Role

router = APIRouter(tags=["products"])


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
