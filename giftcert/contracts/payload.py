"""The payload of a stream event: the fields of its dataclass in camelCase, as plain JSON values; and back again."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

import msgspec

from giftcert.domain.certificate.events import PublicEvent
from giftcert.domain.money import MINOR_UNITS

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Event = TypeVar("Event", bound="DataclassInstance")
_PUBLIC: Mapping[str, type[PublicEvent]] = {kind.type: kind for kind in get_args(PublicEvent)}


class Money(msgspec.Struct, frozen=True, gc=False):
    """An amount in minor units as the stream has it."""

    amount: int
    currency: str | None


def payload_of(event: "DataclassInstance", currency: str | None = None) -> dict[str, Any]:
    """Return the fields of a dataclass as the stream names them; nested dataclasses alike.

    Instants become RFC 3339 in UTC, enums their values, tuples lists. Money becomes an object of amount and currency:
    the certificate's, which is given here, or where there is one the event's own ``foreign_currency``.
    """
    currency = getattr(event, "foreign_currency", None) or currency
    payload: dict[str, Any] = {}
    for name, published, is_amount in _names(type(event)):
        value = getattr(event, name)
        if is_amount and value is not None:
            payload[published] = {"amount": value, "currency": currency}
        elif is_dataclass(value) and not isinstance(value, type):
            payload[published] = payload_of(value)
        else:
            payload[published] = msgspec.to_builtins(list(value) if isinstance(value, tuple) else value)
    return payload


def public_event(event_type: str, payload: str | bytes) -> PublicEvent | None:
    """Return what a certificate decided, as ``event_from`` does; ``None`` for what is no decision of one."""
    kind = _PUBLIC.get(event_type)
    return None if kind is None else event_from(kind, payload)


def event_from(kind: type[Event], payload: str | bytes) -> Event:
    """Return the event dataclass whose payload this is: fields that it does not know are left out.

    Raises:
        msgspec.DecodeError: the payload does not fit the dataclass; the message names the field, never the value.
    """
    return msgspec.convert(_values(kind, msgspec.json.decode(payload, type=dict[str, Any])), kind)


def _values(kind: Any, published: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - a dataclass
    """Return the fields of a dataclass, and of dataclasses within it, by their own names."""
    values: dict[str, Any] = {
        name: _amount(published[in_json]) if is_amount else published[in_json]
        for name, in_json, is_amount in _names(kind)
        if in_json in published
    }
    nested = ((name, within) for name, within in _nested(kind) if name in values)
    return values | {name: _values(within, values[name]) for name, within in nested}


def is_money(hint: Any) -> bool:  # noqa: ANN401 - an annotation
    """Return whether a field's annotation says that it is an amount of money."""
    return MINOR_UNITS in getattr(hint, "__metadata__", ())


@lru_cache(maxsize=128)
def has_money(kind: Any) -> bool:  # noqa: ANN401 - a dataclass
    """Return whether a field of a dataclass is always an amount of money."""
    return any(map(is_money, get_type_hints(kind, include_extras=True).values()))


@lru_cache(maxsize=512)
def camel_case(name: str) -> str:
    """Return a field's name as it stands in JSON."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


@lru_cache(maxsize=128)
def _names(kind: Any) -> list[tuple[str, str, bool]]:  # noqa: ANN401 - a dataclass
    """Return each field's name, its name in JSON, and whether it is money, or money or nothing."""
    hints = get_type_hints(kind, include_extras=True)
    return [
        (one.name, camel_case(one.name), any(map(is_money, (hints[one.name], *get_args(hints[one.name])))))
        for one in fields(kind)
    ]


@lru_cache(maxsize=128)
def _nested(kind: Any) -> list[tuple[str, Any]]:  # noqa: ANN401 - a dataclass
    """Return the fields that are always a dataclass, each with its class."""
    hints = get_type_hints(kind)
    return [(one.name, hints[one.name]) for one in fields(kind) if is_dataclass(hints[one.name])]


def _amount(money: Any) -> int | None:  # noqa: ANN401 - decoded JSON
    return None if money is None else msgspec.convert(money, Money).amount
