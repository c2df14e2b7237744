"""The operator's list of products: a JSON array in camelCase, durations in ISO 8601."""

from dataclasses import MISSING, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from giftcert.domain.products import Product

SAMPLES = (
    Product("GC-1000", "RUB", nominal=100_000),
    Product("GC-5000", "RUB", nominal=500_000),
    Product("GC-OPEN", "RUB", least_nominal=50_000, greatest_nominal=10_000_000),
)
"""On sale where the operator names no file."""


class ProductFileError(ValueError):
    """The file cannot be read or is no list of products; the message names the file and the field."""


def _field(name: str, kind: Any, default: Any) -> tuple[Any, ...]:  # noqa: ANN401 - any field of a product
    return (name, kind) if default is MISSING else (name, kind, default)


_KINDS = get_type_hints(Product)
_ENTRY = msgspec.defstruct(
    "ProductEntry",
    [_field(one.name, _KINDS[one.name], one.default) for one in fields(Product)],
    rename="camel",
    forbid_unknown_fields=True,
    kw_only=True,
)


def read_products(path: Path | None) -> tuple[Product, ...]:
    """Return the products of the file, or the samples where there is none.

    Raises:
        ProductFileError: the file does not fit; terms that a certificate could not live by included.
    """
    if path is None:
        return SAMPLES
    try:
        entries: list[Any] = msgspec.json.decode(path.read_bytes(), type=list[_ENTRY])  # type: ignore[valid-type]
    except (OSError, msgspec.DecodeError) as error:
        raise ProductFileError(f"{path}: {error}") from error
    products = tuple(Product(**msgspec.structs.asdict(entry)) for entry in entries)
    for product in products:
        _check(path, product)
    return products


def _check(path: Path, product: Product) -> None:
    bounds = (product.least_nominal, product.greatest_nominal)
    if (product.nominal is None) == (None in bounds):
        raise ProductFileError(
            f"{path}: {product.id}: name either nominal or both leastNominal and greatestNominal"
        )
    if product.reservation <= timedelta() or product.reservation_limit < product.reservation:
        raise ProductFileError(f"{path}: {product.id}: reservation is positive and within reservationLimit")
