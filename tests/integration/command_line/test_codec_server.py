"""Payloads opened for the Web UI and Temporal's command line: as both ask, and for whom."""

import asyncio
import base64
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from command_runs import RunCommand
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.client import Client

from api.codec_server import BODY_BYTES, create_codec_app
from giftcert.clock import utc_now
from giftcert.security.key_files import KeyFileError, read_json
from giftcert.security.tokens import Caller, create_signing_keys, issue_token
from giftcert.settings import Settings
from giftcert.temporal.client import data_converter_of
from giftcert.temporal.payload_codec import create_payload_keys
from giftcert.temporal.workflow_starts import CERTIFICATE_WORKFLOW, CertificateInput, task_queue, workflow_id
from tests.integration.command_line.conftest import as_variables
from tests.processes import PATIENCE_SECONDS, free_port
from tests.waiting import until

pytestmark = pytest.mark.integration
UI = "https://temporal.example.com"
ID = "0199a5f0-1111-7222-8333-444455556666"
Token = Callable[..., str]


@pytest.fixture
def settings(own_keys: dict[str, str], tmp_path: Path) -> Settings:
    create_payload_keys(tmp_path / "payload-keys.json")
    return Settings(
        _env_file=None,
        temporal_ui_url=UI,
        temporal_namespace="gifts",
        temporal_payload_keys=tmp_path / "payload-keys.json",
        **own_keys,
    )


@pytest.fixture
def token(own_keys: dict[str, str]) -> Token:
    """Sign as the company's issuer does, which also signs people in to the Web UI."""

    def sign(*roles: str, lifetime: timedelta = timedelta(hours=1)) -> str:
        return issue_token(
            Path(own_keys["jwt_jwks"]).with_name("private.json"),
            Caller("olga", frozenset(roles), frozenset()),
            issuer="giftcert-embedded",
            audience="giftcert",
            now=utc_now(),
            lifetime=lifetime,
        )

    return sign


@pytest.fixture
async def codec(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_codec_app(settings))
    async with httpx.AsyncClient(transport=transport, base_url="https://codec.example.com") as client:
        yield client


@dataclass(frozen=True)
class Sealed:
    """Encrypted payloads as the Web UI has them from a history, and its request."""

    payloads: list[dict[str, Any]]

    def asked(self, token: str, **headers: str) -> dict[str, Any]:
        return {
            "json": {"payloads": self.payloads},
            "headers": {
                "Authorization": f"Bearer {token}",
                "X-Namespace": "gifts",
                "Origin": UI,
                **headers,
            },
        }


@pytest.fixture
async def sealed(settings: Settings) -> Sealed:
    encoded = await data_converter_of(settings).encode([CertificateInput(ID), "issued"])
    return Sealed([json_format.MessageToDict(payload) for payload in encoded])


def contents(reply: httpx.Response) -> list[Any]:
    assert reply.status_code == 200, reply.text
    return [json.loads(one.data) for one in json_format.Parse(reply.content, Payloads()).payloads]


@pytest.mark.parametrize("role", ["support", "ops"])
async def test_what_the_web_ui_sends_is_opened_for_people_of_support_and_ops(
    codec: httpx.AsyncClient, sealed: Sealed, token: Token, role: str
) -> None:
    reply = await codec.post("/decode", **sealed.asked(token(role)))
    assert contents(reply) == [{"certificate_id": ID}, "issued"]
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["access-control-allow-origin"] == UI
    assert reply.headers["access-control-allow-credentials"] == "true"


async def test_a_browser_may_ask_from_the_web_ui_and_from_nowhere_else(codec: httpx.AsyncClient) -> None:
    def preflight(origin: str) -> dict[str, str]:
        wanted = "authorization, authorization-extras, content-type, x-namespace"
        return {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": wanted,
        }

    allowed = await codec.options("/decode", headers=preflight(UI))
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == UI
    refused = await codec.options("/decode", headers=preflight("https://evil.example.com"))
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize("path", ["/encode", "/", "/docs", "/openapi.json", "/metrics"])
async def test_there_is_nothing_but_decode(
    codec: httpx.AsyncClient, sealed: Sealed, token: Token, path: str
) -> None:
    assert (await codec.post(path, **sealed.asked(token("support")))).status_code == 404
    assert (await codec.get(path)).status_code == 404


async def test_without_a_good_token_nothing_is_opened(
    codec: httpx.AsyncClient, sealed: Sealed, token: Token
) -> None:
    late = token("support", lifetime=timedelta(hours=-1))
    for authorization in ("", "Bearer ", f"Basic {late}", "Bearer nonsense", f"Bearer {late}"):
        asked = sealed.asked("", Authorization=authorization)
        reply = await codec.post("/decode", **asked)
        assert reply.status_code == 401, authorization
        assert reply.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("role", ["channel", "crm"])
async def test_other_roles_open_nothing(
    codec: httpx.AsyncClient, sealed: Sealed, token: Token, role: str
) -> None:
    assert (await codec.post("/decode", **sealed.asked(token(role)))).status_code == 403


async def test_payloads_of_another_namespace_are_not_opened(
    codec: httpx.AsyncClient, sealed: Sealed, token: Token
) -> None:
    asked = sealed.asked(token("support"), **{"X-Namespace": "others"})
    assert (await codec.post("/decode", **asked)).status_code == 403


async def test_payloads_that_do_not_open_hide_no_others(
    codec: httpx.AsyncClient, sealed: Sealed, token: Token
) -> None:
    strange = json_format.MessageToDict(Payload(metadata={"encoding": b"binary/encrypted"}, data=b"x"))
    clear = json_format.MessageToDict(Payload(metadata={"encoding": b"json/plain"}, data=b'"clear"'))
    mixed = Sealed([strange, clear, *sealed.payloads])
    reply = await codec.post("/decode", **mixed.asked(token("support")))
    found = json_format.Parse(reply.content, Payloads()).payloads
    assert [one.data for one in found[:2]] == [b"x", b'"clear"']
    assert json.loads(found[2].data) == {"certificate_id": ID}


@pytest.mark.parametrize("body", [b"", b"{", b'{"payloads": 1}', b"\xff", b"[" * 100_000])
async def test_what_is_no_payload_is_refused(codec: httpx.AsyncClient, token: Token, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {token('support')}"}
    assert (await codec.post("/decode", content=body, headers=headers)).status_code == 400


async def test_a_body_without_end_is_refused_and_none_is_read_before_the_token(
    codec: httpx.AsyncClient, token: Token
) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1 << 20
            yield bytes(1 << 20)

    assert (await codec.post("/decode", content=body())).status_code == 401
    assert read <= 1 << 20
    headers = {"Authorization": f"Bearer {token('support')}"}
    refused = await codec.post("/decode", content=body(), headers=headers)
    assert (refused.status_code, refused.json()["detail"]) == (413, "A body holds at most 8,192 KB.")
    assert read <= BODY_BYTES + (3 << 20)


@pytest.fixture
def endpoint(
    settings: Settings, own_keys: dict[str, str], clean_environment: dict[str, str], tmp_path: Path
) -> Iterator[str]:
    """A codec server in a process of its own, for the namespace that is there."""
    keys, port = str(settings.temporal_payload_keys), str(free_port())
    given = {**own_keys, "temporal_payload_keys": keys, "codec_port": port}
    server = subprocess.Popen(
        [sys.executable, "-m", "giftcert.cli", "codec", "serve"],
        env={**clean_environment, **as_variables(given)},
        cwd=tmp_path,
    )
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    assert server.wait(PATIENCE_SECONDS) == 0


async def test_temporals_own_command_line_shows_an_encrypted_history_through_it(
    settings: Settings, token: Token, temporal_address: str, endpoint: str
) -> None:
    client = await Client.connect(temporal_address, data_converter=data_converter_of(settings))
    certificate_id, id_of_run = str(uuid4()), workflow_id(str(uuid4()))
    started = await client.start_workflow(
        CERTIFICATE_WORKFLOW,
        CertificateInput(certificate_id),
        id=id_of_run,
        task_queue=task_queue("nobody"),
    )

    def shown(*options: str) -> str:
        program = (Path(sys.executable).with_name("temporal"), "workflow", "show", "--output", "json")
        where = ("--address", temporal_address, "--workflow-id", id_of_run)
        done = subprocess.run(
            [*program, *where, *options],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        data = re.findall(r'"data": "(.+)"', done.stdout)
        return "".join(base64.b64decode(one).decode("utf-8", "replace") for one in data)

    async def is_opened() -> bool:
        through = ("--codec-endpoint", endpoint, "--codec-auth", f"Bearer {token('support')}")
        return certificate_id in await asyncio.to_thread(shown, *through)

    await until(is_opened)
    assert certificate_id not in await asyncio.to_thread(shown)
    await started.terminate()


async def test_a_head_that_does_not_end_is_refused_as_by_the_api(endpoint: str) -> None:
    port = int(endpoint.rpartition(":")[2])

    async def answers() -> bool:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST /decode HTTP/1.1\r\nX: " + b"x" * 100_000)
            heads.append(await reader.readline())
            writer.close()
        return bool(heads)

    heads: list[bytes] = []
    await until(answers)
    assert heads == [b"HTTP/1.1 431 Request Header Fields Too Large\r\n"]


async def test_keys_of_the_issuer_may_be_at_an_address(
    settings: Settings, own_keys: dict[str, str], sealed: Sealed, token: Token
) -> None:
    body = json.dumps(read_json(Path(own_keys["jwt_jwks"]))).encode()

    async def publish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        writer.close()

    async with await asyncio.start_server(publish, "127.0.0.1", 0) as issuer:
        address = f"http://127.0.0.1:{issuer.sockets[0].getsockname()[1]}/jwks"
        transport = httpx.ASGITransport(create_codec_app(settings.model_copy(update={"jwt_jwks": address})))
        async with httpx.AsyncClient(transport=transport, base_url="https://codec.example.com") as codec:
            reply = await codec.post("/decode", **sealed.asked(token("support")))
    assert contents(reply) == [{"certificate_id": ID}, "issued"]


def test_without_keys_there_is_nothing_to_serve(giftcert: RunCommand, own_keys: dict[str, str]) -> None:
    done = giftcert("codec", "serve", **own_keys)
    assert done.returncode == 1
    assert "GIFTCERT_TEMPORAL_PAYLOAD_KEYS is not set" in done.stderr
    assert done.stderr.count("\n") == 1


def test_tokens_of_an_embedded_stack_open_nothing_for_other_machines(
    settings: Settings, tmp_path: Path
) -> None:
    create_signing_keys(tmp_path / "k.json", tmp_path / "embedded.json", embedded=True)
    embedded = settings.model_copy(update={"jwt_jwks": str(tmp_path / "embedded.json")})
    assert create_codec_app(embedded)
    with pytest.raises(KeyFileError, match=r"GIFTCERT_CODEC_HOST=192.0.2.1 .* set GIFTCERT_JWT_JWKS"):
        create_codec_app(embedded.model_copy(update={"codec_host": "192.0.2.1"}))


def test_keys_are_made_and_rotated_by_commands(giftcert: RunCommand, tmp_path: Path) -> None:
    first = json.loads(giftcert("codec", "keys", "a.json", "--json").stdout)["keyId"]
    second = json.loads(giftcert("codec", "keys", "b.json", "--after", "a.json", "--json").stdout)["keyId"]
    assert {one["keyId"] for one in json.loads((tmp_path / "b.json").read_text())["key"]} == {first, second}
    assert "exists already" in giftcert("codec", "keys", "a.json").stderr
