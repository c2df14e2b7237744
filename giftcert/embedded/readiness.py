"""Conditions to wait for while a part gets ready."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

_EVERY_SECONDS = 0.05


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again until the condition holds."""
    while not await condition():  # noqa: ASYNC110 - what is waited for is another process
        await asyncio.sleep(_EVERY_SECONDS)


async def accepts_connections(host: str, port: int) -> bool:
    """Return whether something accepts TCP connections there."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


async def answers_ok(host: str, port: int, path: str) -> bool:
    """Return whether an HTTP GET of the path is answered with 200 within two seconds."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            status_line = await reader.readline()
            writer.close()
            await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
    return status_line.split(b" ")[1:2] == [b"200"]
