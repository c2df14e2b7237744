"""What readers and generators of clients need of the OpenAPI document, beyond what pydantic makes of the models.

Every field says what it means. Integers have 64 bits: a generator makes 32 of a bare one, which 21 million roubles
overflow. Answers allow fields that they do not name, else clients made today break at the next one. A single word is
an ``enum``, as not every generator knows ``const``, and none what its default is for.
"""

from collections.abc import Iterator
from typing import Any

from giftcert.contracts.field_descriptions import described

_REFERENCE = "#/components/schemas/"
_PLAIN: dict[str, Any] = {
    "string": "text",
    "uuid": "01936f8e-5a00-7c3e-9d4b-0a1b2c3d4e5f",
    "date-time": "2026-11-23T12:00:00Z",
    "integer": 1,
    "int64": 1,
    "boolean": True,
    "object": {},
}


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
            _describe_parameter(parameter)
    for node in _nodes(document):
        _simplify(node)
    for operation in operations:
        for status, answer in operation["responses"].items():
            if status.startswith("2"):
                _describe_answer(answer, schemas, nth=int(status == "202"))


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


def _describe_parameter(parameter: dict[str, Any]) -> None:
    """Say what it means; one that may be left out is never null, which no query and no header can say."""
    parameter.update(described(parameter["name"], parameter))
    schema = parameter["schema"]
    schema.pop("title", None)
    if "anyOf" in schema:
        [of_value] = [one for one in schema.pop("anyOf") if one != {"type": "null"}]
        parameter["schema"] = of_value | schema


def _describe_answer(answer: dict[str, Any], schemas: dict[str, Any], nth: int) -> None:
    """Say what an answer is, with an example: tools make one with fields that nobody named."""
    if "content" not in answer:
        answer["description"] = "Done; there is no body"
    for content in answer.get("content", {}).values():
        schema = content["schema"]
        schema.pop("title", None)
        name = schema.get("$ref") or schema.get("items", {}).get("$ref")
        if name:
            described_as = schemas[name.removeprefix(_REFERENCE)]["description"].partition("\n")[0]
            answer["description"] = f"{'' if '$ref' in schema else 'A list: '}{described_as}"
        content.setdefault("example", _example(schema, schemas, nth))


def _example(schema: dict[str, Any], schemas: dict[str, Any], nth: int = 0) -> Any:  # noqa: ANN401 - any JSON
    """Return an example of a schema from those of its fields; of a union that of its nth member."""
    match schema:
        case {"examples": [first, *_]} | {"enum": [first, *_]}:
            found = first
        case {"$ref": reference}:
            found = _example(schemas[reference.removeprefix(_REFERENCE)], schemas, nth)
        case {"oneOf": members} | {"anyOf": members}:
            found = _example(members[min(nth, len(members) - 1)], schemas)
        case {"properties": fields}:
            found = {name: _example(field, schemas) for name, field in fields.items()}
        case {"type": "array", "items": item}:
            found = [_example(item, schemas)]
        case _:
            found = _PLAIN[schema.get("format") or schema["type"]]
    return found


def _simplify(schema: dict[str, Any]) -> None:
    if isinstance(text := schema.get("description"), str):
        schema["description"] = text.replace("``", "`")  # Markdown, not the markup of docstrings
    if schema.get("type") == "integer":
        schema.setdefault("format", "int64")
        for bound in {"minimum", "maximum"} & schema.keys():
            schema[bound] = int(schema[bound])  # pydantic writes some as decimal fractions
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
        schema.pop("default", None)
