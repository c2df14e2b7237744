"""Records as the owners of the topics write them, to be varied by a test."""

import json
from typing import Any

CERTIFICATE = "01936f5e-0000-7000-8000-000000000001"


def order(**changes: Any) -> dict[str, Any]:
    return {
        "eventId": "so-1",
        "eventType": "order.created",
        "occurredAt": "2026-11-23T10:00:00Z",
        "channel": "im",
        "orderId": "IM-1001",
        "orderVersion": 1,
        "customerId": "C-77",
        "currency": "RUB",
        "total": 750_000,
        "lines": [goods_line(), certificate_line()],
    } | changes


def goods_line(**changes: Any) -> dict[str, Any]:
    return {"lineId": "1", "kind": "goods", "sku": "TV-42", "quantity": 1, "amount": 250_000} | changes


def certificate_line(**changes: Any) -> dict[str, Any]:
    return {
        "lineId": "2",
        "kind": "giftCertificate",
        "certificateId": CERTIFICATE,
        "reservationId": "01936f5e-0000-7000-8000-00000000000a",
        "amount": 500_000,
        "recipient": {"ref": "R-5", "channel": "email", "locale": "ru-RU"},
    } | changes


def discount_line(**changes: Any) -> dict[str, Any]:
    return {"lineId": "3", "kind": "discount", "amount": -1_000} | changes


def withdrawal(**changes: Any) -> dict[str, Any]:
    return {
        "eventId": "so-2",
        "eventType": "order.cancelled",
        "occurredAt": "2026-11-23T11:00:00Z",
        "channel": "im",
        "orderId": "IM-1001",
        "orderVersion": 2,
    } | changes


def payment(**changes: Any) -> dict[str, Any]:
    return {
        "eventId": "pay-1",
        "eventType": "payment.captured",
        "occurredAt": "2026-11-23T10:05:00Z",
        "channel": "im",
        "orderId": "IM-1001",
        "paymentId": "P-9",
        "captureId": None,
        "tender": "card",
        "amount": 750_000,
        "currency": "RUB",
        "allocations": [{"lineId": "2", "amount": 500_000}],
    } | changes


def client(**changes: Any) -> dict[str, Any]:
    return {
        "eventId": "cl-1",
        "eventType": "client.updated",
        "occurredAt": "2026-11-23T10:00:00Z",
        "clientId": "C-77",
        "locale": "ru-RU",
        "preferredChannel": "email",
        "mergedInto": None,
        "blocked": False,
    } | changes


def without(record: dict[str, Any], *fields: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in fields}


def raw(record: Any) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode()
