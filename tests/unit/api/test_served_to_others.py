"""What the API shows to browsers, proxies and everybody who reaches its port."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI, Request
from pydantic import ValidationError

from api.main import create_app, trusted_by
from giftcert.settings import Settings
from tests.unit.api.served import served

BEYOND = {"api_host": "0.0.0.0"}  # noqa: S104 - nobody listens there in these tests
SITE = "https://crm.example.com"


@asynccontextmanager
async def client_of(**settings: object) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings.model_validate({"_env_file": None, **settings}))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        yield client


@pytest.mark.parametrize("path", ["/healthz", "/nothing", "/products", "/docs", "/problems/not-found"])
async def test_every_answer_tells_browsers_to_keep_away_from_it(path: str) -> None:
    async with client_of() as client:
        reply = await client.get(path)
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["x-frame-options"] == "DENY"
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert "max-age=" in reply.headers["strict-transport-security"]
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({}, 200),
        ({"api_host": "::1"}, 200),
        (BEYOND, 404),
        ({"api_host": "gift.example.com"}, 404),
        ({**BEYOND, "serve_docs": True, "serve_metrics": True}, 200),
        ({"serve_docs": False, "serve_metrics": False}, 404),
    ],
)
async def test_documentation_and_metrics_are_closed_where_others_reach_the_port_unless_they_are_opened(
    settings: dict[str, object], status: int
) -> None:
    async with client_of(**settings) as client:
        for path in ("/docs", "/openapi.json", "/metrics", "/docs/assets/swagger-ui.css"):
            assert (await client.get(path)).status_code == status, path


async def test_the_documentation_loads_nothing_from_elsewhere() -> None:
    async with client_of() as client:
        page = (await client.get("/docs")).text
        links = re.findall(r'(?:src|href)="([^"]+)"', page)
        assert len(links) == 4
        for link in links:
            reply = await client.get(f"/{link}")
            assert reply.status_code == 200, link
            assert reply.content
        start = (await client.get("/docs/start.js")).text
    assert "<script>" not in page  # the policy allows no script that stands in the page
    assert 'url: "openapi.json"' in start
    assert not re.search("https?://", page + start)


async def test_no_page_of_another_site_reads_answers_unless_it_is_named() -> None:
    asked = {"Origin": SITE, "Access-Control-Request-Method": "GET"}
    async with client_of() as client:
        assert "access-control-allow-origin" not in (await client.options("/products", headers=asked)).headers
    async with client_of(cors_origins=[SITE]) as client:
        allowed = await client.options("/products", headers=asked)
        other = await client.options("/products", headers=asked | {"Origin": "https://evil.example"})
        refused = await client.get("/products", headers={"Origin": SITE})
    assert allowed.headers["access-control-allow-origin"] == SITE
    assert "access-control-allow-credentials" not in allowed.headers
    assert "access-control-allow-origin" not in other.headers
    assert refused.headers["access-control-allow-origin"] == SITE


@pytest.mark.parametrize("origin", ["*", "crm.example.com", "https://crm.example.com/", "null"])
def test_what_is_no_origin_is_refused_by_the_name_of_its_setting(origin: str) -> None:
    with pytest.raises(ValidationError, match="cors_origins"):
        Settings.model_validate({"cors_origins": [origin]})


def echo() -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def client(request: Request) -> dict[str, str]:
        return {"client": request.client.host if request.client else "", "scheme": request.url.scheme}

    return app


@pytest.mark.parametrize(
    ("trusted", "seen"),
    [
        ([], {"client": "127.0.0.1", "scheme": "http"}),
        (["192.0.2.0/24"], {"client": "127.0.0.1", "scheme": "http"}),
        (["127.0.0.0/8", "192.0.2.7"], {"client": "198.51.100.9", "scheme": "https"}),
    ],
)
async def test_a_proxy_is_believed_only_where_the_settings_name_it(
    trusted: list[str], seen: dict[str, str]
) -> None:
    settings = Settings.model_validate({"trusted_proxies": trusted})
    forwarded = {"X-Forwarded-For": "203.0.113.5, 198.51.100.9, 192.0.2.7", "X-Forwarded-Proto": "https"}
    async with served(echo(), **trusted_by(settings)) as api, httpx.AsyncClient() as client:
        assert (await client.get(f"http://127.0.0.1:{api.port}/", headers=forwarded)).json() == seen


def test_a_network_that_is_none_is_refused_by_the_name_of_its_setting() -> None:
    for network in ("*", "proxy.example.com", "10.0.0.0/99"):
        with pytest.raises(ValidationError, match="trusted_proxies"):
            Settings.model_validate({"trusted_proxies": [network]})
