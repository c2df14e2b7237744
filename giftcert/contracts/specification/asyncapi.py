"""AsyncAPI 3.0: the four topics, their messages and headers, with the schemas beside it."""

from typing import Any

from giftcert.contracts import clients, orders, payments
from giftcert.contracts.envelope import SOURCE
from giftcert.contracts.specification.catalogue import EventKind

_SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
_TEXT = {"type": "string"}
_STREAM = "stream"
_ORDERS_KEY = "the order id"
_INPUTS = {
    "orders": (
        "All_SalesOrder",
        _ORDERS_KEY,
        "Orders of all channels, written through Orders.",
        orders.EVENT_TYPES,
    ),
    "payments": (
        "All_Payments",
        _ORDERS_KEY,
        "Payments of all channels, written through Payments.",
        payments.EVENT_TYPES,
    ),
    "clients": ("All_Clients", "the client id", "Settings of clients, written by CRM.", clients.EVENT_TYPES),
}


def asyncapi(kinds: tuple[EventKind, ...], version: str) -> dict[str, Any]:
    """Return the document; schemas are referred to by their files."""
    inputs = {name: sorted(types) for name, (_, _, _, types) in _INPUTS.items()}
    stream = [kind.event_type for kind in kinds]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Gift certificates",
            "version": version,
            "description": "What the gift-certificate service reads and writes on Kafka. Every message may come again; "
            "on the stream a repeat has the same eventId and content.",
        },
        "defaultContentType": "application/json",
        "channels": {**{name: _input_channel(name) for name in _INPUTS}, _STREAM: _stream_channel(stream)},
        "operations": {
            **{
                f"read{name.capitalize()}": _operation("receive", name, types)
                for name, types in inputs.items()
            },
            "writeStream": _operation("send", _STREAM, stream),
        },
        "components": {
            "messages": {
                **{name: _message(name) for types in inputs.values() for name in types},
                **{kind.event_type: _event_message(kind) for kind in kinds},
            },
            "messageTraits": {"cloudEvent": {"headers": _headers()}},
        },
    }


def _input_channel(name: str) -> dict[str, Any]:
    topic, key, description, types = _INPUTS[name]
    return {
        "address": topic,
        "description": f"{description} Key: {key}.",
        "messages": _references(sorted(types)),
        "bindings": {"kafka": {"topic": topic}},
    }


def _stream_channel(event_types: list[str]) -> dict[str, Any]:
    topic = "GiftCertificates.Stream"
    return {
        "address": topic,
        "description": "All that happens to certificates. Key: the certificate id; else the product; else "
        "<topic>-<partition> of the input that an error is about. In sequence order per certificate, kept for ever.",
        "messages": _references(event_types),
        "bindings": {
            "kafka": {
                "topic": topic,
                "topicConfiguration": {"cleanup.policy": ["delete"], "retention.ms": -1},
            }
        },
    }


def _references(types: list[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in types}


def _operation(action: str, channel: str, types: list[str]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in types],
    }


def _message(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "contentType": "application/json",
        "payload": {"schemaFormat": _SCHEMA_FORMAT, "schema": {"$ref": f"./schemas/{name}.json"}},
        "bindings": {"kafka": {"key": _TEXT}},
    }


def _event_message(kind: EventKind) -> dict[str, Any]:
    return {
        **_message(kind.event_type),
        "summary": kind.description,
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
    }


def _headers() -> dict[str, Any]:
    """CloudEvents 1.0 in Kafka's binary mode; what does not apply is absent."""
    return {
        "type": "object",
        "properties": {
            "ce_specversion": {"const": "1.0"},
            "ce_id": {"type": "string", "description": "the eventId"},
            "ce_source": {"const": SOURCE},
            "ce_type": {"type": "string", "description": "the eventType"},
            "ce_time": {"type": "string", "format": "date-time", "description": "occurredAt"},
            "ce_subject": {"type": "string", "description": "the certificate id"},
            "ce_channel": {"type": "string", "description": "where the cause happened"},
            "content-type": {"const": "application/json"},
        },
        "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type"],
    }
