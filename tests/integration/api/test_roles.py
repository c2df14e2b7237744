"""Who may make which call: every call, with every set of roles and without any."""

import json
from itertools import chain, combinations
from typing import Any
from uuid import uuid4

import pytest
from fastapi.routing import iter_route_contexts
from prometheus_client import REGISTRY

from api.main import create_app
from api.openapi import calls
from giftcert.security.tokens import Role
from giftcert.settings import Settings
from tests.integration.api.api_client import Api, Stock, open_api

pytestmark = pytest.mark.integration

ALLOWED = {
    ("GET", "/certificates/next"): {"channel"},
    ("POST", "/reservations"): {"channel"},
    ("POST", "/reservations/{reservationId}/extend"): {"channel"},
    ("DELETE", "/reservations/{reservationId}"): {"channel"},
    ("GET", "/products"): {"channel", "ops"},
    ("GET", "/certificates/{certificateId}"): {"channel", "crm", "support"},
    ("GET", "/certificates"): {"support", "crm"},
    ("GET", "/certificates/{certificateId}/cvc"): {"crm"},
    ("POST", "/certificates/{certificateId}/notifications"): {"crm", "support"},
    ("POST", "/certificates/verify"): {"channel"},
    ("POST", "/redemptions"): {"channel"},
    ("GET", "/redemptions/{redemptionId}"): {"channel"},
    ("DELETE", "/redemptions/{redemptionId}"): {"channel"},
    ("GET", "/refunds"): {"crm", "support"},
    ("POST", "/refunds/{refundCaseId}/resolution"): {"crm", "support"},
    ("POST", "/certificates/{certificateId}/block"): {"support"},
    ("POST", "/certificates/{certificateId}/unblock"): {"support"},
    ("POST", "/certificates/{certificateId}/unlock"): {"support"},
    ("GET", "/pool"): {"ops"},
    ("POST", "/pool/retire"): {"ops"},
    ("GET", "/operations/{operationId}"): {"ops"},
}
"""As the contract has it."""
OPEN = {
    "/livez",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/docs/start.js",
    "/docs/assets",
}
OPEN |= {"/problems/{name}"}
SETS_OF_ROLES = [frozenset(one) for one in chain.from_iterable(combinations(Role, n) for n in range(5))]


def path_of(template: str) -> str:
    return "/".join(str(uuid4()) if part.startswith("{") else part for part in template.split("/"))


def refusals() -> dict[tuple[str, str, str], float]:
    [family] = [one for one in REGISTRY.collect() if one.name == "giftcert_http_refusals"]
    return {
        (one.labels["reason"], one.labels["method"], one.labels["route"]): one.value
        for one in family.samples
        if one.name.endswith("_total")
    }


def test_every_route_is_in_the_table_or_known_to_be_open_to_all() -> None:
    app = create_app(Settings(_env_file=None))
    found = {(method, path): set(roles) for path, method, roles in calls(app)}
    assert found == ALLOWED
    others = {route.path for route in iter_route_contexts(app.routes)} - {path for _, path in ALLOWED}
    assert others == OPEN


@pytest.mark.parametrize(("method", "path"), sorted(ALLOWED))
async def test_a_call_is_answered_to_its_roles_alone(api: Api, method: str, path: str) -> None:
    for roles in SETS_OF_ROLES:
        headers = api.headers(roles=roles)
        reply = await api.client.request(method, path_of(path), headers=headers)
        is_refused = reply.status_code == 403 and reply.json()["type"] == "/problems/role-not-allowed"
        assert is_refused == ALLOWED[method, path].isdisjoint(roles), f"{sorted(roles)}: {reply.text}"
        assert reply.status_code not in {401, 500}


@pytest.mark.parametrize(("method", "path"), sorted(ALLOWED))
async def test_no_call_is_answered_without_a_token_and_each_refusal_is_counted(
    api: Api, method: str, path: str
) -> None:
    before = refusals()
    for headers in ({}, {"Authorization": "Bearer x.y.z"}):
        assert (await api.client.request(method, path_of(path), headers=headers)).status_code == 401
    after = refusals()
    for reason in ("no-token", "decode-error"):
        assert after[reason, method, path] == before.get((reason, method, path), 0) + 1


def test_the_document_says_who_may_make_a_call() -> None:
    document = create_app(Settings(_env_file=None)).openapi()
    for (method, path), roles in ALLOWED.items():
        operation = document["paths"][path][method.lower()]
        assert operation["security"] == [{"bearer": [role]} for role in Role if role in roles]
        marks = " | ".join("yes" if role in roles else "" for role in Role)
        assert f"| `{method} {path}` | {marks} |" in document["info"]["description"]


async def test_a_refusal_is_logged_with_its_caller_and_never_with_the_token(
    api: Api, stock: Stock, capsys: pytest.CaptureFixture[str]
) -> None:
    await stock.fill(1)
    capsys.readouterr()
    headers = api.headers("crm", subject="mailer")
    forged = headers["Authorization"][:-9] + "AAAAAAAAA"
    await api.client.get("/pool", headers=headers)
    await api.client.get("/pool", headers={"Authorization": forged})
    await api.client.get("/certificates/next?channel=im", headers=api.headers(channels=["pos"]))
    said = capsys.readouterr().err
    lines: list[dict[str, Any]] = [json.loads(line) for line in said.splitlines()]
    assert [(line["refusal"], line["caller"], line["client"], line["status"]) for line in lines] == [
        ("role-not-allowed", "mailer", "127.0.0.1", 403),
        ("bad-signature", None, "127.0.0.1", 401),
        ("channel-not-allowed", "shop", "127.0.0.1", 403),
    ]
    assert not any(part in said for part in forged.split(".")[1:])


async def test_refusals_are_logged_also_where_requests_are_not(
    settings: Settings, stock: Stock, capsys: pytest.CaptureFixture[str]
) -> None:
    await stock.fill(0)
    async with open_api(settings.model_copy(update={"access_log": False})) as api:
        capsys.readouterr()
        await api.as_role("ops", "/products")
        await api.as_role("crm", "/products")
    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line)["refusal"] == "role-not-allowed"
