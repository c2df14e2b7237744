"""An application behind the real server on a port of its own, and what goes over the wire to it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from api.middleware import RequestMiddleware
from api.server import Server, server_of


async def answer_all(_: Scope, __: Receive, send: Send) -> None:
    """Answer without a look at the body."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def answer_body(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer once the body is there."""
    while (await receive()).get("more_body"):
        pass
    await answer_all(scope, receive, send)


@dataclass
class Served:
    """A server that runs."""

    server: Server
    port: int

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["Wire"]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Wire(reader, writer)
        finally:
            writer.transport.abort()

    async def answer(self, sent: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send bytes on a connection of their own, and return the first answer."""
        async with self.connection() as wire:
            wire.writer.write(sent)
            return await wire.answer()


@dataclass
class Wire:
    """One connection, as its client holds it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the next answer."""
        first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        return int(first.split()[1]), headers, await self.reader.readexactly(int(headers["content-length"]))

    async def is_closed(self) -> bool:
        """Wait until the server closes; anything that it says first is no close."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionResetError:
            return True


@asynccontextmanager
async def served(
    app: ASGIApp = answer_all, *, connections: int = 100, requests: int = 100, drain: float = 0, **others: Any
) -> AsyncIterator[Served]:
    """Serve an application as the API is served."""
    server = server_of(
        RequestMiddleware(app, log=False, most=requests),
        connections=connections,
        drain=timedelta(seconds=drain),
        timeout_graceful_shutdown=1,
        **others,
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield Served(server, listener.getsockname()[1])
        finally:
            server.should_exit = True
            await serving
