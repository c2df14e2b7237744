"""How the report writes values: amounts, durations and instants as people of a language read them."""

from datetime import datetime, timedelta
from decimal import Decimal

from giftcert.bi.figures import Column
from giftcert.domain.money import digits_of
from giftcert.texts import Language

_NARROW_SPACE, _MINUS, _NOTHING = "\N{NO-BREAK SPACE}", "\N{MINUS SIGN}", "\N{EN DASH}"
_UNITS = {"en": ("s", "min", "h", "d"), "ru": ("с", "мин", "ч", "д")}  # noqa: RUF001 - Russian


def value_text(value: object, column: Column, currency: str | None, language: Language) -> str:
    """Return a value of a table; amounts come in minor units, durations in seconds."""
    match value:
        case None:
            return _NOTHING
        case datetime():
            return f"{value:%Y-%m-%d %H:%M}"
        case int() | float() | Decimal():
            return _counted_text(Decimal(value), column, currency, language)
        case _:
            return str(value)


def _counted_text(value: Decimal, column: Column, currency: str | None, language: Language) -> str:
    match column.kind:
        case "money":
            digits = digits_of(currency or "")
            return number_text(value.scaleb(-digits), digits, language)
        case "duration":
            return duration_text(float(value), language)
        case "other":
            return number_text(value, 0 if value == int(value) else 1, language)


def number_text(value: Decimal, digits: int, language: Language) -> str:
    """Return a number with its thousands apart: ``5,000.00``, in Russian ``5 000,00``."""
    text = f"{value:,.{digits}f}"
    if language == "ru":
        text = text.translate({ord(","): _NARROW_SPACE, ord("."): ","})
    return text.replace("-", _MINUS)


def duration_text(seconds: float, language: Language) -> str:
    """Return how long something took, in the two largest units that say something."""
    second, minute, hour, day = _UNITS[language]
    if abs(seconds) < 60:
        return f"{number_text(Decimal(seconds), 1, language)} {second}"
    whole = timedelta(seconds=round(abs(seconds)))
    sign = _MINUS if seconds < 0 else ""
    hours, rest = divmod(whole.seconds, 3600)
    if whole.days:
        return f"{sign}{whole.days} {day} {hours} {hour}"
    if hours:
        return f"{sign}{hours} {hour} {rest // 60} {minute}"
    return f"{sign}{rest // 60} {minute} {rest % 60} {second}"
