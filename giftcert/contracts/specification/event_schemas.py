"""The schema of each event type: the envelope as it applies to it, and its payload."""

from giftcert.contracts.envelope import SCHEMA_VERSION
from giftcert.contracts.specification.catalogue import About, EventKind
from giftcert.contracts.specification.types import (
    DIALECT,
    MONEY,
    Schema,
    closed_object,
    nullable,
    object_schema,
)
from giftcert.domain.certificate.state import RefundState, Status

_TEXT: Schema = {"type": "string"}
_INSTANT: Schema = {"type": "string", "format": "date-time"}
_CAUSE = closed_object({"topic": _TEXT, "eventId": _TEXT})
_ERROR_PLACE: Schema = {
    "topic": nullable(_TEXT),
    "partition": nullable({"type": "integer"}),
    "offset": nullable({"type": "integer"}),
    "eventId": nullable(_TEXT),
    "component": _TEXT,
}
_NULL: Schema = {"type": "null"}


def event_schema(kind: EventKind) -> Schema:
    """Return the schema of the record value of an event type."""
    envelope = closed_object(
        {
            "eventId": {"type": "string", "format": "uuid"},
            "eventType": {"const": kind.event_type},
            "schemaVersion": {"const": SCHEMA_VERSION},
            "occurredAt": _INSTANT,
            "recordedAt": _INSTANT,
            "channel": nullable(_TEXT),
            "saleChannel": nullable(_TEXT),
            **_standing(kind),
            "cause": nullable(_CAUSE),
            "payload": payload_schema(kind),
        }
    )
    return {
        "$schema": DIALECT,
        "$id": f"giftcert:{kind.event_type}",
        "title": kind.event_type,
        "description": kind.description,
        **envelope,
    }


def payload_schema(kind: EventKind) -> Schema:
    """Return the schema of the payload alone."""
    properties = object_schema(kind.classes[0])["properties"]
    if kind.is_error:
        properties = {**properties, **_ERROR_PLACE}
    return closed_object(properties)


def _standing(kind: EventKind) -> Schema:
    """What is said of the certificate: all of it, nothing, or either."""
    whole: Schema = {
        "status": {"type": "string", "enum": [*(status.value for status in Status), "blocked"]},
        "refundState": {"type": "string", "enum": [state.value for state in RefundState]},
        "certificateId": {"type": "string", "format": "uuid"},
        "sequence": {"type": "integer", "minimum": 1},
        "product": _TEXT,
        "nominal": nullable(MONEY),
        "balance": MONEY,
        "held": MONEY,
    }
    if kind.about == {About.CERTIFICATE}:
        return whole
    if kind.about == {About.PRODUCT}:
        return {**dict.fromkeys(whole, _NULL), "product": _TEXT}
    if kind.about == {About.INPUT}:
        return dict.fromkeys(whole, _NULL)
    return {name: nullable(schema) if name != "nominal" else schema for name, schema in whole.items()}
