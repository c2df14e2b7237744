"""Amounts of money, always in minor units (kopecks, cents) of one ISO 4217 currency; here too as people read them."""

import re
from decimal import Decimal
from typing import Annotated, TypeAlias

MINOR_UNITS = "minor units"
MinorUnits: TypeAlias = Annotated[int, MINOR_UNITS]  # the stream has it with its currency

# ISO 4217, list one. CLDR says for some currencies how many digits are customary instead: for RSD none.
_DIGITS = {
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF": 0,
    "BHD IQD JOD KWD LYD OMR TND": 3,
    "CLF UYW": 4,
}
_WRITTEN = re.compile(r"(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d+))?(?: ?([A-Z]{3}))?", re.ASCII)


def digits_of(currency: str) -> int:
    """Return how many digits an amount of this currency has after the decimal point."""
    return next((digits for currencies, digits in _DIGITS.items() if currency in currencies.split()), 2)


def money_text(amount: int, currency: str) -> str:
    """Return an amount as people read it: ``5,000.00 RUB``."""
    digits = digits_of(currency)
    return f"{Decimal(amount).scaleb(-digits):,.{digits}f} {currency}"


def minor_units(text: str, currency: str) -> int:
    """Return an amount that a person wrote: ``2500.00``, ``2,500.00 RUB``, or a whole number of minor units.

    Raises:
        ValueError: it is no such amount; the message says what to write.
    """
    digits, written = digits_of(currency), _WRITTEN.fullmatch(text.strip())
    example = money_text(250_000, currency).replace(",", "")
    if written is None or written[3] not in {None, currency}:
        raise ValueError(f"must be an amount such as {example}, or a whole number of minor units")
    whole, fraction = written[1].replace(",", ""), written[2]
    if fraction is None and (written[3] is None and "," not in written[1]):
        return int(whole)
    if len(fraction or "") != digits:
        raise ValueError(f"{currency} has {digits} digits after the point: write it as {example}")
    return int(whole + (fraction or ""))


def worth_of_refund(nominal: int, refunded: int, price: int) -> int:
    """Return what a refund of part of the price is worth in nominal units: nominal x refunded / price, rounded up.

    A certificate may be sold under its nominal, so money back and value taken are different units.
    """
    if price == 0:
        return nominal
    return -(-nominal * refunded // price)
