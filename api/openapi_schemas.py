"""What readers and generators of clients need of the OpenAPI document, beyond what pydantic makes of the models.

Every field says what it means. Integers have 64 bits: a generator makes 32 of a bare one, which 21 million roubles
overflow. Answers allow fields that they do not name, else clients made today break at the next one. A single word is
an ``enum``, as not every generator knows ``const``, and none what its default is for.
"""

from collections.abc import Iterator
from typing import Any

from giftcert.contracts.field_descriptions import described

_REFERENCE = "#/components/schemas/"


def prepare(document: dict[str, Any]) -> None:
    """Change the schemas of a document in place."""
    schemas = document["components"]["schemas"]
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    answered = _reachable([operation["responses"] for operation in operations], schemas)
    for name in answered - _reachable([operation.get("requestBody") for operation in operations], schemas):
        if "properties" in schemas[name]:
            schemas[name]["additionalProperties"] = True
    for name, schema in schemas.items():
        _describe_fields(name, schema)
    for operation in operations:
        for parameter in operation.get("parameters", ()):
            parameter.update(described(parameter["name"], parameter))
    for node in _nodes(document):
        _simplify(node)


def _reachable(part: Any, schemas: dict[str, Any]) -> set[str]:  # noqa: ANN401 - part of a document
    """Return the names of the schemas that a part of the document leads to."""
    found: set[str] = set()
    left = [part]
    while left:
        for node in _nodes(left.pop()):
            name = str(node.get("$ref", "")).removeprefix(_REFERENCE)
            if name and name not in found:
                found.add(name)
                left.append(schemas[name])
    return found


def _nodes(part: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - part of a document
    if isinstance(part, dict):
        yield part
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from _nodes(one)


def _describe_fields(name: str, schema: dict[str, Any]) -> None:
    """Say of each field what it means; the title that pydantic makes of its name would name types in some languages."""
    for field, of_field in schema.get("properties", {}).items():
        of_field.pop("title", None)
        schema["properties"][field] = described(field, of_field, name)


def _simplify(schema: dict[str, Any]) -> None:
    if schema.get("type") == "integer":
        schema.setdefault("format", "int64")
        for bound in {"minimum", "maximum"} & schema.keys():
            schema[bound] = int(schema[bound])  # pydantic writes some as decimal fractions
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
        schema.pop("default", None)
