"""The topics as an OpenAPI document, so that one tool names breaking changes of both: oasdiff knows no AsyncAPI.

What the service reads is the body of a request, what it publishes an answer: for each side it is known what may change.
"""

import json
from pathlib import Path
from typing import Any

import yaml

Schema = dict[str, Any]


def as_openapi(folder: Path) -> Schema:
    """Return a document of all messages that the AsyncAPI document in a folder names, with their schemas."""
    document = yaml.safe_load((folder / "asyncapi.yaml").read_text(encoding="utf-8"))
    paths: Schema = {}
    schemas: Schema = {}
    for operation in document["operations"].values():
        topic = document["channels"][_name(operation["channel"])]["address"]
        for reference in operation["messages"]:
            name = _name(reference)
            schemas |= _schemas(name, folder)
            described = _read(name) if operation["action"] == "receive" else _published(name, document)
            paths[f"/{topic}/{name}"] = described
    info = {"title": "Topics", "version": document["info"]["version"]}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _content(name: str) -> Schema:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _read(name: str) -> Schema:
    answer = {"204": {"description": "read"}}
    return {"post": {"requestBody": {"required": True, "content": _content(name)}, "responses": answer}}


def _published(name: str, document: Schema) -> Schema:
    headers = document["components"]["messageTraits"]["cloudEvent"]["headers"]
    described = {
        header: {"schema": schema, "required": header in headers["required"]}
        for header, schema in headers["properties"].items()
        if header != "content-type"
    }
    answer = {"description": "published", "headers": described, "content": _content(name)}
    return {"get": {"responses": {"200": answer}}}


def _schemas(name: str, folder: Path) -> Schema:
    """Return the schema of a message and of what it refers to, under names that are its own."""
    text = (folder / "schemas" / f"{name}.json").read_text(encoding="utf-8")
    schema = json.loads(text.replace("#/definitions/", f"#/components/schemas/{name}."))
    inner = {f"{name}.{part}": one for part, one in schema.pop("definitions", {}).items()}
    return {name: {key: value for key, value in schema.items() if not key.startswith("$")}, **inner}
