"""Write what partners read: ``python -m specs.generator [FOLDER]`` makes ``specs`` anew from the code.

The examples beside the schemas are kept by hand; tests hold them to what the code writes.
"""

import sys
from pathlib import Path
from typing import Any

import msgspec
import yaml

from giftcert.contracts import clients, orders, payments
from giftcert.contracts.stream import SOURCE
from giftcert.product_file import json_schema
from specs.generator.event_schemas import EventKind, catalogue, event_schema, stream_schema
from specs.generator.input_schemas import DESCRIPTIONS, input_schemas

_EXAMPLES = Path(__file__).parent.parent / "schemas" / "examples"
# Of the document: the middle number rises with each addition, the first never without a new schemaVersion.
CONTRACT_VERSION = "1.3.0"
_TOPICS = {
    "orders": ("All_SalesOrder", "Orders of all channels, written through Orders. Key: the order id."),
    "payments": ("All_Payments", "Payments of all channels, written through Payments. Key: the order id."),
    "clients": ("All_Clients", "Settings of clients, written by CRM. Key: the client id."),
    "stream": (
        "GiftCertificates.Stream",
        (
            "All that happens to certificates. Key: the certificate id; else the product; else <topic>-<partition> of "
            "the input that an error is about. In sequence order per certificate, kept for ever."
        ),
    ),
}
_SERVERS = {
    "embedded": {
        "host": "127.0.0.1:9092",
        "protocol": "kafka",
        "description": "The broker that `giftcert up` starts, without authentication. `giftcert up --json` says its "
        "address where the port was taken.",
    },
    "production": {
        "host": "{bootstrap}",
        "protocol": "kafka-secure",
        "description": "The company's cluster, over TLS. Readers need READ on the stream and on their group.",
        "variables": {
            "bootstrap": {
                "default": "kafka:9093",
                "description": "Bootstrap servers, as operations names them",
            }
        },
        "security": [{"$ref": "#/components/securitySchemes/scram"}],
    },
}
_SECURITY = {"scram": {"type": "scramSha512", "description": "User and password of each reader and writer."}}
_TAGS = {
    "issue": "Reserved, ordered, issued, or back in the pool.",
    "notification": "CRM writes to a client.",
    "redemption": "Purchases that a certificate pays for.",
    "refund": "Money that goes back.",
    "audit": "What people and time did.",
    "alert": "A person has to act.",
    "error": "An input could not be applied.",
}
# CloudEvents 1.0 in Kafka's binary mode; what does not apply is absent.
_HEADERS = {
    "type": "object",
    "properties": {
        "ce_specversion": {"type": "string", "const": "1.0", "description": "version of CloudEvents"},
        "ce_id": {"type": "string", "description": "the eventId"},
        "ce_source": {"type": "string", "const": SOURCE, "description": "the service"},
        "ce_type": {"type": "string", "description": "the eventType"},
        "ce_time": {"type": "string", "format": "date-time", "description": "occurredAt"},
        "ce_subject": {"type": "string", "description": "the certificate id"},
        "ce_channel": {"type": "string", "description": "where the cause happened"},
        "content-type": {"type": "string", "const": "application/json", "description": "of the value"},
    },
    "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type"],
}


def _asyncapi(kinds: tuple[EventKind, ...]) -> dict[str, Any]:
    """AsyncAPI 3.0: the four topics, their messages and headers; schemas are referred to by their files."""
    read = {"orders": orders.EVENT_TYPES, "payments": payments.EVENT_TYPES, "clients": clients.EVENT_TYPES}
    types = {name: sorted(types) for name, types in read.items()}
    types["stream"] = [kind.event_type for kind in kinds]
    channels = {name: _channel(*_TOPICS[name], types[name]) for name in _TOPICS}
    kept_for_ever = {"cleanup.policy": ["delete"], "retention.ms": -1}
    channels["stream"]["bindings"]["kafka"]["topicConfiguration"] = kept_for_ever
    messages = {name: _message(name, DESCRIPTIONS[name]) for name in sorted(DESCRIPTIONS)}
    for kind in kinds:
        message = messages[kind.event_type] = _message(kind.event_type, kind.description)
        message["tags"] = [{"name": kind.event_type.partition(".")[0]}]
        message["traits"] = [{"$ref": "#/components/messageTraits/cloudEvent"}]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Gift certificates",
            "version": CONTRACT_VERSION,
            "description": "What the gift-certificate service reads and writes on Kafka. Every message may come again; "
            "on the stream a repeat has the same eventId and content. Readers skip fields, types and words that they "
            "do not know.",
            "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        },
        "servers": _SERVERS,
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {
            **{f"read{name.capitalize()}": _operation("receive", name, types[name]) for name in read},
            "writeStream": _operation("send", "stream", types["stream"]),
        },
        "components": {
            "messages": messages,
            "messageTraits": {"cloudEvent": {"headers": _HEADERS}},
            "securitySchemes": _SECURITY,
        },
    }


def _channel(topic: str, description: str, types: list[str]) -> dict[str, Any]:
    return {
        "address": topic,
        "description": description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in types},
        "bindings": {"kafka": {"topic": topic}},
    }


def _operation(action: str, channel: str, types: list[str]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in types],
    }


def _message(name: str, description: str) -> dict[str, Any]:
    schema = {"$ref": f"./schemas/{name}.json"}
    summary, _, more = description.partition("\n\n")
    return {
        "name": name,
        "summary": summary,
        **({"description": more} if more else {}),
        "contentType": "application/json",
        "payload": {"schemaFormat": "application/schema+json;version=draft-07", "schema": schema},
        "bindings": {"kafka": {"key": {"type": "string"}}},
        "examples": [
            {"name": name, "payload": msgspec.json.decode((_EXAMPLES / f"{name}.json").read_bytes())}
        ],
    }


def files() -> dict[Path, str]:
    """Return every generated file, by its path under the folder of specifications."""
    kinds = catalogue()
    schemas = input_schemas() | {kind.event_type: event_schema(kind) for kind in kinds}
    schemas["envelope"] = stream_schema(kinds)
    # What stands twice in the document is written twice, without anchors of YAML.
    document = msgspec.json.decode(msgspec.json.encode(_asyncapi(kinds)))
    return {
        **{Path(f"schemas/{name}.json"): _json(schema) for name, schema in schemas.items()},
        Path("products.schema.json"): _json(json_schema()),
        Path("asyncapi.yaml"): yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110),
    }


def main(folder: Path) -> None:
    """Write the files; schemas of messages that no longer exist are removed."""
    made = files()
    for old in (folder / "schemas").glob("*.json"):
        if old.relative_to(folder) not in made:
            old.unlink()
    for path, text in made.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "specs"))
