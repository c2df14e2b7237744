"""The products as a file: JSON, a list of objects with the fields of `ProductLine`."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec

from giftcert.domain.products import Product
from giftcert.settings import Settings

SAMPLES = Path(__file__).parent / "embedded" / "products.json"
_USUAL = Product("", "")


_Positive = Annotated[int, msgspec.Meta(gt=0)]
_Count = Annotated[int, msgspec.Meta(ge=0)]
_EITHER: Sequence[Mapping[str, str]] = (
    {"nominal": "integer", "leastNominal": "null", "greatestNominal": "null"},
    {"nominal": "null", "leastNominal": "integer", "greatestNominal": "integer"},
)
"""A product is of one value or of one between two: types of the three fields, of which null may be left out."""


class ProductFileError(Exception):
    """The file of products cannot be used; the message names the file and what is wrong."""


class ProductLine(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """One product; amounts are minor units of ``currency``, durations ISO 8601 (``P365D``, ``PT30M``)."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64, description="What channels ask for")]
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$", description="ISO 4217")]
    nominal: Annotated[_Positive | None, msgspec.Meta(description="Face value in minor units")] = None
    least_nominal: Annotated[
        _Positive | None, msgspec.Meta(description="Least face value of an open one")
    ] = None
    greatest_nominal: Annotated[_Positive | None, msgspec.Meta(description="Greatest of an open one")] = None
    validity: Annotated[timedelta, msgspec.Meta(description="From issue to the end")] = _USUAL.validity
    reservation: Annotated[timedelta, msgspec.Meta(description="How long one lasts")] = _USUAL.reservation
    reservation_limit: Annotated[timedelta, msgspec.Meta(description="With all extensions")] = (
        _USUAL.reservation_limit
    )
    hold: Annotated[timedelta, msgspec.Meta(description="How long a purchase may hold money")] = _USUAL.hold
    hold_limit: Annotated[
        timedelta, msgspec.Meta(description="The longest hold that a channel may ask for")
    ] = _USUAL.hold_limit
    greatest_discount_percent: Annotated[
        int, msgspec.Meta(ge=0, le=100, description="How far below the face value a price may be")
    ] = _USUAL.greatest_discount_percent
    number_length: Annotated[
        int, msgspec.Meta(ge=12, le=19, description="Digits of a number, the last a Luhn check digit")
    ] = _USUAL.number_length
    cvc_length: Annotated[int, msgspec.Meta(ge=3, le=8, description="Digits of a CVC")] = _USUAL.cvc_length
    low_threshold: Annotated[
        _Count | None,
        msgspec.Meta(description="With fewer available alert.poolLow is sent; null: as the service is set"),
    ] = None
    replenish_to: Annotated[
        _Count | None,
        msgspec.Meta(
            description="A low pool is filled up to so many by itself; 0: never; null: as the service is set"
        ),
    ] = None
    pool: Annotated[
        _Count | None, msgspec.Meta(description="Made by an embedded stack that has none; null: as it is set")
    ] = None

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


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the file, for editors and pipelines; that ids differ it cannot say."""
    schema = msgspec.json.schema(list[ProductLine])
    schema["$defs"]["ProductLine"]["oneOf"] = [
        {
            "properties": {name: {"type": kind} for name, kind in types.items()},
            "required": [name for name, kind in types.items() if kind != "null"],
        }
        for types in _EITHER
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "giftcert:products",
        "title": "Products on sale, as GIFTCERT_PRODUCTS_FILE names them",
        **schema,
    }
