"""Traces by OpenTelemetry: requests, batches of records, signals; off unless OTEL_EXPORTER_OTLP_ENDPOINT is set.

Context comes as W3C ``traceparent`` in HTTP and Kafka headers (ADR 99). Spans carry ids and names of ours alone: no
path, query, body, caller, number or CVC.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

HEADER = "traceparent"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_MOST_LINKS = 32
_PROPAGATOR = TraceContextTextMapPropagator()
Attributes: TypeAlias = Mapping[str, AttributeValue]
_provider: trace.TracerProvider | None = None


def start_tracing(process: str, environment: Mapping[str, str] = os.environ) -> None:
    """Export spans as OpenTelemetry's own variables say, if one of them names an endpoint; once per process."""
    if environment.get("OTEL_SDK_DISABLED") == "true" or not any(map(environment.get, _ENDPOINTS)):
        return
    # Loaded only where it is used: half a second.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    named = {} if "OTEL_SERVICE_NAME" in environment else {"service.name": f"giftcert-{process}"}
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    use_provider(provider)


def use_provider(provider: trace.TracerProvider | None) -> None:
    """Have spans made by this provider from now on; ``None``: make none."""
    global _provider  # noqa: PLW0603 - one per process, as OpenTelemetry's own
    _provider = provider


def is_on() -> bool:
    """Return whether spans are made; where not, nothing of it costs anything."""
    return _provider is not None


def trace_id() -> str | None:
    """Return the id of the trace that is under way, as logs name it."""
    context = trace.get_current_span().get_span_context() if _provider is not None else None
    return trace.format_trace_id(context.trace_id) if context is not None and context.is_valid else None


@contextmanager
def span(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    *,
    causes: Sequence[str] = (),
    attributes: Attributes | None = None,
    began: int | None = None,
) -> Iterator[Span]:
    """Make a span while the body runs; an error that passes is named by its class alone.

    Its parent is the first of ``causes`` (each a ``traceparent``), the others are linked; without any it is that which
    is under way. ``began``: nanoseconds since 1970, where it began earlier.
    """
    if _provider is None:
        yield trace.INVALID_SPAN
        return
    tracer, parents = _provider.get_tracer("giftcert"), [_context(one) for one in causes]
    links = [Link(trace.get_current_span(one).get_span_context()) for one in parents[1:_MOST_LINKS]]
    with tracer.start_as_current_span(
        name,
        parents[0] if parents else None,
        kind,
        attributes,
        links,
        began,
        record_exception=False,  # its text may quote what was read
        set_status_on_exception=False,
    ) as made:
        try:
            yield made
        except Exception as error:
            made.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def causes_of(headers: Iterable[Sequence[tuple[str, bytes]]]) -> list[str]:
    """Return the ``traceparent`` of each record that has one, each once, in their order."""
    if _provider is None:
        return []
    found = (value for of_record in headers for name, value in of_record if name == HEADER)
    return list(dict.fromkeys(value.decode("ascii", "replace") for value in found if value))


def _context(traceparent: str) -> Context:
    return _PROPAGATOR.extract({HEADER: traceparent})
