import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_trace_id

from giftcert import tracing

ONE, OTHER = (f"00-{digit * 32}-{digit * 16}-01" for digit in "12")


def test_without_an_endpoint_nothing_is_traced() -> None:
    tracing.start_tracing("api", {})
    tracing.start_tracing(
        "api", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector", "OTEL_SDK_DISABLED": "true"}
    )
    assert not tracing.is_on()
    with tracing.span("request", causes=[ONE]):
        assert tracing.trace_id() is None
    assert tracing.causes_of([[(tracing.HEADER, ONE.encode())]]) == []


def test_a_span_goes_on_with_its_first_cause_and_links_the_others(exporter: InMemorySpanExporter) -> None:
    with tracing.span("ingest", causes=[ONE, OTHER]):
        assert tracing.trace_id() == "1" * 32
    [span] = exporter.get_finished_spans()
    assert span.parent is not None
    assert [format_trace_id(link.context.trace_id) for link in span.links] == ["2" * 32]


def test_an_error_is_named_by_its_class_alone(exporter: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="4000"), tracing.span("advance"):
        raise ValueError("4000000000000002")
    [span] = exporter.get_finished_spans()
    assert (span.status.description, span.events) == ("ValueError", ())


def test_what_is_no_traceparent_begins_a_trace(exporter: InMemorySpanExporter) -> None:
    with tracing.span("request", causes=["4000000000000002"]):
        pass
    [span] = exporter.get_finished_spans()
    assert span.parent is None


@pytest.mark.usefixtures("exporter")
def test_records_name_their_causes_each_once() -> None:
    header = (tracing.HEADER, ONE.encode())
    records = [[header], [], [header], [("other", b"x"), (tracing.HEADER, OTHER.encode())]]
    assert tracing.causes_of(records) == [ONE, OTHER]
