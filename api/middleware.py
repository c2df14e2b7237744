"""Outermost ASGI middleware: size and time limits of a request, access log, request metrics, ``no-store``."""

import asyncio
import sys
import time
from typing import Any

import msgspec
from prometheus_client import Histogram
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, ProblemError, answer
from giftcert.clock import utc_now

BODY_BYTES = 64 * 1024
HEADER_BYTES = 16 * 1024
BODY_SECONDS = 10.0  # after the headers
_SECONDS = Histogram(
    "giftcert_http_request_seconds",
    "Requests by method, route and status",
    ["method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
_ENCODER = msgspec.json.Encoder()
_NO_STORE = (b"cache-control", b"no-store")


class RequestMiddleware:
    """Passes requests on within their limits; neither path parameters, query, body nor token reach the log."""

    def __init__(self, app: ASGIApp, *, log: bool) -> None:
        self._app = app
        self._log = sys.stderr if log else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, then log and measure it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.setdefault("headers", [])
                if not any(name == b"cache-control" for name, _ in headers):
                    headers.append(_NO_STORE)
            await send(message)

        try:
            if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADER_BYTES:
                error = ProblemError(Problem.HEADERS_TOO_LARGE)
                await answer(error)(scope, receive, send_on)
            else:
                await self._app(scope, _limited(receive), send_on)
        finally:
            self._record(scope, status, time.perf_counter() - began)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        _SECONDS.labels(scope["method"], route, str(status)).observe(seconds)
        if self._log is not None:
            call = scope.get("state", {}).get("call")
            line: dict[str, Any] = {
                "timestamp": utc_now(),
                "logger": "giftcert.access",
                "method": scope["method"],
                "route": route,
                "status": status,
                "milliseconds": round(seconds * 1000, 1),
                "caller": call.caller.subject if call else None,
            }
            # Not by logging: its processors take as long as the request, and nothing here has to be redacted.
            self._log.write(_ENCODER.encode(line).decode() + "\n")


def _limited(receive: Receive) -> Receive:
    """Return what receives a request's body and refuses it when it is too large or too slow.

    It raises HTTPException, 413 or 408: FastAPI passes no other error of a body on.
    """
    deadline = asyncio.get_running_loop().time() + BODY_SECONDS
    left, is_complete = BODY_BYTES, False

    async def receive_limited() -> Message:
        nonlocal left, is_complete
        if is_complete:  # what follows is the caller hanging up
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408) from None
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413)
        is_complete = not message.get("more_body", False)
        return message

    return receive_limited
