"""JSON Schema (2020-12) of the field types that event dataclasses use."""

from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from giftcert.contracts.payload import camel_case
from giftcert.domain.money import MINOR_UNITS

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SCALARS: dict[type, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    datetime: {"type": "string", "format": "date-time"},
}
MONEY: Schema = {
    "type": "object",
    "properties": {"amount": {"type": "integer"}, "currency": {"type": "string", "pattern": "^[A-Z]{3}$"}},
    "required": ["amount", "currency"],
}


def object_schema(kind: type) -> Schema:
    """Return the schema of an event dataclass as ``payload_of`` writes it: every field is always there."""
    hints = get_type_hints(kind, include_extras=True)
    return closed_object({camel_case(field.name): schema_of(hints[field.name]) for field in fields(kind)})


def closed_object(properties: Schema) -> Schema:
    """Return the schema of an object that has all of these; readers ignore what else comes one day."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def nullable(schema: Schema) -> Schema:
    """Return the schema that also allows null."""
    if isinstance(schema.get("type"), str) and not {"enum", "const"} & schema.keys():
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def schema_of(hint: Any) -> Schema:  # noqa: ANN401 - an annotation
    """Return the schema of one annotated field.

    Raises:
        TypeError: an event has a field of a kind that none had before; say here what it is on the stream.
    """
    if MINOR_UNITS in getattr(hint, "__metadata__", ()):
        return MONEY
    if hint in _SCALARS:
        return _SCALARS[hint]
    if get_origin(hint) in {Union, UnionType}:
        return _optional(get_args(hint))
    if get_origin(hint) is tuple:
        return {"type": "array", "items": schema_of(get_args(hint)[0])}
    return _class_schema(hint)


def _class_schema(hint: Any) -> Schema:  # noqa: ANN401 - an annotation
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return {"type": "string", "enum": [member.value for member in hint]}
    if is_dataclass(hint) and isinstance(hint, type):
        return object_schema(hint)
    raise TypeError(f"no schema for {hint}")


def _optional(choices: tuple[Any, ...]) -> Schema:
    (kind,) = (choice for choice in choices if choice is not NoneType)
    return nullable(schema_of(kind))
