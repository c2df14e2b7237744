"""Events as the stream brings them, one certificate's after another's."""

from collections.abc import Callable
from itertools import count
from typing import Any

import msgspec
import pytest

from simulators.demo.journal import Journal
from simulators.service import Money, Reservation
from simulators.topics import Position, Record

MakeRecord = Callable[..., Record]


def money(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "RUB"}


@pytest.fixture
def event_record() -> MakeRecord:
    numbers = count(1)

    def make(event_type: str, certificate_id: str | None = "c-1", /, **fields: Any) -> Record:
        number = next(numbers)
        event = {
            "eventId": f"e-{number}",
            "eventType": event_type,
            "schemaVersion": 1,
            "occurredAt": "2026-11-23T10:00:00Z",
            "recordedAt": "2026-11-23T10:00:01Z",
            "certificateId": certificate_id,
            "nominal": money(500_000),
            "balance": money(0),
            "held": money(0),
            "refundState": "none",
            "payload": {},
        } | fields
        headers = {
            "ce_specversion": "1.0",
            "ce_id": str(event["eventId"]),
            "ce_type": event_type,
            "content-type": "application/json",
        } | ({"ce_subject": certificate_id} if certificate_id else {})
        position = Position("GiftCertificates.Stream", 0, number)
        return Record(position, certificate_id, msgspec.json.encode(event), headers)

    return make


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def reservation() -> Reservation:
    return Reservation(
        certificate_id="c-1",
        reservation_id="r-1",
        product="GC-5000",
        nominal=Money(500_000, "RUB"),
        channel="im",
    )


@pytest.fixture
def sale(event_record: MakeRecord) -> Callable[..., list[Record]]:
    """The four events of a sale that went well."""

    def make(certificate_id: str = "c-1", order_id: str = "IM-1", amount: int = 450_000) -> list[Record]:
        line = {"orderId": order_id, "lineId": "1", "amount": money(amount)}
        full = {"status": "issued", "balance": money(500_000)}
        steps: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
            ("issue.reserved", {"status": "reserved"}, {"reservationId": "r-1"}),
            ("issue.ordered", {"status": "ordered"}, line),
            ("issue.completed", full, line),
            ("notification.requested", full, {"notificationId": f"n-{certificate_id}", "suppressed": False}),
        ]
        return [
            event_record(event_type, certificate_id, sequence=number, payload=payload, **fields)
            for number, (event_type, fields, payload) in enumerate(steps, start=1)
        ]

    return make
