"""One example of each event type, as dispatch would write it: values by field name, so that a new event has one too."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, get_type_hints

import msgspec

from giftcert.contracts.envelope import StoredEvent, encode_event
from giftcert.contracts.notices import input_key
from giftcert.contracts.payload import payload_of
from giftcert.contracts.specification.catalogue import About, EventKind
from giftcert.domain.certificate.events import ConflictReason, RefundReason, RejectionReason, ReleaseReason
from giftcert.domain.clients import Recipient

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
CERTIFICATE = "019ab0f1-7c00-7abc-8def-0123456789ab"
_INPUT = {"topic": "All_Payments", "partition": 3, "offset": 1207, "eventId": "pay-81"}
_VALUES: dict[str, Any] = {
    "reservation_id": "019ab0f1-8000-7abc-8def-0123456789ab",
    "reserved_until": NOON + timedelta(minutes=30),
    "order_id": "IM-1001",
    "line_id": "2",
    "line_key": 2,
    "amount": 500_000,
    "reclaimed": False,
    "replaces": None,
    "payment_ids": ("P-9",),
    "payment_id": "P-12",
    "redemption_id": "019ab0f1-d000-7abc-8def-0123456789ab",
    "valid_until": NOON + timedelta(days=365),
    "attempts": 17,
    "channel": "pos",
    "first_at": NOON,
    "last_at": NOON + timedelta(seconds=1),
    "notification_id": "019ab0f1-9000-7abc-8def-0123456789ab",
    "kind": "certificateIssued",
    "customer_id": "C-77",
    "recipient": Recipient("R-5", "email", "ru-RU"),
    "preferred_channel": "email",
    "locale": "ru-RU",
    "suppressed": False,
    "refund_case_id": "019ab0f1-a000-7abc-8def-0123456789ab",
    "refund_id": "RF-3",
    "waits_until": NOON + timedelta(days=7),
    "taken": 500_000,
    "excess": 0,
    "uncovered": 0,
    "before_issue": False,
    "allowed_decisions": ("approve", "reject"),
    "foreign_currency": None,
    "web_url": f"http://127.0.0.1:8233/namespaces/default/workflows/certificate-{CERTIFICATE}",
    "decision": "approve",
    "resolved_by": "anna",
    "note": "agreed with the customer by telephone",
    "disclosed_to": "crm",
    "purpose": "notification",
    "by": "anna",
    "breakage": 120_000,
    "batch_id": "019ab0f1-b000-7abc-8def-0123456789ab",
    "count": 100_000,
    "who": "anna",
    "what": "replayed All_SalesOrder-3 offset 88 from quarantine",
    "certificate_lines": 1_004,
    "payments": 1_010,
    "available": 950,
    "threshold": 1_000,
    "captured": 200_000,
    "missing": 300_000,
    "attempt": 1,
    "since": NOON - timedelta(days=1),
    "detail": "what was expected, in words",
    "invariant": 5,
    "rule": "foldDiffers",
    "subject": CERTIFICATE,
    "component": "ingest",
    "topic": "All_Payments",
    "partition": 3,
    "offset": 1207,
    "event_id": "pay-81",
}
_REASONS = {
    "issue.released": ReleaseReason.RESERVATION_EXPIRED,
    "refund.pendingDetails": RefundReason.CERTIFICATE_REDEEMED,
    "alert.refundStuck": RefundReason.CERTIFICATE_REDEEMED,
    "alert.unpaid": "notPaid",
    "alert.redemptionUncovered": "exceedsHold",
    "redemption.authorized": None,
    "redemption.captured": None,
    "redemption.voided": "holdLapsed",
    "redemption.restored": None,
    "redemption.rejected": RejectionReason.INSUFFICIENT_BALANCE,
    "alert.paymentWithoutCertificate": "lineRemoved",
    "audit.expired": "validityEnded",
    "audit.blocked": "reported stolen",
    "audit.unblocked": "found again",
    "audit.retired": "misprinted batch",
    "audit.cvcRefused": "not-issued",
    "error.malformedEvent": "certificateMissing",
    "error.unknownCertificate": "neverMade",
    "error.orderConflict": ConflictReason.ALREADY_ISSUED,
    "error.unexpectedEvent": "contradictsEarlier",
    "error.processingFailed": "publishingFails",
}
_STATUS_AFTER = {
    "issue.reserved": "reserved",
    "issue.released": "available",
    "issue.ordered": "ordered",
    "alert.unpaid": "ordered",
    "audit.blocked": "blocked",
    "audit.expired": "expired",
    "audit.retired": "retired",
    "refund.completed": "refunded",
}
_WITHOUT_BALANCE = frozenset({"reserved", "available", "ordered", "expired", "retired", "refunded"})
_REFUND_STATE_AFTER = {
    "refund.requested": "requested",
    "refund.pendingDetails": "pendingDetails",
    "refund.completed": "completed",
    "refund.resolved": "requested",
    "alert.refundStuck": "pendingDetails",
    "alert.cancelledWithoutRefund": "requested",
}


def example(kind: EventKind) -> dict[str, Any]:
    """Return the record value of one event of this type.

    Raises:
        KeyError: an event has a field that none had before; give it a value above.
    """
    _, value, _ = encode_event(_stored(kind))
    envelope: dict[str, Any] = msgspec.json.decode(value)
    return envelope


def _stored(kind: EventKind) -> StoredEvent:
    about = About.CERTIFICATE if About.CERTIFICATE in kind.about else min(kind.about)
    of_certificate = about is About.CERTIFICATE
    status = _STATUS_AFTER.get(kind.event_type, "issued") if of_certificate else None
    return StoredEvent(
        event_id="019ab0f1-c000-7abc-8def-0123456789ab",
        stream_key=_key(about),
        certificate_id=CERTIFICATE if of_certificate else None,
        sequence=4 if of_certificate else None,
        event_type=kind.event_type,
        occurred_at=NOON,
        recorded_at=NOON + timedelta(milliseconds=41),
        channel="im",
        sale_channel="im" if of_certificate else None,
        status=status,
        refund_state=_REFUND_STATE_AFTER.get(kind.event_type, "none") if of_certificate else None,
        product=None if about is About.INPUT else "GC-5000",
        nominal=500_000 if of_certificate else None,
        currency="RUB" if of_certificate else None,
        balance=(0 if status in _WITHOUT_BALANCE else 500_000) if of_certificate else None,
        held=0 if of_certificate else None,
        cause_topic="All_Payments" if of_certificate else None,
        cause_event_id="pay-81" if of_certificate else None,
        payload=msgspec.json.encode(_payload(kind)).decode(),
    )


def _key(about: About) -> str:
    return {
        About.CERTIFICATE: CERTIFICATE,
        About.PRODUCT: "GC-5000",
        About.INPUT: input_key("All_Payments", 3),
    }[about]


def _payload(kind: EventKind) -> dict[str, Any]:
    maker = kind.classes[0]
    hints = get_type_hints(maker)
    values = {field.name: _value(kind, field.name, hints[field.name]) for field in fields(maker)}
    payload = payload_of(maker(**values), "RUB")
    return {**_INPUT, "component": "workflow"} | payload if kind.is_error else payload


def _value(kind: EventKind, name: str, hint: Any) -> Any:  # noqa: ANN401 - of any field
    if name == "reason":
        return _REASONS[kind.event_type]
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return next(iter(hint))
    return _VALUES[name]
