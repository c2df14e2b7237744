"""A span for each request, where tracing is on: method, route and status, and nothing that the caller has sent."""

from opentelemetry.trace import SpanKind, Status, StatusCode
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from giftcert import tracing

SERVER_ERROR = 500


class SpanMiddleware:
    """Goes on with the trace that the caller's ``traceparent`` names, or begins one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request within a span."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = SERVER_ERROR

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        sent = [
            value.decode("latin-1") for name, value in scope["headers"] if name == tracing.HEADER.encode()
        ]
        with tracing.span(scope["method"], SpanKind.SERVER, causes=sent[:1]) as span:
            try:
                await self._app(scope, receive, send_on)
            finally:
                route = getattr(scope.get("route"), "path", "unmatched")
                span.update_name(f"{scope['method']} {route}")
                span.set_attributes(
                    {
                        "http.request.method": scope["method"],
                        "http.route": route,
                        "http.response.status_code": status,
                    }
                )
                if status >= SERVER_ERROR:
                    span.set_status(Status(StatusCode.ERROR))
