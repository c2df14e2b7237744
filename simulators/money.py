"""Money as people read and write it; the shops of the simulators sell in one currency."""

import re

CURRENCY = "RUB"


def money_text(amount: int, currency: str = CURRENCY) -> str:
    """Return minor units as people read them: ``5,000.00 RUB``."""
    return f"{amount / 100:,.2f} {currency}"


def minor_units(text: str) -> int:
    """Return an amount that a person wrote: ``2500.00``, or a whole number of minor units.

    Raises:
        ValueError: it is no such amount.
    """
    if re.fullmatch(r"\d+(\.\d\d)?", text, re.ASCII) is None:
        raise ValueError(f"{text} is no amount: write 2500.00, or 250000 in minor units")
    return int(text.replace(".", ""))
