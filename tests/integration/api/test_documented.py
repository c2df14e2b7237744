"""Whatever is sent, the API answers as its own document says: by requests made from it, good and bad."""

import asyncio
import socket

import httpx
import pytest

from api.main import serve
from giftcert.security.tokens import Role
from giftcert.settings import Settings
from tests.fuzz.api import Fuzz, served_api
from tests.integration.api.api_client import Api, Stock

pytestmark = pytest.mark.integration


@pytest.mark.timeout(300)
async def test_the_api_answers_as_its_document_says_and_to_nobody_more(
    settings: Settings, stock: Stock
) -> None:
    await stock.fill(1_000)
    async with httpx.AsyncClient() as client:
        caller = Api(client, settings)
        headers = {role: caller.headers(role) for role in Role}
    await asyncio.to_thread(ask_everything, settings.model_copy(update={"access_log": False}), headers)


def ask_everything(settings: Settings, headers: dict[Role, dict[str, str]]) -> None:
    with served_api(settings) as url:
        fuzz = Fuzz(url, headers)
        fuzz.ask_everything(8)
    assert {status // 100 for _, status in fuzz.answers} == {2, 4}


async def test_a_taken_port_is_said_in_one_line(settings: Settings, stock: Stock) -> None:  # noqa: ARG001
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = settings.model_copy(update={"api_port": listener.getsockname()[1]})
        with pytest.raises(
            Exception, match=r"^GIFTCERT_API_HOST, GIFTCERT_API_PORT: cannot listen on .*: Address"
        ):
            await serve(taken)
