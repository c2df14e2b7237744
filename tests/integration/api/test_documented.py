"""Whatever is sent, the API answers as its own document says: by requests made from it, good and bad."""

import asyncio
import socket
from contextlib import suppress
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis.strategies import booleans
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.main import serve
from giftcert.settings import Settings
from tests.integration.api.api_client import Api, Stock

pytestmark = pytest.mark.integration
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
ROLES = ["channel", "crm", "support", "ops"]


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def until_alive(url: str) -> None:
    async with httpx.AsyncClient() as client:
        while True:
            with suppress(httpx.TransportError):
                if (await client.get(f"{url}/healthz")).status_code == 200:
                    return
            await asyncio.sleep(0.01)


@pytest.mark.timeout(300)
async def test_the_api_answers_as_its_document_says(settings: Settings, stock: Stock, free_port: int) -> None:
    await stock.fill(1_000)
    url = f"http://127.0.0.1:{free_port}"
    serving = asyncio.create_task(serve(settings.model_copy(update={"api_port": free_port})))
    try:
        await until_alive(url)
        async with httpx.AsyncClient() as client:
            caller = Api(client, settings)
            headers = {role: caller.headers(role) for role in ROLES}
            await asyncio.to_thread(ask_everything, url, headers)
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving


def ask_everything(url: str, headers: dict[str, dict[str, str]]) -> None:
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    for result in schema.get_all_operations():
        operation = result.ok()
        for role in ROLES:
            ask(operation, headers[role])


def ask(operation: Any, headers: dict[str, str]) -> None:
    @given(case=operation.as_strategy(), in_the_shop=booleans())
    @examples(max_examples=10, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def answered(case: Any, in_the_shop: bool) -> None:
        if in_the_shop:  # a channel and a product that are there, else hardly any request would get through
            for part in (case.query, case.body):
                if isinstance(part, dict) and "channel" in part:
                    part |= {"channel": "im", "product": "GC-5000"}
        case.call_and_validate(headers=headers, checks=CHECKS)

    answered()


async def test_a_taken_port_is_said_in_one_line(settings: Settings, stock: Stock) -> None:  # noqa: ARG001
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = settings.model_copy(update={"api_port": listener.getsockname()[1]})
        with pytest.raises(
            Exception, match=r"^GIFTCERT_API_HOST, GIFTCERT_API_PORT: cannot listen on .*: Address"
        ):
            await serve(taken)
