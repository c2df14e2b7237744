"""Every event type of the stream, and its schema (JSON Schema draft 7): the envelope as it applies, and the payload."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from inspect import cleandoc
from types import NoneType, UnionType
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

from giftcert.contracts import notices
from giftcert.contracts.field_descriptions import described, open_words
from giftcert.contracts.payload import camel_case, has_money, is_money
from giftcert.contracts.stream import SCHEMA_VERSION
from giftcert.domain.certificate.events import PublicEvent
from giftcert.domain.certificate.state import RefundState, Status
from giftcert.domain.explained import ExplainedWord, OneOf
from giftcert.verification.violations import INVARIANTS

# What an event can be about, which settles its key and which fields of the envelope apply.
About: TypeAlias = Literal["certificate", "product", "input"]
Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class EventKind:
    """One event type. Several classes may make it, with the same payload fields."""

    event_type: str
    classes: tuple[type, ...]

    @property
    def is_error(self) -> bool:
        """Whether its payload says where an input stands."""
        return self.event_type.startswith("error.")

    @property
    def has_customer(self) -> bool:
        """Whether its payload says who bought what its money is about."""
        return all(kind in get_args(PublicEvent) and has_money(kind) for kind in self.classes)

    @property
    def description(self) -> str:
        """The docstring of the class that makes it: what happened, and what its reader is to do."""
        return cleandoc(self.classes[0].__doc__ or "").replace("``", "`")

    @property
    def about(self) -> set[About]:
        """What it can be about."""
        abouts = set(map(_about, self.classes))
        if self.is_error:  # an input may be about a certificate of ours, or about none
            return abouts | {"certificate", "input"}
        return abouts | {"input"} if self.event_type in _ALSO_ABOUT_INPUT else abouts


# Besides certificates of ours: money for a line whose certificate nobody knows, acts that concern no certificate, and
# what is wrong with a product or with the stream itself.
_ALSO_ABOUT_INPUT = {"alert.paymentWithoutCertificate", "audit.operatorActed", "alert.invariantViolated"}


def _about(kind: type) -> About:
    if kind in get_args(notices.ProductNotice):
        return "product"
    return "input" if kind in get_args(notices.InputNotice) else "certificate"


def catalogue() -> tuple[EventKind, ...]:
    """Return all event types that the code can publish, sorted."""
    made_by: dict[str, tuple[type, ...]] = {}
    for kind in (*get_args(PublicEvent), *get_args(notices.Notice)):
        made_by[kind.type] = (*made_by.get(kind.type, ()), kind)
    return tuple(EventKind(name, made_by[name]) for name in sorted(made_by))


# The newest draft that AsyncAPI's own tools read.
DIALECT = "http://json-schema.org/draft-07/schema#"
_BASE = "https://giftcert.example/schemas/"  # names schemas so that relative references work; nothing is served there
_RULES = "\n".join(
    ("Number of the rule that is broken:\n", *(f"- {n}: {rule}." for n, rule in INVARIANTS.items()))
)
_TEXT: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer", "format": "int64"}
_INSTANT: Schema = {"type": "string", "format": "date-time"}
_ID: Schema = {"type": "string", "format": "uuid"}
_NULL: Schema = {"type": "null"}
_SCALARS: dict[type, Schema] = {str: _TEXT, int: _INTEGER, bool: {"type": "boolean"}, datetime: _INSTANT}
_MONEY: Schema = {
    "type": "object",
    "properties": {
        "amount": described("amount", _INTEGER, "Money"),
        "currency": described("currency", {**_TEXT, "pattern": "^[A-Z]{3}$"}),
    },
    "required": ["amount", "currency"],
}


def event_schema(kind: EventKind) -> Schema:
    """Return the schema of the record value of an event type."""
    envelope = _object(
        {
            "eventId": _ID,
            "eventType": {"type": "string", "const": kind.event_type},
            "schemaVersion": {**_INTEGER, "const": SCHEMA_VERSION},
            "occurredAt": _INSTANT,
            "recordedAt": _INSTANT,
            "channel": _nullable(_TEXT),
            "saleChannel": _nullable(_TEXT),
            **_standing(kind.about),
            "cause": _nullable(_object({"topic": _TEXT, "eventId": _TEXT}, "cause")),
            "payload": _payload(kind),
        },
        kind.event_type,
        "envelope",
    )
    return head(kind.event_type, kind.description) | envelope


def head(name: str, description: str) -> Schema:
    """Return how each schema begins."""
    return {"$schema": DIALECT, "$id": f"{_BASE}{name}.json", "title": name, "description": description}


def stream_schema(kinds: Sequence[EventKind]) -> Schema:
    """Return the schema of any event of today: what all have, and one of their types."""
    named = {
        "eventId": _ID,
        "eventType": _TEXT,
        "schemaVersion": _INTEGER,
        "occurredAt": _INSTANT,
        "recordedAt": _INSTANT,
        "payload": {"type": "object"},
    }
    description = (
        "Any event of `GiftCertificates.Stream`. Look at `eventType` first and skip those that you do not know: later "
        "versions add types, and fields to these."
    )
    return {
        **head("envelope", description),
        **_object(named, "envelope"),
        "oneOf": [{"$ref": f"{kind.event_type}.json"} for kind in kinds],
    }


def _standing(about: set[About]) -> Schema:
    whole: Schema = {
        "status": {"type": "string", "enum": [*(status.value for status in Status), "blocked"]},
        "refundState": {"type": "string", "enum": [state.value for state in RefundState]},
        "certificateId": _ID,
        "sequence": {**_INTEGER, "minimum": 1},
        "product": _TEXT,
        "nominal": _nullable(_MONEY),
        "balance": _MONEY,
        "held": _MONEY,
    }
    if about == {"certificate"}:
        return whole
    if "certificate" not in about:
        nothing = dict.fromkeys(whole, _NULL)
        return nothing | {"product": _TEXT} if about == {"product"} else nothing
    return {name: _nullable(schema) if name != "nominal" else schema for name, schema in whole.items()}


def _payload(kind: EventKind) -> Schema:
    """An error's payload says where its input stands, as far as there is one; money says whose it is."""
    properties = _own_fields(kind)
    if kind.is_error:
        place = {"topic": _TEXT, "partition": _INTEGER, "offset": _INTEGER, "eventId": _TEXT}
        nullable = {name: _nullable(schema) for name, schema in place.items()}
        properties = {**properties, **nullable, "component": open_words(notices.Component)}
    if kind.has_customer:
        properties = {**properties, "customerId": _nullable(_TEXT)}
    return _object(properties, kind.event_type, "payload")


def _own_fields(kind: EventKind) -> Schema:
    """Return the fields of the classes that make it; a reason may be one of any of theirs."""
    hints = [get_type_hints(maker, include_extras=True) for maker in kind.classes]
    properties: Schema = {}
    for field in fields(kind.classes[0]):
        sets = dict.fromkeys(one for of_maker in hints for one in sets_of(of_maker[field.name]))
        properties[camel_case(field.name)] = open_words(*sets) if sets else _schema_of(hints[0][field.name])
    if kind.event_type == notices.InvariantViolated.type:
        properties["invariant"] = {**properties["invariant"], "description": _RULES}
    return properties


def sets_of(hint: Any) -> tuple[type[ExplainedWord], ...]:  # noqa: ANN401 - an annotation
    """Return the sets whose words a field may have."""
    if isinstance(hint, type) and issubclass(hint, ExplainedWord):
        return (hint,)
    found = [one.sets for one in getattr(hint, "__metadata__", ()) if isinstance(one, OneOf)]
    return found[0] if found else ()


def _object(properties: Schema, *places: str) -> Schema:
    """Return the schema of an object that has all of these, each described; readers ignore what else comes one day."""
    fields_of = {name: described(name, schema, *places) for name, schema in properties.items()}
    return {"type": "object", "properties": fields_of, "required": list(fields_of)}


def _nullable(schema: Schema) -> Schema:
    if isinstance(schema.get("type"), str) and not {"enum", "const"} & schema.keys():
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, _NULL]}


def _schema_of(hint: Any) -> Schema:  # noqa: ANN401 - an annotation
    """Return the schema of an annotated field; of a dataclass as ``payload_of`` writes it, with every field."""
    if is_money(hint):
        return _MONEY
    if sets := sets_of(hint):
        return open_words(*sets)
    if hint in _SCALARS:
        return _SCALARS[hint]
    if get_origin(hint) in {Union, UnionType}:
        (kind,) = (choice for choice in get_args(hint) if choice is not NoneType)
        return _nullable(_schema_of(kind))
    if get_origin(hint) is tuple:
        return {"type": "array", "items": _schema_of(get_args(hint)[0])}
    hints = get_type_hints(hint, include_extras=True)
    return _object(
        {camel_case(field.name): _schema_of(hints[field.name]) for field in fields(hint)}, hint.__name__
    )
