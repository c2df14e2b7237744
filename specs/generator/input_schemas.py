"""Consumer contracts: the schema of each message that we read, as strict as its decoder."""

import msgspec

from giftcert.contracts import clients, orders, payments
from giftcert.domain.order.messages import GIFT_CERTIFICATE
from specs.generator.event_schemas import DIALECT, Schema

_CERTIFICATE_LINE: Schema = {
    "if": {"properties": {"kind": {"const": GIFT_CERTIFICATE}}, "required": ["kind"]},
    "then": {
        "required": ["certificateId"],
        "properties": {
            "certificateId": {"type": "string"},
            "quantity": {"enum": [1, None]},
            "amount": {"minimum": 0},
        },
    },
    "else": {"properties": {"certificateId": {"type": "null"}, "reservationId": {"type": "null"}}},
}
_CERTIFICATE_TENDER: Schema = {
    "if": {"properties": {"tender": {"const": GIFT_CERTIFICATE}}, "required": ["tender"]},
    "then": {
        "required": ["certificateId"],
        "properties": {"certificateId": {"type": "string"}, "amount": {"exclusiveMinimum": 0}},
    },
}
_DESCRIPTIONS = {
    orders.CREATED: "An order as it was placed.",
    orders.CHANGED: "The whole order as it now is.",
    orders.CANCELLED: "The order, or the lines that are named, are cancelled.",
    orders.RETURNED: "The goods of these lines came back.",
    payments.AUTHORIZED: "Money is promised for the order.",
    payments.CAPTURED: "Money of the order is taken.",
    payments.VOIDED: "An authorisation is given up.",
    payments.REFUNDED: "Money of the order went back.",
    clients.UPDATED: "How a client wants to be written to. A null value erases the client.",
}


def input_schemas() -> dict[str, Schema]:
    """Return the schema of each message type that we read."""
    return {
        **{name: _stated(name) for name in sorted(orders.STATED_TYPES)},
        **{name: _withdrawn(name) for name in (orders.CANCELLED, orders.RETURNED)},
        **{name: _payment(name) for name in sorted(payments.EVENT_TYPES)},
        clients.UPDATED: _of(clients.ClientRecord, clients.UPDATED),
    }


def _stated(event_type: str) -> Schema:
    schema = _of(orders.StatedOrder, event_type)
    schema["$defs"]["OrderLine"] |= _CERTIFICATE_LINE
    return schema


def _withdrawn(event_type: str) -> Schema:
    schema = _of(orders.WithdrawnOrder, event_type)
    lines = schema["properties"]["lines"]["anyOf"][0] | {"minItems": 1}
    if event_type == orders.RETURNED:
        schema["properties"]["lines"] = lines
        schema["required"].append("lines")
    else:
        schema["properties"]["lines"]["anyOf"][0] = lines
    return schema


def _payment(event_type: str) -> Schema:
    schema = _of(payments.PaymentRecord, event_type) | _CERTIFICATE_TENDER
    if event_type == payments.REFUNDED:
        schema["required"].append("refundId")
        schema["properties"]["refundId"] = schema["properties"]["refundId"]["anyOf"][0]
    return schema


def _of(record: type[msgspec.Struct], event_type: str) -> Schema:
    """Return msgspec's schema of the decoder's struct, narrowed to one event type."""
    (_, found) = msgspec.json.schema_components([record], ref_template="#/$defs/{name}")
    definitions = {name: _plain(schema) for name, schema in sorted(found.items())}
    whole = definitions.pop(record.__name__)
    whole["properties"]["eventType"] = {"const": event_type}
    head = {
        "$schema": DIALECT,
        "$id": f"giftcert:{event_type}",
        "title": event_type,
        "description": _DESCRIPTIONS[event_type],
    }
    return head | whole | head | ({"$defs": definitions} if definitions else {})


def _plain(schema: Schema) -> Schema:
    """Leave out defaults, which mean no more than that a field may be absent."""
    properties = schema.get("properties", {})
    kept = {name: {k: v for k, v in one.items() if k != "default"} for name, one in properties.items()}
    return schema | {"properties": kept}
