"""The payload of a stream event: the fields of its dataclass in camelCase, as plain JSON values."""

from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import msgspec

from giftcert.domain.money import MINOR_UNITS

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def payload_of(event: "DataclassInstance", currency: str | None = None) -> dict[str, Any]:
    """Return the fields of an event dataclass as the stream names them; nested dataclasses alike.

    Instants become RFC 3339 in UTC, enums their values, tuples lists, and money an object of amount and currency.

    Args:
        event: the dataclass.
        currency: of the certificate; needed by events that tell of money. Of an event with a ``foreign_currency`` the
            money is in that.
    """
    currency = getattr(event, "foreign_currency", None) or currency
    money = _money_fields(type(event))
    return {
        camel_case(field.name): _money(getattr(event, field.name), currency)
        if field.name in money
        else _plain(getattr(event, field.name))
        for field in fields(event)
    }


@lru_cache(maxsize=128)
def _money_fields(kind: type) -> frozenset[str]:
    """The fields that the dataclass annotates as amounts of money, or as such an amount or nothing."""
    hints = get_type_hints(kind, include_extras=True)
    return frozenset(name for name, hint in hints.items() if any(map(_is_money, (hint, *get_args(hint)))))


def _is_money(hint: Any) -> bool:  # noqa: ANN401 - an annotation
    return MINOR_UNITS in getattr(hint, "__metadata__", ())


def _money(amount: int | None, currency: str | None) -> dict[str, Any] | None:
    return None if amount is None else {"amount": amount, "currency": currency}


@lru_cache(maxsize=512)
def camel_case(name: str) -> str:
    """Return a field's name as it stands in JSON."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any field
    if is_dataclass(value) and not isinstance(value, type):
        return payload_of(value)
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return msgspec.to_builtins(value)
