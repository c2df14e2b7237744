"""Two processes behind clients that never stop asking, restarted one after the other: no request is lost."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from giftcert.security.keyring import Keyring
from giftcert.security.tokens import create_signing_keys
from giftcert.settings import Settings
from tests.integration.api.api_client import NOWHERE, Api, Stock
from tests.processes import free_port
from tests.waiting import until

pytestmark = pytest.mark.integration
CLIENTS = 8
SEVERAL = 100
"""Requests of all clients that are answered before the next thing happens."""


@dataclass
class Balancer:
    """A process that can be replaced at each of two ports; a client that one of them refuses goes to the other."""

    environment: dict[str, str]
    ports: list[int]
    processes: dict[int, Process] = field(default_factory=dict)

    async def start(self, port: int) -> None:
        self.processes[port] = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "giftcert.cli",
            "api",
            env=os.environ | self.environment | {"GIFTCERT_API_PORT": str(port)},
            stderr=DEVNULL,
        )
        async with httpx.AsyncClient() as client:
            while True:
                assert self.processes[port].returncode is None
                with suppress(httpx.TransportError):
                    if (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200:
                        return
                await asyncio.sleep(0.05)

    async def stop(self, port: int) -> int:
        self.processes[port].send_signal(signal.SIGTERM)
        return await self.processes[port].wait()


@dataclass
class Answers:
    """What clients got on connections that they keep as long as they may."""

    statuses: list[int] = field(default_factory=list)
    closed: int = 0
    lost: list[str] = field(default_factory=list)

    async def ask_again_and_again(self, request: bytes, ports: list[int]) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", ports[0])
            except ConnectionRefusedError:
                ports.reverse()
                continue
            try:
                while await self.ask(request, reader, writer):
                    pass
                self.closed += 1
            except (OSError, asyncio.IncompleteReadError) as error:
                self.lost.append(repr(error))
            finally:
                writer.transport.abort()
                await asyncio.sleep(0)

    async def ask(self, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Ask once, and return whether the connection may be used again."""
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
        self.statuses.append(int(head.split()[1]))
        await asyncio.sleep(0.002)
        return b"connection: close" not in head

    async def more(self) -> None:
        wanted = len(self.statuses) + SEVERAL
        await until(lambda: len(self.statuses) >= wanted or bool(self.lost))


@asynccontextmanager
async def two_processes(settings: Settings, folder: Path) -> AsyncIterator[Balancer]:
    environment = {
        "GIFTCERT_DATABASE_URL": settings.database_address,
        "GIFTCERT_TEMPORAL_ADDRESS": NOWHERE,
        "GIFTCERT_KAFKA_BOOTSTRAP_SERVERS": NOWHERE,
        "GIFTCERT_KEYRING": str(settings.keyring),
        "GIFTCERT_JWT_JWKS": str(settings.jwt_jwks),
        "GIFTCERT_STATE_DIR": str(folder),
        "GIFTCERT_API_DRAIN": "PT20S",  # a busy machine may let a client wait
    }
    balancer = Balancer(environment, [free_port(), free_port()])
    try:
        await asyncio.gather(*map(balancer.start, balancer.ports))
        yield balancer
    finally:
        for process in balancer.processes.values():
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def test_no_request_on_a_kept_connection_is_lost_when_processes_are_replaced(
    settings: Settings, stock: Stock, tmp_path: Path
) -> None:
    Keyring.create(tmp_path / "keyring.json")
    create_signing_keys(tmp_path / "private.json", tmp_path / "jwks.json", embedded=False)
    own = {"keyring": tmp_path / "keyring.json", "jwt_jwks": str(tmp_path / "jwks.json")}
    settings = settings.model_copy(update=own)
    await stock.fill(0)
    async with httpx.AsyncClient() as client:
        token = Api(client, settings).headers(private_key=tmp_path / "private.json")["Authorization"]
    request = f"GET /products HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode()
    answers = Answers()
    async with two_processes(settings, tmp_path) as balancer:
        sides = [balancer.ports, [*reversed(balancer.ports)]]
        clients = [
            asyncio.create_task(answers.ask_again_and_again(request, [*sides[number % 2]]))
            for number in range(CLIENTS)
        ]
        for port in balancer.ports:
            await answers.more()
            assert await balancer.stop(port) == 0
            await answers.more()
            await balancer.start(port)
        await answers.more()
        for asking in clients:
            asking.cancel()
        await asyncio.wait(clients)
    assert answers.lost == []
    assert set(answers.statuses) == {200}
    assert answers.closed >= CLIENTS  # each was told at least once
