import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from api.main import create_app
from api.openapi import render
from api.problems import PROBLEMS
from giftcert.contracts.field_descriptions import OPEN_WORDS
from giftcert.domain.certificate.words import RefundReason
from giftcert.security.tokens import Role
from giftcert.settings import Settings

CHECKED_IN = Path("specs/openapi.json")
CONTRACT = {
    ("get", "/certificates/next"),
    ("post", "/reservations"),
    ("post", "/reservations/{reservationId}/extend"),
    ("delete", "/reservations/{reservationId}"),
    ("get", "/products"),
    ("get", "/certificates/{certificateId}"),
    ("get", "/certificates"),
    ("get", "/certificates/{certificateId}/cvc"),
    ("post", "/certificates/verify"),
    ("post", "/redemptions"),
    ("get", "/redemptions/{redemptionId}"),
    ("delete", "/redemptions/{redemptionId}"),
    ("get", "/refunds"),
    ("post", "/refunds/{refundCaseId}/resolution"),
    ("post", "/certificates/{certificateId}/block"),
    ("post", "/certificates/{certificateId}/unblock"),
    ("post", "/certificates/{certificateId}/unlock"),
    ("post", "/certificates/{certificateId}/notifications"),
    ("get", "/pool"),
    ("post", "/pool/retire"),
    ("get", "/operations/{operationId}"),
    ("get", "/livez"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
}
OPEN = {"/livez", "/healthz", "/readyz", "/metrics"}
DOCUMENT: dict[str, Any] = json.loads(render())
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_the_checked_in_document_is_what_the_code_says() -> None:
    assert CHECKED_IN.read_text() == render(), "run: python -m api.openapi > specs/openapi.json"


def test_the_document_has_the_calls_of_the_contract() -> None:
    assert {(method, path) for method, path, _ in operations()} == CONTRACT


@pytest.mark.parametrize(("method", "path", "operation"), list(operations()))
def test_every_call_says_who_may_make_it_and_what_may_go_wrong(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    assert operation["operationId"], method
    assert operation["summary"]
    assert operation["description"]
    if path in OPEN:
        assert operation["security"] == []
        return
    assert operation["security"]
    roles = ", ".join(f"`{role}`" for each in operation["security"] for role in each["bearer"])
    assert operation["description"].endswith(f"Roles: {roles}.")
    assert {role for each in operation["security"] for role in each["bearer"]} <= set(Role)
    assert {"401", "403", "422", "503"} <= set(operation["responses"])
    for status, response in operation["responses"].items():
        for problem in (
            response.get("content", {}).get("application/problem+json", {}).get("examples", {}).values()
        ):
            assert problem["value"]["status"] == int(status)
            assert problem["value"]["type"].removeprefix("/problems/") in PROBLEMS


@pytest.mark.parametrize(("method", "path", "operation"), list(operations()))
def test_every_answer_with_a_body_shows_an_example(method: str, path: str, operation: dict[str, Any]) -> None:
    for status, response in operation["responses"].items():
        for content in response.get("content", {}).values():
            assert shows_example(content), f"{method} {path} {status}"


@pytest.mark.parametrize(("method", "path", "operation"), list(operations()))
def test_every_example_of_an_answer_is_as_its_schema_says(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    for status, response in operation["responses"].items():
        for content in response.get("content", {}).values():
            schema = json.loads(json.dumps(content["schema"]).replace("#/components/schemas", "#/$defs"))
            defined = json.loads(json.dumps(SCHEMAS).replace("#/components/schemas", "#/$defs"))
            validator = Draft202012Validator(schema | {"$defs": defined})
            shown = [one["value"] for one in content.get("examples", {}).values()]
            for example in [*shown, *([content["example"]] if "example" in content else [])]:
                assert list(validator.iter_errors(example)) == [], f"{method} {path} {status}"


def test_the_answer_to_the_first_of_two_persons_is_shown_as_such() -> None:
    responses = DOCUMENT["paths"]["/refunds/{refundCaseId}/resolution"]["post"]["responses"]
    shown = {status: responses[status]["content"]["application/json"]["example"] for status in ("200", "202")}

    assert (shown["200"]["outcome"], shown["202"]["outcome"]) == ("decided", "awaitingSecond")


def shows_example(part: object) -> bool:
    """Return whether an example stands in a part of the document or in a schema that it leads to."""
    if isinstance(part, list):
        return any(map(shows_example, part))
    if not isinstance(part, dict):
        return False
    if "$ref" in part:
        return shows_example(DOCUMENT["components"]["schemas"][part["$ref"].rpartition("/")[2]])
    return "example" in part or "examples" in part or any(map(shows_example, part.values()))


def test_every_problem_is_documented_at_some_call() -> None:
    documented = {
        name
        for _, _, operation in operations()
        for response in operation["responses"].values()
        for name in response.get("content", {}).get("application/problem+json", {}).get("examples", {})
    }
    # These may come of any path at all, so no call lists them.
    assert set(PROBLEMS) - documented == {
        "malformed-request",
        "not-found",
        "method-not-allowed",
        "internal-error",
    }


def test_problems_of_one_name_have_one_status_and_stay_apart() -> None:
    assert len({problem.title for problem in PROBLEMS.values()}) == len(PROBLEMS)
    assert [name for name, problem in PROBLEMS.items() if problem.status == 409] == [
        "pool-exhausted",
        "already-ordered",
        "not-issued",
        "not-active",
        "insufficient-balance",
        "refund-in-progress",
        "redemption-captured",
        "nothing-pending",
        "status-not-allowed",
    ]


def test_every_reference_in_the_document_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        assert reference.startswith("#/components/schemas/")
        assert reference.rpartition("/")[2] in DOCUMENT["components"]["schemas"]


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def leads_to(part: Any) -> set[str]:
    """The schemas that a part of the document leads to."""
    found: set[str] = set()
    left = list(references(part))
    while left:
        name = left.pop().rpartition("/")[2]
        if name not in found:
            found.add(name)
            left += references(SCHEMAS[name])
    return found


ANSWERED = leads_to([operation["responses"] for _, _, operation in operations()])
SENT = leads_to([operation.get("requestBody") for _, _, operation in operations()])


def parts(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from parts(child)


def is_money(schema: dict[str, Any]) -> bool:
    named = [schema, *schema.get("anyOf", ())]
    return any(one.get("$ref", "").endswith(("/Money", "/Amount")) for one in named)


def is_number(schema: dict[str, Any]) -> bool:
    return any(one.get("type") == "integer" for one in (schema, *schema.get("anyOf", ())))


UNITS = (
    "minor units",
    "seconds",
    "Seconds",
    "How long",
    "Days",
    "umber of",
    "Certificates",
    "`sequence`",
    "Position",
)
UNITS += ("Were available", "Were ordered", "HTTP status", "Of the available")


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_field_says_what_it_means_and_every_number_in_what_unit(name: str) -> None:
    for field, schema in SCHEMAS[name].get("properties", {}).items():
        text = schema.get("description", "")
        assert text, f"{name}.{field}: describe it in giftcert/contracts/field_descriptions.py"
        if is_number(schema) or is_money(schema):
            assert any(unit in text for unit in UNITS), f"{name}.{field}: {text}"


@pytest.mark.parametrize(("method", "path", "operation"), list(operations()))
def test_every_parameter_says_what_it_means(method: str, path: str, operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        assert parameter.get("description"), f"{method} {path} {parameter['name']}"
        assert "null" not in json.dumps(parameter["schema"]), "no query and no header can say null"


def test_integers_have_64_bits_so_that_no_generator_makes_32_of_them() -> None:
    for part in parts(DOCUMENT):
        if part.get("type") == "integer":
            assert part["format"] == "int64"


def test_no_word_is_a_constant_with_a_default() -> None:
    assert not [part for part in parts(DOCUMENT) if "const" in part]


def test_answers_allow_fields_that_come_later_and_requests_do_not() -> None:
    for name in ANSWERED - SENT:
        if "properties" in SCHEMAS[name]:
            assert SCHEMAS[name]["additionalProperties"] is True, name
    for name in SENT:
        assert SCHEMAS[name]["additionalProperties"] is False, name


def test_what_is_answered_at_once_and_what_waits_for_a_second_person_are_one_declared_union() -> None:
    responses = DOCUMENT["paths"]["/refunds/{refundCaseId}/resolution"]["post"]["responses"]
    answers = {
        status: responses[status]["content"]["application/json"]["schema"] for status in ("200", "202")
    }
    assert answers["200"] == answers["202"] == {"$ref": "#/components/schemas/ResolutionAnswer"}
    union = SCHEMAS["ResolutionAnswer"]
    assert union["discriminator"]["propertyName"] == "outcome"
    for word, reference in union["discriminator"]["mapping"].items():
        schema = SCHEMAS[reference.rpartition("/")[2]]
        assert schema["properties"]["outcome"]["enum"] == [word]
        assert "outcome" in schema["required"]


def test_every_reason_and_type_of_problem_lists_its_words_explains_each_and_stays_open() -> None:
    types = SCHEMAS["ProblemView"]["properties"]["type"]
    assert set(types[OPEN_WORDS]) == {problem.type for problem in PROBLEMS.values()}
    reason = SCHEMAS["RefundCaseView"]["properties"]["reason"]
    [words] = [one for one in reason["anyOf"] if OPEN_WORDS in one]
    assert words[OPEN_WORDS] == list(RefundReason)
    for schema in (types, words):
        assert "enum" not in schema
        for word in schema[OPEN_WORDS]:
            assert f"- `{word}`: " in schema["description"]


def test_the_document_names_its_servers_and_what_each_group_of_calls_is_for() -> None:
    assert DOCUMENT["servers"][0]["url"] == "http://127.0.0.1:8080"
    assert {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]} == {
        tag for _, _, operation in operations() for tag in operation["tags"]
    }


def test_the_served_document_names_the_service_itself_first() -> None:
    served = create_app(Settings(_env_file=None)).openapi()

    assert served["servers"] == [
        {"url": "/", "description": "The service that serves this document."},
        *DOCUMENT["servers"],
    ]
