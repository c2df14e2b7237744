"""What a process says about itself: metrics, and a health check."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from giftcert.settings import Settings

_REQUEST_LIMIT_SECONDS = 5
Source: TypeAlias = Callable[[], Awaitable[bytes]]
_sources: list[Source] = []


def add_source(source: Source) -> None:
    """Have figures that a library serves, in the text format, join those of this process."""
    _sources.append(source)


async def exposition() -> bytes:
    """Return all figures of this process in the text format of Prometheus."""
    return b"".join([generate_latest(REGISTRY), *await asyncio.gather(*(source() for source in _sources))])


@dataclass(slots=True)
class Health:
    """Whether this process does its work; ``waiting_for`` says what it waits for when it does not."""

    waiting_for: str | None = "start"

    def ready(self) -> None:
        """Say that the work goes on."""
        self.waiting_for = None

    def waits_for(self, part: str) -> None:
        """Say that the work stands still until something comes back."""
        self.waiting_for = part


@asynccontextmanager
async def metrics_server(settings: Settings) -> AsyncIterator[Health]:
    """Serve ``/healthz`` and ``/metrics`` while the body runs, if ``GIFTCERT_METRICS_PORT`` is set.

    ``/healthz`` answers 200 as soon as the yielded `Health` is ready, else 503 with what it waits for.
    """
    health = Health()
    if settings.metrics_port is None:
        yield health
        return

    answer = partial(_answer, health)
    server = await asyncio.start_server(answer, settings.metrics_host, settings.metrics_port)
    try:
        yield health
    finally:
        server.close()


async def _answer(health: Health, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        async with asyncio.timeout(_REQUEST_LIMIT_SECONDS):
            request = (await reader.readline()).split(b" ")
            while (await reader.readline()).strip():
                pass
            writer.write(await _response(request[1] if len(request) > 1 else b"", health))
            await writer.drain()
    except (OSError, TimeoutError, ValueError):  # a scraper that left or speaks something else
        writer.transport.abort()
    finally:
        writer.close()


async def _response(path: bytes, health: Health) -> bytes:
    match path.partition(b"?")[0]:
        case b"/metrics":
            return _http("200 OK", CONTENT_TYPE_LATEST, await exposition())
        case b"/healthz" if health.waiting_for is None:
            return _http("200 OK", "application/json", b'{"status": "ok"}')
        case b"/healthz":
            body = f'{{"status": "waiting", "for": "{health.waiting_for}"}}'.encode()
            return _http("503 Service Unavailable", "application/json", body)
        case _:
            return _http("404 Not Found", "text/plain", b"/healthz and /metrics are here")


def _http(status: str, content_type: str, body: bytes) -> bytes:
    content = f"Content-Type: {content_type}\r\nContent-Length: {len(body)}"
    return f"HTTP/1.1 {status}\r\n{content}\r\nConnection: close\r\n\r\n".encode() + body
