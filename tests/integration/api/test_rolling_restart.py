"""Two processes behind a balancer that goes by readiness, restarted one after the other: no request is lost."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import httpx
import pytest

from giftcert.security.keyring import Keyring
from giftcert.security.tokens import create_signing_keys
from giftcert.settings import Settings
from tests.integration.api.api_client import NOWHERE, Api, Stock
from tests.processes import free_port
from tests.waiting import until

pytestmark = pytest.mark.integration
BUSY, SILENT = 8, 24
SEVERAL = 400
"""Requests of all clients that are answered before the next thing happens."""
LOOK_SECONDS = 0.02


@dataclass
class Balancer:
    """A process that can be replaced at each of two ports; new connections go to those that say they are ready."""

    environment: dict[str, str]
    ports: list[int]
    processes: dict[int, Process] = field(default_factory=dict)
    ready: set[int] = field(default_factory=set)
    readiness: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """What a process that ends answered when it was asked whether it is ready."""

    async def look(self) -> None:
        async with httpx.AsyncClient() as client:
            while True:
                for port in self.ports:
                    await self.look_at(client, port)
                await asyncio.sleep(LOOK_SECONDS)

    async def look_at(self, client: httpx.AsyncClient, port: int) -> None:
        try:
            answer = await client.get(f"http://127.0.0.1:{port}/readyz", headers={"Connection": "close"})
        except httpx.TransportError:
            self.ready.discard(port)
            return
        if answer.status_code == 200:
            self.ready.add(port)
        else:
            self.ready.discard(port)
            self.readiness.append((answer.status_code, answer.json()["parts"]))

    async def start(self, port: int) -> None:
        self.processes[port] = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "giftcert.cli",
            "api",
            env=os.environ | self.environment | {"GIFTCERT_API_PORT": str(port)},
            stderr=DEVNULL,
        )
        await until(lambda: port in self.ready or self.processes[port].returncode is not None)
        assert self.processes[port].returncode is None

    async def until_given_up(self, port: int) -> None:
        await until(lambda: port not in self.ready)

    async def stop(self, port: int) -> int:
        self.processes[port].send_signal(signal.SIGTERM)
        return await self.processes[port].wait()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


@dataclass
class Answers:
    """What clients got on connections that they keep as long as they may."""

    statuses: list[int] = field(default_factory=list)
    closed: int = 0
    lost: list[str] = field(default_factory=list)

    async def ask_again_and_again(self, request: bytes, balancer: Balancer, longest_pause: float) -> None:
        pauses = Random(longest_pause)
        while True:
            await until(lambda: bool(balancer.ready))
            try:
                async with connected(pauses.choice(sorted(balancer.ready))) as connection:
                    while await self.ask(request, *connection):  # noqa: ASYNC110 - a client thinks
                        await asyncio.sleep(pauses.uniform(0, longest_pause))
                self.closed += 1
            except (OSError, asyncio.IncompleteReadError) as error:
                self.lost.append(repr(error))
                await asyncio.sleep(LOOK_SECONDS)

    async def ask(self, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Ask once, and return whether the connection may be used again."""
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
        self.statuses.append(int(head.split()[1]))
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
        "GIFTCERT_API_GRACE": "PT2S",
        "GIFTCERT_API_DRAIN": "PT20S",  # a busy machine may let a client wait
    }
    balancer = Balancer(environment, [free_port(), free_port()])
    looking = asyncio.create_task(balancer.look())
    try:
        await asyncio.gather(*map(balancer.start, balancer.ports))
        yield balancer
    finally:
        looking.cancel()
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
        clients = [
            asyncio.create_task(answers.ask_again_and_again(request, balancer, longest))
            for count, longest in ((BUSY, 0.004), (SILENT, 1.5))
            for _ in range(count)
        ]
        for port in balancer.ports:
            await answers.more()
            stopping = asyncio.create_task(balancer.stop(port))
            await balancer.until_given_up(port)
            async with connected(port) as late:  # of a balancer that has not heard of it yet
                assert await answers.ask(request, *late)
                assert await answers.ask(request, *late)
            assert await stopping == 0
            await answers.more()
            await balancer.start(port)
        await answers.more()
        for asking in clients:
            asking.cancel()
        await asyncio.wait(clients)
    assert answers.lost == []
    assert set(answers.statuses) == {200}
    assert len(answers.statuses) >= 5 * SEVERAL
    assert answers.closed >= (BUSY + SILENT) // 2  # who was connected to either heard that it closes
    assert balancer.readiness.count((503, {"process": "ending"})) >= 2
