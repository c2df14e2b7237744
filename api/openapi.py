"""The OpenAPI document: how it shows problems, and ``python -m api.openapi > specs/openapi.json``."""

import json
import sys
from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import attrgetter
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from api.authentication import AuthenticatedRoute
from api.openapi_schemas import prepare
from api.problems import MEDIA_TYPE, Problem
from api.schemas import ProblemView
from giftcert.contracts.field_descriptions import OPEN_WORDS
from giftcert.security.tokens import Role
from giftcert.settings import Settings

_ALWAYS = (
    Problem.UNAUTHENTICATED,
    Problem.ROLE_NOT_ALLOWED,
    Problem.INVALID_REQUEST,
    Problem.HEADERS_TOO_LARGE,
    Problem.PART_UNAVAILABLE,
    Problem.STANDSTILL,
    Problem.OVERLOADED,
)
_WITH_BODY = (Problem.REQUEST_TIMEOUT, Problem.BODY_TOO_LARGE)
_WITH_KEY = (
    Problem.IDEMPOTENCY_KEY_REQUIRED,
    Problem.IDEMPOTENCY_MISMATCH,
    Problem.REQUEST_IN_PROGRESS,
)
_MEMBERS: dict[str, dict[str, Any]] = {
    "invalid-request": {"errors": [{"field": "product", "detail": "no such product"}]},
    "not-issued": {"certificateStatus": "ordered", "refundState": "none"},
    "not-active": {"certificateStatus": "refunded", "refundState": "completed"},
    "insufficient-balance": {"balance": {"amount": 120_000, "currency": "RUB"}},
    "refund-in-progress": {"certificateStatus": "issued", "refundState": "requested"},
    "status-not-allowed": {"certificateStatus": "refunded"},
    "part-unavailable": {"part": "database"},
}
_ROLES = f"""

Who may make which call; a token with several roles may make the calls of each. Others are answered 403.

| call | {" | ".join(Role)} |
|---|{"---|" * len(Role)}"""
_STATUS = attrgetter("status")
_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds to wait before the call is repeated",
        "schema": {"type": "integer"},
    }
}
_HERE = {"url": "/", "description": "The service that serves this document."}
_SERVERS = [
    {
        "url": "http://127.0.0.1:8080",
        "description": "The embedded stack of `giftcert up`; `giftcert up --json` says its address where the port was "
        "taken, and `giftcert token --role R` makes tokens for it.",
    },
    {
        "url": "https://{host}",
        "description": "A deployment.",
        "variables": {
            "host": {"default": "gift-certificates.internal", "description": "As operations name it"}
        },
    },
]
TAGS = [
    {"name": "reservations", "description": "A channel gets certificates to sell."},
    {"name": "spending", "description": "A certificate pays for a purchase."},
    {"name": "certificates", "description": "What is known of a certificate, and what support does to it."},
    {"name": "products", "description": "What is on sale."},
    {"name": "pool", "description": "Certificates in stock, and their withdrawal."},
    {"name": "refunds", "description": "Refunds that a person has to decide."},
    {"name": "operation", "description": "Whether the service is well."},
]
_HIT_HEADER: dict[str, Any] = {
    "headers": {
        "Idempotency-Hit": {
            "description": "`true` on an answer that was given before under the same Idempotency-Key",
            "schema": {"type": "string", "enum": ["true"]},
        }
    }
}


def may_answer(*more: Problem, has_body: bool = False) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a call: the problems that every call may answer, and more of its own."""
    kinds = (*_ALWAYS, *more, *(_WITH_BODY if has_body else ()))
    by_status = groupby(sorted(kinds, key=_STATUS), key=_STATUS)
    return {status: _response(tuple(of_status)) for status, of_status in by_status}


def keyed(answers: Mapping[int, Any], *more: Problem, has_body: bool = False) -> dict[str, Any]:
    """Return the options of a route whose call takes an Idempotency-Key: status, model and responses.

    ``answers`` are the models of what is remembered under it, by status; the first is the usual one.
    """
    (status, model), *others = answers.items()
    responses = may_answer(*more, *_WITH_KEY, has_body=has_body) | {status: _HIT_HEADER}
    for other, other_model in others:
        responses[other] = {"model": other_model, **_HIT_HEADER}
    return {"status_code": status, "response_model": model, "responses": responses}


def _response(kinds: tuple[Problem, ...]) -> dict[str, Any]:
    examples = {
        kind.slug: {"summary": kind.title, "value": kind.document | _MEMBERS.get(kind.slug, {})}
        for kind in kinds
    }
    schema = {"$ref": "#/components/schemas/ProblemView"}
    response: dict[str, Any] = {
        "description": " or ".join(f"`{kind.slug}`" for kind in kinds),
        "content": {MEDIA_TYPE: {"schema": schema, "examples": examples}},
    }
    if kinds[0].status in {429, 503}:
        response["headers"] = _RETRY_AFTER
    return response


def document(app: FastAPI) -> None:
    """Have the application's document define the problems that it refers to, and say which role may make which call."""
    plain = app.openapi

    def complete() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        described = plain()
        problem = ProblemView.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas = described["components"]["schemas"]
        schemas.update(problem.pop("$defs"))
        schemas["ProblemView"] = problem
        problem["properties"]["type"] |= _types()
        described["servers"] = [_HERE, *_SERVERS]
        for methods in described["paths"].values():
            for operation in methods.values():
                operation["security"] = []  # open to all, as far as no roles are found
        lines = []
        for path, method, roles in calls(app):
            operation = described["paths"][path][method.lower()]
            operation["security"] = [{"bearer": [role]} for role in roles]
            operation["description"] += f"\n\nRoles: {', '.join(f'`{role}`' for role in roles)}."
            marks = " | ".join("yes" if role in roles else "" for role in Role)
            lines.append(f"| `{method} {path}` | {marks} |")
        described["info"]["description"] += "\n".join((_ROLES, *lines, ""))
        prepare(described)
        return described

    app.openapi = complete  # type: ignore[method-assign] # as FastAPI's documentation has it


def _types() -> dict[str, Any]:
    """Say of each problem what its reader is to do."""
    lines = [f"- `{kind.type}`: {kind.explanation}" for kind in Problem]
    description = (
        "Stable path that names the problem; `GET` it for an explanation. Later versions may add some.\n"
    )
    return {"description": "\n".join((description, *lines)), OPEN_WORDS: [kind.type for kind in Problem]}


def calls(app: FastAPI) -> Iterator[tuple[str, str, list[Role]]]:
    """Return path, method and roles of each call that takes a token."""
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, AuthenticatedRoute):
            for method in sorted(route.methods or ()):
                yield route.path, method, [role for role in Role if role in route.bearer.roles]


def render() -> str:
    """Return the document as it is checked in: of an API that serves everything."""
    from api.main import create_app  # noqa: PLC0415 - the resources that it puts together import this module

    document = create_app(Settings(_env_file=None, serve_metrics=True, serve_docs=True)).openapi()
    document["servers"] = _SERVERS
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
