"""What every request leaves behind: a line in the log, a measurement, and no copy in a cache."""

import sys
import time
from collections.abc import MutableMapping
from typing import Any

import msgspec
from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from giftcert.clock import utc_now

_SECONDS = Histogram(
    "giftcert_http_request_seconds",
    "Requests by method, route and status",
    ["method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
_LOGGER = "giftcert.access"
_ENCODER = msgspec.json.Encoder()
_NO_STORE = (b"cache-control", b"no-store")


class Access:
    """Outermost but for the server; neither path parameters, query, body nor token reach the log."""

    def __init__(self, app: ASGIApp, *, log: bool) -> None:
        self._app = app
        self._log = sys.stderr if log else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and tell what became of it."""
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
            await self._app(scope, receive, send_on)
        finally:
            self._tell(scope, status, time.perf_counter() - began)

    def _tell(self, scope: MutableMapping[str, Any], status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unmatched")
        _SECONDS.labels(scope["method"], route, str(status)).observe(seconds)
        if self._log is not None:
            line = {
                "timestamp": utc_now(),
                "logger": _LOGGER,
                "method": scope["method"],
                "route": route,
                "status": status,
                "milliseconds": round(seconds * 1000, 1),
                "caller": scope.get("state", {}).get("caller"),
            }
            # Not by logging: its processors take as long as the request, and nothing here has to be redacted.
            self._log.write(_ENCODER.encode(line).decode() + "\n")
