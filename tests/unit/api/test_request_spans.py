import httpx
from fastapi import FastAPI
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_trace_id

from api.request_spans import SpanMiddleware
from giftcert import tracing

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


async def test_a_request_goes_on_with_the_callers_trace_and_says_nothing_of_him(
    exporter: InMemorySpanExporter,
) -> None:
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})

    @app.get("/certificates/{certificate_id}")
    async def read(certificate_id: str) -> str:
        return f"{tracing.trace_id()} {certificate_id}"

    transport = httpx.ASGITransport(SpanMiddleware(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "Authorization": "Bearer secret"}
        reply = await client.get("/certificates/4000000000000002?cvc=123", headers=headers)
    assert reply.json().startswith(TRACE)
    [span] = exporter.get_finished_spans()
    assert span.context is not None
    assert format_trace_id(span.context.trace_id) == TRACE
    assert (span.name, dict(span.attributes or {})) == (
        "GET /certificates/{certificate_id}",
        {
            "http.request.method": "GET",
            "http.route": "/certificates/{certificate_id}",
            "http.response.status_code": 200,
        },
    )
