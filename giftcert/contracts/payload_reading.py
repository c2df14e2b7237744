"""The reverse of ``payload_of``: the payload of a stream event as its dataclass again."""

from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import lru_cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from giftcert.contracts.payload import camel_case
from giftcert.domain.certificate.events import PublicEvent
from giftcert.domain.money import MINOR_UNITS

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Event = TypeVar("Event")
_Reading = Callable[[Any], Any]

_PUBLIC: dict[str, type[PublicEvent]] = {kind.type: kind for kind in get_args(PublicEvent)}


class _Money(msgspec.Struct, frozen=True):
    """An amount as the stream tells it."""

    amount: int
    currency: str | None


def public_event(event_type: str, payload: str | bytes) -> PublicEvent | None:
    """Return what a certificate decided, from the payload of the stream event that tells it.

    Returns:
        The event; ``None`` for what is no decision of a certificate, or is of a later version.

    Raises:
        msgspec.DecodeError: the payload does not fit its type; the message names the path, never the value.
    """
    kind = _PUBLIC.get(event_type)
    return None if kind is None else event_from(kind, payload)


def event_from(kind: type[Event], payload: str | bytes) -> Event:
    """Return the event dataclass whose payload this is: fields that it does not know are left out.

    Raises:
        msgspec.DecodeError: the payload does not fit the dataclass.
    """
    event: Event = _decoder(kind).read(payload)  # type: ignore[arg-type] # types are hashable
    return event


class _Decoder:
    """Reads payloads of one dataclass: first as the stream names and shapes its fields, then as the domain does."""

    def __init__(self, kind: "type[DataclassInstance]") -> None:
        self._kind = kind
        hints = get_type_hints(kind, include_extras=True)
        told = {field.name: _told(hints[field.name]) for field in fields(kind)}
        self.shape = msgspec.defstruct(
            kind.__name__,
            [_field(field, told[field.name][0]) for field in fields(kind)],
            rename=camel_case,
            frozen=True,
            kw_only=True,
        )
        self._readings = tuple((name, reading) for name, (_, reading) in told.items())
        self._json = msgspec.json.Decoder(self.shape)

    def read(self, payload: str | bytes) -> Any:  # noqa: ANN401 - an instance of the dataclass
        return self.made_of(self._json.decode(payload))

    def made_of(self, shaped: msgspec.Struct) -> Any:  # noqa: ANN401 - an instance of the dataclass
        values = {
            name: getattr(shaped, name) if reading is None else reading(getattr(shaped, name))
            for name, reading in self._readings
        }
        return self._kind(**values)


@lru_cache(maxsize=128)
def _decoder(kind: type) -> _Decoder:
    return _Decoder(kind)


def _field(field: "Field[Any]", shape: Any) -> tuple[str, Any] | tuple[str, Any, Any]:  # noqa: ANN401 - a type
    """A field with a default may be missing: it was added after the event was told."""
    return (field.name, shape) if field.default is MISSING else (field.name, shape, field.default)


def _told(hint: Any) -> tuple[Any, _Reading | None]:  # noqa: ANN401 - an annotation
    """Return the type of a field on the stream, and how to read it; ``None``: as it is."""
    if MINOR_UNITS in getattr(hint, "__metadata__", ()):
        return _Money, _amount
    if is_dataclass(hint) and isinstance(hint, type):
        nested = _decoder(hint)
        return nested.shape, nested.made_of
    if get_origin(hint) in {Union, UnionType}:
        return _told_optional(get_args(hint))
    return hint, None


def _told_optional(choices: tuple[Any, ...]) -> tuple[Any, _Reading | None]:
    (kind,) = (choice for choice in choices if choice is not NoneType)
    shape, reading = _told(kind)
    if reading is None:
        return shape | None, None
    return shape | None, lambda value: None if value is None else reading(value)


def _amount(money: _Money) -> int:
    return money.amount
