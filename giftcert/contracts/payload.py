"""The payload of a stream event: the fields of its dataclass in camelCase, as plain JSON values."""

from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def payload_of(event: "DataclassInstance") -> dict[str, Any]:
    """Return the fields of an event dataclass as the stream names them; nested dataclasses alike.

    Instants become RFC 3339 in UTC, enums their values, tuples lists.
    """
    return {camel_case(field.name): _plain(getattr(event, field.name)) for field in fields(event)}


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
