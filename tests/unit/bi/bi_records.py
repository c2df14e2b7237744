"""Records of the topics as BI reads them, and a file filled with them."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from giftcert.bi.warehouse import ReadRecord, Source, Warehouse

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
STREAM = Source("GiftCertificates.Stream", "read_stream.sql")
ORDERS = Source("All_SalesOrder", "read_orders.sql")
PAYMENTS = Source("All_Payments", "read_payments.sql")


def rub(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "RUB"}


def number(of: int) -> str:
    return f"018f0000-0000-7000-8000-{of:012d}"


def instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


@dataclass
class Records:
    """What was written to a topic; offsets count on."""

    values: list[str] = field(default_factory=list)

    def write(self, value: dict[str, Any] | str) -> dict[str, Any]:
        self.values.append(value if isinstance(value, str) else json.dumps(value))
        return value if isinstance(value, dict) else {}

    def event(
        self,
        event_type: str,
        at: datetime = NOON,
        *,
        certificate: int | None = 1,
        sequence: int = 1,
        occurred_at: datetime | None = None,
        channel: str = "im",
        sale_channel: str = "im",
        product: str = "GC-5000",
        status: str = "issued",
        balance: int = 0,
        held: int = 0,
        **payload: Any,
    ) -> dict[str, Any]:
        about_it = certificate is not None
        return self.write(
            {
                "eventId": number(1_000_000 + len(self.values)),
                "eventType": event_type,
                "schemaVersion": 1,
                "occurredAt": instant(occurred_at or at),
                "recordedAt": instant(at),
                "channel": channel,
                "saleChannel": sale_channel if about_it else None,
                "status": status if about_it else None,
                "refundState": "none" if about_it else None,
                "certificateId": number(certificate) if certificate is not None else None,
                "sequence": sequence if about_it else None,
                "product": product,
                "nominal": rub(500_000) if about_it else None,
                "balance": rub(balance) if about_it else None,
                "held": rub(held) if about_it else None,
                "cause": None,
                "payload": {"customerId": "C-77", **payload} if about_it else payload,
            }
        )

    def issued(self, at: datetime = NOON, *, certificate: int = 1, price: int = 450_000, **said: Any) -> None:
        said = {"orderId": f"IM-{certificate}", **said}
        amount, life = rub(price), {"certificate": certificate, "sequence": 1}
        self.event("issue.completed", at, balance=500_000, amount=amount, **life, **said)

    def read_from(self, first: int = 0) -> list[ReadRecord]:
        milliseconds = int(NOON.timestamp() * 1000)
        return [
            ReadRecord(0, offset, milliseconds, value)
            for offset, value in enumerate(self.values)
            if offset >= first
        ]


@dataclass
class Filled:
    """A file, and the topics that it is filled from."""

    warehouse: Warehouse
    stream: Records = field(default_factory=Records)
    orders: Records = field(default_factory=Records)
    payments: Records = field(default_factory=Records)

    @classmethod
    def at(cls, folder: Path, time_zone: str = "UTC") -> "Filled":
        return cls(Warehouse.open(folder / "bi.duckdb", time_zone))

    def load(self, until: datetime = NOON + timedelta(hours=1)) -> int:
        """Read what the topics have and the file has not; return how many rows that made."""
        rows = 0
        for source, topic in ((STREAM, self.stream), (ORDERS, self.orders), (PAYMENTS, self.payments)):
            records = topic.read_from(self.warehouse.positions(source.topic).get(0, 0))
            rows += self.warehouse.add(source, records, until) if records else 0
        self.warehouse.remember_load(until, rows, 0)
        return rows

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return list(self.warehouse.query(sql).rows)


def order(order_id: str = "IM-1", version: int = 1, at: datetime = NOON, **said: Any) -> dict[str, Any]:
    return {
        "eventId": "so-1",
        "eventType": "order.created",
        "occurredAt": instant(at),
        "channel": "im",
        "orderId": order_id,
        "orderVersion": version,
        "customerId": "C-77",
        "currency": "RUB",
        "total": 450_000,
        "lines": [
            {
                "lineId": "1",
                "kind": "giftCertificate",
                "certificateId": number(1),
                "amount": 450_000,
                "recipient": {"ref": "R-5", "channel": "email"},
            }
        ],
        **said,
    }


def payment(payment_id: str = "P-1", event_type: str = "payment.captured", **said: Any) -> dict[str, Any]:
    return {
        "eventId": "pay-1",
        "eventType": event_type,
        "occurredAt": instant(NOON),
        "channel": "im",
        "orderId": "IM-1",
        "paymentId": payment_id,
        "tender": "card",
        "amount": 450_000,
        "currency": "RUB",
        **said,
    }
