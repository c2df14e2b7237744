"""Consumer contracts: the schema of each message that we read, as strict as its decoder."""

from collections.abc import Mapping

import msgspec

from giftcert.contracts import clients, orders, payments
from giftcert.contracts.field_descriptions import described
from giftcert.domain.order.messages import GIFT_CERTIFICATE
from specs.generator.event_schemas import Schema, head

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
DESCRIPTIONS: Mapping[str, str] = {
    orders.CREATED: """An order as it was placed.

The first message that names a certificate makes the order known.""",
    orders.CHANGED: """The whole order as it now is.

A line that is left out is removed; its money is then owed to the buyer.""",
    orders.CANCELLED: """The order, or the lines that are named, are cancelled, for good.

Without lines, all are.""",
    orders.RETURNED: """The named lines came back, for good.

The refund of the payment is a message of its own.""",
    payments.AUTHORIZED: """Money is promised for the order.

It pays nothing yet; the order is given more time to be paid.""",
    payments.CAPTURED: """Money of the order is taken.

Once the captures reach the price of a certificate line it is issued.""",
    payments.VOIDED: """An authorisation is given up.

With a certificate as the tender its hold is given back.""",
    payments.REFUNDED: """Money of the order went back.

With a certificate as the tender the purchase is put back on it.""",
    clients.UPDATED: """How a client wants to be written to.

A record with the client id as its key and no value erases the client.""",
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
    schema["definitions"]["OrderLine"] |= _CERTIFICATE_LINE
    return schema


def _withdrawn(event_type: str) -> Schema:
    schema = _of(orders.WithdrawnOrder, event_type)
    lines = schema["properties"]["lines"]
    lines["anyOf"][0] |= {"minItems": 1}
    if event_type == orders.RETURNED:
        _require(schema, "lines")
    return schema


def _payment(event_type: str) -> Schema:
    schema = _of(payments.PaymentRecord, event_type) | _CERTIFICATE_TENDER
    if event_type == payments.REFUNDED:
        _require(schema, "refundId")
    return schema


def _require(schema: Schema, field: str) -> None:
    """Have a field be there, and not null."""
    schema["required"].append(field)
    one_or_null = schema["properties"][field]
    schema["properties"][field] = one_or_null.pop("anyOf")[0] | one_or_null


def _of(record: type[msgspec.Struct], event_type: str) -> Schema:
    """Return msgspec's schema of the decoder's struct, narrowed to one event type."""
    (_, found) = msgspec.json.schema_components([record], ref_template="#/definitions/{name}")
    definitions = {name: _plain(schema, name) for name, schema in sorted(found.items())}
    whole = _plain(found[record.__name__], event_type, "message")
    del definitions[record.__name__]
    whole["properties"]["eventType"] |= {"const": event_type}
    named = head(event_type, DESCRIPTIONS[event_type])
    return named | whole | named | ({"definitions": definitions} if definitions else {})


def _plain(schema: Schema, *places: str) -> Schema:
    """Describe the fields, make integers 64 bits, and leave out defaults: they say only that a field may be absent."""
    fields = {name: _field(one) for name, one in schema.get("properties", {}).items()}
    return schema | {"properties": {name: described(name, one, *places) for name, one in fields.items()}}


def _field(schema: Schema) -> Schema:
    kept = {key: value for key, value in schema.items() if key != "default"}
    if kept.get("type") == "integer":
        kept["format"] = "int64"
    if "anyOf" in kept:
        kept["anyOf"] = [_field(one) for one in kept["anyOf"]]
    return kept
