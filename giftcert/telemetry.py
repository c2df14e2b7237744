"""What a process says about itself: metrics, and its health."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeAlias

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from giftcert.health import Health, Verdict
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


@asynccontextmanager
async def metrics_server(settings: Settings) -> AsyncIterator[Health]:
    """Serve ``/livez``, ``/readyz`` and ``/metrics`` while the body runs, if ``GIFTCERT_METRICS_PORT`` is set.

    The yielded `Health` answers the first two: 200, or 503 with the reasons. ``/healthz`` is ``/readyz`` as it was
    once, with all that is waited for as one text.
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
        case b"/livez":
            return _verdict(health.liveness(), "alive", "stuck")
        case b"/readyz":
            return _verdict(health.readiness(), "ready", "notReady")
        case b"/healthz":
            waiting_for = health.waiting_for
            body = {"status": "ok"} if waiting_for is None else {"status": "waiting", "for": waiting_for}
            notes = {"notes": health.notes} if health.notes else {}
            return _json({**body, **notes}, is_well=waiting_for is None)
        case _:
            return _http("404 Not Found", "text/plain", b"/livez, /readyz, /healthz and /metrics are here")


def _verdict(verdict: Verdict, well: str, unwell: str) -> bytes:
    status = well if verdict.is_well else unwell
    return _json({"status": status, "reasons": verdict.reasons}, is_well=verdict.is_well)


def _json(body: Mapping[str, object], *, is_well: bool) -> bytes:
    status = "200 OK" if is_well else "503 Service Unavailable"
    return _http(status, "application/json", json.dumps(body).encode())


def _http(status: str, content_type: str, body: bytes) -> bytes:
    content = f"Content-Type: {content_type}\r\nContent-Length: {len(body)}"
    return f"HTTP/1.1 {status}\r\n{content}\r\nConnection: close\r\n\r\n".encode() + body
