"""The products as a file: JSON, a list of objects with the fields of `ProductLine`."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import msgspec

from giftcert.domain.products import Product
from giftcert.settings import Settings

SAMPLES = Path(__file__).parent / "embedded" / "products.json"
_Positive = Annotated[int, msgspec.Meta(gt=0)]
_USUAL = Product("", "")


class ProductFileError(Exception):
    """The file of products cannot be used; the message names the file and what is wrong."""


class ProductLine(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """One product; amounts are minor units of ``currency``, durations ISO 8601 (``P365D``, ``PT30M``)."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    nominal: _Positive | None = None
    least_nominal: _Positive | None = None
    greatest_nominal: _Positive | None = None
    validity: timedelta = _USUAL.validity
    reservation: timedelta = _USUAL.reservation
    reservation_limit: timedelta = _USUAL.reservation_limit
    hold: timedelta = _USUAL.hold
    hold_limit: timedelta = _USUAL.hold_limit
    greatest_discount_percent: Annotated[int, msgspec.Meta(ge=0, le=100)] = _USUAL.greatest_discount_percent
    number_length: Annotated[int, msgspec.Meta(ge=12, le=19)] = _USUAL.number_length
    cvc_length: Annotated[int, msgspec.Meta(ge=3, le=8)] = _USUAL.cvc_length
    low_threshold: Annotated[int, msgspec.Meta(ge=0)] | None = None
    replenish_to: Annotated[int, msgspec.Meta(ge=0)] | None = None
    pool: Annotated[int, msgspec.Meta(ge=0)] | None = None  # made by an embedded stack that finds none

    def __post_init__(self) -> None:
        """Check what the fields must be together; msgspec says where in the file it is."""
        bounds = (self.least_nominal, self.greatest_nominal)
        if (self.nominal is None) == (None in bounds) or (self.nominal is not None and any(bounds)):
            raise ValueError("give either nominal, or leastNominal and greatestNominal")
        if (self.least_nominal or 0) > (self.greatest_nominal or 0):
            raise ValueError("leastNominal is above greatestNominal")

    def product(self) -> Product:
        """Return the product as the domain knows it."""
        fields = msgspec.structs.asdict(self)
        del fields["pool"]
        return Product(**fields)


def read_products(settings: Settings) -> list[ProductLine]:
    """Return the products of the configured file, or the samples.

    Raises:
        ProductFileError: the file cannot be read or does not fit.
    """
    path = settings.products_file or SAMPLES
    try:
        lines = msgspec.json.decode(path.read_bytes(), type=list[ProductLine])
    except OSError as error:
        raise ProductFileError(f"GIFTCERT_PRODUCTS_FILE: {path} cannot be read: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise ProductFileError(f"GIFTCERT_PRODUCTS_FILE: {path}: {error}") from None
    ids = [line.id for line in lines]
    if len(set(ids)) != len(ids):
        raise ProductFileError(f"GIFTCERT_PRODUCTS_FILE: {path}: a product id stands there twice")
    return lines
