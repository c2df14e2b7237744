"""Amounts of money, always in minor units (kopecks, cents) of one ISO 4217 currency."""

from typing import Annotated, TypeAlias

MINOR_UNITS = "minor units"
MinorUnits: TypeAlias = Annotated[int, MINOR_UNITS]  # the stream tells it with its currency


def worth_of_refund(nominal: int, refunded: int, price: int) -> int:
    """Return what a refund of part of the price is worth in nominal units: nominal x refunded / price, rounded up.

    A certificate may be sold under its nominal, so money back and value taken are different units.
    """
    if price == 0:
        return nominal
    return -(-nominal * refunded // price)
