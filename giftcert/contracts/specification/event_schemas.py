"""The schema of each event type, JSON Schema 2020-12: the envelope as it applies to it, and its payload."""

from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from giftcert.contracts.envelope import SCHEMA_VERSION
from giftcert.contracts.payload import camel_case, is_money
from giftcert.contracts.specification.catalogue import About, EventKind
from giftcert.domain.certificate.state import RefundState, Status

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEXT: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer"}
_INSTANT: Schema = {"type": "string", "format": "date-time"}
_NULL: Schema = {"type": "null"}
_SCALARS: dict[type, Schema] = {str: _TEXT, int: _INTEGER, bool: {"type": "boolean"}, datetime: _INSTANT}
_MONEY: Schema = {
    "type": "object",
    "properties": {"amount": {"type": "integer"}, "currency": {"type": "string", "pattern": "^[A-Z]{3}$"}},
    "required": ["amount", "currency"],
}


def event_schema(kind: EventKind) -> Schema:
    """Return the schema of the record value of an event type."""
    envelope = _closed_object(
        {
            "eventId": {"type": "string", "format": "uuid"},
            "eventType": {"const": kind.event_type},
            "schemaVersion": {"const": SCHEMA_VERSION},
            "occurredAt": _INSTANT,
            "recordedAt": _INSTANT,
            "channel": _nullable(_TEXT),
            "saleChannel": _nullable(_TEXT),
            **_standing(kind),
            "cause": _nullable(_closed_object({"topic": _TEXT, "eventId": _TEXT})),
            "payload": _payload(kind),
        }
    )
    return {
        "$schema": DIALECT,
        "$id": f"giftcert:{kind.event_type}",
        "title": kind.event_type,
        "description": kind.description,
        **envelope,
    }


def _standing(kind: EventKind) -> Schema:
    """What is said of the certificate: all of it, nothing, or either."""
    whole: Schema = {
        "status": {"type": "string", "enum": [*(status.value for status in Status), "blocked"]},
        "refundState": {"type": "string", "enum": [state.value for state in RefundState]},
        "certificateId": {"type": "string", "format": "uuid"},
        "sequence": {"type": "integer", "minimum": 1},
        "product": _TEXT,
        "nominal": _nullable(_MONEY),
        "balance": _MONEY,
        "held": _MONEY,
    }
    if kind.about == {About.CERTIFICATE}:
        return whole
    if kind.about == {About.PRODUCT}:
        return {**dict.fromkeys(whole, _NULL), "product": _TEXT}
    if kind.about == {About.INPUT}:
        return dict.fromkeys(whole, _NULL)
    return {name: _nullable(schema) if name != "nominal" else schema for name, schema in whole.items()}


def _payload(kind: EventKind) -> Schema:
    """An error's payload says where its input stands, as far as there is one."""
    properties = _object_schema(kind.classes[0])["properties"]
    if kind.is_error:
        place = {"topic": _TEXT, "partition": _INTEGER, "offset": _INTEGER, "eventId": _TEXT}
        nullable = {name: _nullable(schema) for name, schema in place.items()}
        properties = {**properties, **nullable, "component": _TEXT}
    return _closed_object(properties)


# Field types ----------------------------------------------------------------------------------------


def _object_schema(kind: type) -> Schema:
    """Return the schema of an event dataclass as ``payload_of`` writes it: every field is always there."""
    hints = get_type_hints(kind, include_extras=True)
    return _closed_object({camel_case(field.name): _schema_of(hints[field.name]) for field in fields(kind)})


def _closed_object(properties: Schema) -> Schema:
    """Return the schema of an object that has all of these; readers ignore what else comes one day."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def _nullable(schema: Schema) -> Schema:
    if isinstance(schema.get("type"), str) and not {"enum", "const"} & schema.keys():
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def _schema_of(hint: Any) -> Schema:  # noqa: ANN401 - an annotation
    """Return the schema of one annotated field.

    Raises:
        TypeError: an event has a field of a kind that none had before; say here what it is on the stream.
    """
    if is_money(hint):
        return _MONEY
    if hint in _SCALARS:
        return _SCALARS[hint]
    if get_origin(hint) in {Union, UnionType}:
        (kind,) = (choice for choice in get_args(hint) if choice is not NoneType)
        return _nullable(_schema_of(kind))
    if get_origin(hint) is tuple:
        return {"type": "array", "items": _schema_of(get_args(hint)[0])}
    return _class_schema(hint)


def _class_schema(hint: type) -> Schema:
    if issubclass(hint, StrEnum):
        return {"type": "string", "enum": [member.value for member in hint]}
    if is_dataclass(hint):
        return _object_schema(hint)
    raise TypeError(f"no schema for {hint}")
