import json
from dataclasses import replace
from datetime import UTC, datetime

from giftcert.contracts.stream import StoredEvent, encode_event

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVENT = StoredEvent(
    event_id="01936f5e-0000-7000-8000-0000000000aa",
    stream_key="01936f5e-0000-7000-8000-000000000001",
    certificate_id="01936f5e-0000-7000-8000-000000000001",
    sequence=3,
    event_type="issue.completed",
    occurred_at=NOON,
    recorded_at=NOON,
    channel="im",
    sale_channel="im",
    status="issued",
    refund_state="none",
    product="GC-5000",
    nominal=500_000,
    currency="RUB",
    balance=500_000,
    held=0,
    cause_topic="All_Payments",
    cause_event_id="pay-1",
    payload='{"orderId": "IM-1001"}',
)
BLOCKED = replace(
    EVENT,
    event_type="issue.blocked",
    stream_key="GC-5000",
    certificate_id=None,
    sequence=None,
    sale_channel=None,
    status=None,
    refund_state=None,
    nominal=None,
    currency=None,
    balance=None,
    held=None,
    cause_topic=None,
    cause_event_id=None,
)


def test_the_envelope_says_what_the_contract_says() -> None:
    key, value, _ = encode_event(EVENT)

    assert key == b"01936f5e-0000-7000-8000-000000000001"
    assert json.loads(value) == {
        "eventId": "01936f5e-0000-7000-8000-0000000000aa",
        "eventType": "issue.completed",
        "schemaVersion": 1,
        "occurredAt": "2026-11-23T12:00:00Z",
        "recordedAt": "2026-11-23T12:00:00Z",
        "channel": "im",
        "saleChannel": "im",
        "status": "issued",
        "refundState": "none",
        "certificateId": "01936f5e-0000-7000-8000-000000000001",
        "sequence": 3,
        "product": "GC-5000",
        "nominal": {"amount": 500_000, "currency": "RUB"},
        "balance": {"amount": 500_000, "currency": "RUB"},
        "held": {"amount": 0, "currency": "RUB"},
        "cause": {"topic": "All_Payments", "eventId": "pay-1"},
        "payload": {"orderId": "IM-1001"},
    }


def test_the_headers_are_cloud_events_in_kafka_binary_mode() -> None:
    _, _, headers = encode_event(EVENT)

    assert headers == [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"01936f5e-0000-7000-8000-0000000000aa"),
        ("ce_source", b"/giftcert"),
        ("ce_type", b"issue.completed"),
        ("ce_time", b"2026-11-23T12:00:00Z"),
        ("ce_subject", b"01936f5e-0000-7000-8000-000000000001"),
        ("ce_channel", b"im"),
        ("content-type", b"application/json"),
    ]


def test_what_does_not_apply_is_null_in_the_value_and_absent_from_the_headers() -> None:
    key, value, headers = encode_event(BLOCKED)
    envelope = json.loads(value)

    assert key == b"GC-5000"
    absent = ("certificateId", "sequence", "status", "refundState", "nominal", "balance", "held", "cause")
    assert [envelope[name] for name in absent] == [None] * 8
    assert "ce_subject" not in dict(headers)


def test_a_repeat_is_the_same_to_the_last_byte() -> None:
    assert encode_event(EVENT) == encode_event(replace(EVENT))
