import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api import middleware
from api.problems import PROBLEMS
from giftcert.settings import Settings
from tests.integration.api.api_client import Api, Stock, open_api

pytestmark = pytest.mark.integration
SECRET = "4000000000000002"


def assert_problem(reply: Any, status: int, name: str) -> None:
    body = reply.json()
    assert reply.status_code == body["status"] == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["cache-control"] == "no-store"
    assert body["type"] == f"/problems/{name}"
    assert body["title"] == PROBLEMS[name].title
    assert body["detail"]


@pytest.mark.parametrize("header", [None, "Basic abc", "Bearer", "Bearer not.a.token"])
async def test_a_caller_without_a_valid_token_is_unauthenticated(api: Api, header: str | None) -> None:
    headers = {"Authorization": header} if header else {}
    reply = await api.client.get("/products", headers=headers)
    assert_problem(reply, 401, "unauthenticated")
    assert reply.headers["www-authenticate"] == "Bearer"


async def test_a_token_without_the_role_is_refused(api: Api) -> None:
    assert_problem(await api.as_role("crm", "/pool"), 403, "role-not-allowed")


async def test_a_person_whose_name_may_not_stand_on_the_stream_is_refused(api: Api) -> None:
    path, headers = "/refunds", api.headers("support", subject="anna@example.com")
    reply = await api.client.get(path, headers=headers)
    assert_problem(reply, 422, "invalid-request")
    assert [error["field"] for error in reply.json()["errors"]] == ["sub"]
    assert "anna" not in reply.text


async def test_an_unknown_path_and_method_are_problems_too(api: Api) -> None:
    assert_problem(await api.client.get("/nothing"), 404, "not-found")
    assert_problem(await api.client.put("/products"), 405, "method-not-allowed")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (f"/certificates/{SECRET}", "certificateId"),
        (f"/certificates?lastFour={SECRET}", "lastFour"),
        (f"/certificates?orderId=1&limit={SECRET}", "limit"),
        (f"/refunds?state={SECRET}", "state"),
    ],
)
async def test_a_wrong_value_is_named_by_its_field_and_never_repeated(
    api: Api, path: str, field: str
) -> None:
    reply = await api.as_role("support", path)
    assert_problem(reply, 422, "invalid-request")
    assert [error["field"] for error in reply.json()["errors"]] == [field]
    assert SECRET not in reply.text


async def test_not_even_a_letter_of_a_malformed_id_is_repeated(api: Api) -> None:
    reply = await api.as_role("support", "/certificates/quiet")
    assert [error["detail"] for error in reply.json()["errors"]] == ["Input should be a valid UUID"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("{", "body"),
        ("[]", "body"),
        ("", "body"),
        ('{"channel": "im"}', "quantity"),
        (f'{{"channel": "im", "quantity": 1, "number": "{SECRET}"}}', "number"),
        (f'{{"channel": "{SECRET}", "quantity": 1}}', "channel"),
    ],
)
async def test_a_body_that_does_not_fit_is_named_by_its_field(api: Api, body: str, field: str) -> None:
    headers = api.headers() | {"Content-Type": "application/json"}
    reply = await api.client.post("/reservations", content=body, headers=headers)
    assert_problem(reply, 422, "invalid-request")
    assert [error["field"] for error in reply.json()["errors"]] == [field]
    assert SECRET not in reply.text


async def test_a_failure_of_ours_shows_no_trace(api: Api, stock: Stock) -> None:
    await stock.run_as_owner("ALTER TABLE reservations RENAME COLUMN reserved_by TO taken_by")
    await stock.fill(1)
    reply = await api.next()
    assert_problem(reply, 500, "internal-error")
    assert "reserved_by" not in reply.text


@pytest.mark.parametrize("name", sorted(PROBLEMS))
async def test_every_type_of_problem_explains_itself(api: Api, name: str) -> None:
    reply = await api.client.get(PROBLEMS[name].type)
    assert reply.status_code == 200
    assert reply.json()["title"] == PROBLEMS[name].title


async def test_metrics_tell_of_requests_by_route(api: Api) -> None:
    await api.client.get("/healthz")
    metrics = (await api.client.get("/metrics")).text
    assert 'giftcert_http_request_seconds_count{method="GET",route="/healthz",status="200"}' in metrics


async def test_more_than_the_database_serves_at_once_is_asked_to_come_again(
    settings: Settings, stock: Stock
) -> None:
    await stock.fill(1)
    async with open_api(settings.model_copy(update={"database_pool_size": 2})) as api:
        paths = [f"/certificates?orderId={number}" for number in range(60)]
        replies = await asyncio.gather(*(api.as_role("support", path) for path in paths))
        shed = [reply for reply in replies if reply.status_code != 200]
        assert 20 <= len(shed) < 60
        for reply in shed:
            assert_problem(reply, 503, "overloaded")
            assert int(reply.headers["retry-after"]) > 0
        assert (await api.client.get("/readyz")).status_code == 200


# Limits of a request --------------------------------------------------------------------------------


async def test_the_token_is_checked_before_the_body_is_read(api: Api) -> None:
    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    crm = api.headers("crm")
    for headers, status in (({}, 401), (crm, 403)):
        reply = await api.client.post("/reservations", content=body(), headers=headers)
        assert reply.status_code == status


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_that_is_too_large_is_refused(api: Api, chunked: bool) -> None:
    large = b'{"channel": "' + b"x" * 65_536 + b'"}'

    async def parts() -> AsyncIterator[bytes]:
        for at in range(0, len(large), 10_000):
            yield large[at : at + 10_000]

    headers = api.headers() | {"Content-Type": "application/json"}
    content = parts() if chunked else large
    reply = await api.client.post("/reservations", content=content, headers=headers)
    assert_problem(reply, 413, "body-too-large")


async def test_headers_that_are_too_large_are_refused(api: Api) -> None:
    headers = {"X-Padding": "x" * 17_000}
    assert_problem(await api.client.get("/healthz", headers=headers), 431, "headers-too-large")


async def test_a_body_that_does_not_come_is_not_waited_for(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "BODY_SECONDS", 0.01)

    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    headers = api.headers() | {"Content-Type": "application/json"}
    reply = await api.client.post("/reservations", content=body(), headers=headers)
    assert_problem(reply, 408, "request-timeout")
