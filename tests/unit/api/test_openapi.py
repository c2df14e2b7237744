import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.openapi import render
from api.problems import PROBLEMS
from giftcert.security.tokens import Role

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
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
}
OPEN = {"/healthz", "/readyz", "/metrics"}
DOCUMENT: dict[str, Any] = json.loads(render())


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
    if path in OPEN:
        return
    assert operation["security"]
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
