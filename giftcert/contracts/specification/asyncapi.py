"""AsyncAPI 3.0: the four topics, their messages and headers, with the schemas beside it."""

from typing import Any

from giftcert.contracts import clients, orders, payments
from giftcert.contracts.envelope import SOURCE
from giftcert.contracts.specification.catalogue import EventKind

_SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
_TEXT = {"type": "string"}
_INPUTS = {
    "orders": (
        "All_SalesOrder",
        "Orders of all channels, written through Orders. Key: the order id.",
        sorted(orders.EVENT_TYPES),
    ),
    "payments": (
        "All_Payments",
        "Payments of all channels, written through Payments. Key: the order id.",
        sorted(payments.EVENT_TYPES),
    ),
    "clients": (
        "All_Clients",
        "Settings of clients, written by CRM. Key: the client id.",
        sorted(clients.EVENT_TYPES),
    ),
}
_STREAM = (
    "GiftCertificates.Stream",
    (
        "All that happens to certificates. Key: the certificate id; else the product; else <topic>-<partition> of the "
        "input that an error is about. In sequence order per certificate, kept for ever."
    ),
)
# CloudEvents 1.0 in Kafka's binary mode; what does not apply is absent.
_HEADERS = {
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


def asyncapi(kinds: tuple[EventKind, ...], version: str) -> dict[str, Any]:
    """Return the document; schemas are referred to by their files."""
    stream = [kind.event_type for kind in kinds]
    configuration: dict[str, Any] = {"topicConfiguration": {"cleanup.policy": ["delete"], "retention.ms": -1}}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Gift certificates",
            "version": version,
            "description": "What the gift-certificate service reads and writes on Kafka. Every message may come again; "
            "on the stream a repeat has the same eventId and content.",
        },
        "defaultContentType": "application/json",
        "channels": {
            **{name: _channel(*channel) for name, channel in _INPUTS.items()},
            "stream": _channel(*_STREAM, stream, **configuration),
        },
        "operations": {
            **{
                f"read{name.capitalize()}": _operation("receive", name, types)
                for name, (_, _, types) in _INPUTS.items()
            },
            "writeStream": _operation("send", "stream", stream),
        },
        "components": {
            "messages": {
                **{name: _message(name) for _, _, types in _INPUTS.values() for name in types},
                **{
                    kind.event_type: {
                        **_message(kind.event_type),
                        "summary": kind.description,
                        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
                    }
                    for kind in kinds
                },
            },
            "messageTraits": {"cloudEvent": {"headers": _HEADERS}},
        },
    }


def _channel(topic: str, description: str, types: list[str], **configuration: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {
        "address": topic,
        "description": description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in types},
        "bindings": {"kafka": {"topic": topic, **configuration}},
    }


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
