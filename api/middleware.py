"""Outermost ASGI middleware: limits of a request, access log, metrics, refusals, and headers that browsers obey."""

import asyncio
import sys
import time
from typing import Any

import msgspec
from prometheus_client import Counter, Gauge, Histogram
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import RETRY_AFTER, Problem, ProblemError, answer
from giftcert.clock import utc_now
from giftcert.security.tokens import Caller
from giftcert.storage.database import begin_request
from giftcert.tracing import trace_id

BODY_BYTES = 64 * 1024
HEADER_BYTES = 16 * 1024
ALWAYS_ANSWERED = frozenset({"/healthz", "/livez", "/readyz", "/metrics"})
"""What tells others how the process is: one that works to capacity must not look like one that hangs."""
HEADER_EXTRA = 4  # bytes that stand around a header's name and value
BODY_SECONDS = 10.0  # after the headers, where the connection gives no deadline
_SECONDS = Histogram(
    "giftcert_http_request_seconds",
    "Requests by method, route and status",
    ["method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
_UNDER_WAY = Gauge("giftcert_http_requests_under_way", "Requests that are not answered yet")
_REFUSALS = Counter(
    "giftcert_http_refusals_total",
    "Calls that a caller may not make, or not so often: why, and which call",
    ["reason", "method", "route"],
)
_ENCODER = msgspec.json.Encoder()
_NO_STORE = (b"cache-control", b"no-store")
_CONTENT_POLICY = b"content-security-policy"
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"strict-transport-security", b"max-age=31536000; includeSubDomains"),  # browsers heed it over TLS alone
]
_NO_CONTENT_POLICY = (_CONTENT_POLICY, b"default-src 'none'; frame-ancestors 'none'")


class RequestMiddleware:
    """Passes requests on within their limits; neither path parameters, query, body nor token reach the log."""

    def __init__(self, app: ASGIApp, *, log: bool, most: int, body_bytes: int = BODY_BYTES) -> None:
        self._app = app
        self._body_bytes = body_bytes
        self._logs_all = log
        self._most = most
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, then log and measure it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        begin_request()
        status = 500

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"] = [*message.get("headers", ()), *SECURITY_HEADERS]
                names = {name for name, _ in headers}
                if b"cache-control" not in names:
                    headers.append(_NO_STORE)
                if _CONTENT_POLICY not in names:
                    headers.append(_NO_CONTENT_POLICY)
            await send(message)

        self._under_way += 1
        _UNDER_WAY.set(self._under_way)
        try:
            error = self._refusal(scope)
            if error is not None:
                await answer(error)(scope, receive, send_on)
            else:
                await self._app(scope, _limited(scope, receive, self._body_bytes), send_on)
        finally:
            self._under_way -= 1
            _UNDER_WAY.set(self._under_way)
            self._record(scope, status, time.perf_counter() - began)

    def _refusal(self, scope: Scope) -> ProblemError | None:
        if sum(len(name) + len(value) + HEADER_EXTRA for name, value in scope["headers"]) > HEADER_BYTES:
            return ProblemError(Problem.HEADERS_TOO_LARGE)
        if self._under_way > self._most and scope["path"] not in ALWAYS_ANSWERED:
            return ProblemError(Problem.OVERLOADED, retry_after=RETRY_AFTER)
        return None

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        _SECONDS.labels(scope["method"], route, str(status)).observe(seconds)
        state = scope.get("state", {})
        refusal: str | None = state.get("refusal")
        if refusal is not None:
            _REFUSALS.labels(refusal, scope["method"], route).inc()
        if self._logs_all or refusal is not None:
            caller: Caller | None = state.get("caller")
            line: dict[str, Any] = {
                "timestamp": utc_now(),
                "level": "info",
                "logger": "giftcert.access",
                "process": "api",
                "event": "request",
                "method": scope["method"],
                "route": route,
                "status": status,
                "milliseconds": round(seconds * 1000, 1),
                "caller": caller.subject if caller else None,
            }
            if refusal is not None:
                line |= {"refusal": refusal, "client": (scope.get("client") or (None,))[0]}
            if found := trace_id():
                line["trace_id"] = found
            # Not by logging: its processors take as long as the request, and nothing here has to be redacted.
            sys.stderr.write(_ENCODER.encode(line).decode() + "\n")


def _limited(scope: Scope, receive: Receive, body_bytes: int) -> Receive:
    """Return what receives a request's body and refuses it when it is too large or too slow.

    It raises HTTPException, 413 or 408: FastAPI passes no other error of a body on.
    """
    deadline = scope.get("state", {}).get("deadline") or asyncio.get_running_loop().time() + BODY_SECONDS
    left, is_complete = body_bytes, False

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
            raise HTTPException(413, f"A body holds at most {body_bytes >> 10:,} KB.")
        is_complete = not message.get("more_body", False)
        return message

    return receive_limited
