"""Whole sales as records of the real topics, taken from the sales that the domain's properties draw."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any
from uuid import uuid4

from giftcert.contracts.codec import encode_state
from giftcert.domain import messages as m
from giftcert.domain.state import CertificateState
from kafka_ingest.source import KeptRecord
from tests.integration.kafka_ingest.ingest_store import Store, add_certificates
from tests.integration.kafka_ingest.leading import Leading, reserve_all, told
from tests.unit.domain import factories as make
from tests.unit.domain.orders_of_arrival import Record, Stated

PARTITIONS = 3
KINDS = {
    m.PaymentAuthorized: "payment.authorized",
    m.PaymentCaptured: "payment.captured",
    m.PaymentVoided: "payment.voided",
    m.PaymentRefunded: "payment.refunded",
}
# Made anew in each run, or granted by what CRM had said by then.
NOT_COMPARED = ("notificationId", "refundCaseId", "preferredChannel", "locale", "suppressed")


@dataclass
class TopicSale:
    """One sale in one run: its order and certificates have ids of their own, and names that runs share."""

    nth: int
    order_id: str
    certificates: dict[str, str]
    reservations: dict[str, str]
    payer: str
    event_ids: Iterator[int] = field(default_factory=count)

    @classmethod
    def of(cls, nth: int, run: str, records: Sequence[Record]) -> "TopicSale":
        names = {name for one in records if isinstance(one, Stated) for _, name in one.on}
        certificates = {name: str(uuid4()) for name in sorted(names)}
        return cls(
            nth=nth,
            order_id=f"{run}-{nth}",
            certificates=certificates,
            reservations={name: str(uuid4()) for name in certificates},
            payer=str(uuid4()),
        )

    def record(self, store: Store, record: Record) -> KeptRecord:
        """The next record of its topic, under an event id that no other has."""
        partition = self.nth % PARTITIONS
        if isinstance(record, Stated | m.OrderCancelled | m.LinesReturned):
            return store.order_record(self._order(record), partition)
        return store.payment_record(self._payment(record), partition)

    def client(self, store: Store) -> KeptRecord:
        value = {
            "eventId": self._event_id(),
            "eventType": "client.updated",
            "occurredAt": _said(make.NOON),
            "clientId": self._mine("C"),
            "locale": "ru-RU",
        }
        return store.client_record(value, self._mine("C"))

    def words(self, text: str) -> str:
        """The text with the names that runs share in place of this run's ids."""
        for name, certificate_id in self.certificates.items():
            text = text.replace(certificate_id, name).replace(self.reservations[name], f"R-{name}")
        return text.replace(self.payer, "payer").replace(self.order_id, "ORDER")

    def _order(self, record: Stated | m.OrderCancelled | m.LinesReturned) -> dict[str, Any]:
        common = {"eventId": self._event_id(), "channel": "im", "orderId": self.order_id}
        if isinstance(record, Stated):
            return common | {
                "eventType": "order.created" if record.version == 1 else "order.changed",
                "occurredAt": _said(make.NOON + record.at),
                "orderVersion": record.version,
                "customerId": self._mine("C"),
                "currency": "RUB",
                "total": sum(line.amount for line in record.lines),
                "lines": [self._line(line, dict(record.on)) for line in record.lines],
            }
        cancelled = isinstance(record, m.OrderCancelled)
        ids = record.line_ids
        return common | {
            "eventType": "order.cancelled" if cancelled else "order.returned",
            "occurredAt": _said(record.occurred_at),
            "orderVersion": record.order_version,
            "lines": None if ids is None else list(ids),
        }

    def _line(self, line: m.Line, on: dict[str, str]) -> dict[str, Any]:
        told = {"lineId": line.line_id, "kind": line.kind, "amount": line.amount}
        if not line.is_certificate:
            return told
        name = on[line.line_id]
        return told | {"certificateId": self.certificates[name], "reservationId": self.reservations[name]}

    def _payment(self, record: m.PaymentMessage) -> dict[str, Any]:
        told = {
            "eventId": self._event_id(),
            "eventType": KINDS[type(record)],
            "occurredAt": _said(record.occurred_at),
            "channel": "im",
            "orderId": self.order_id,
            "paymentId": self._mine(record.payment_id),
            "captureId": self._mine(record.key),
            "tender": record.tender,
            "amount": record.amount,
            "currency": record.currency,
        }
        if isinstance(record, m.PaymentRefunded):
            told["refundId"] = self._mine(record.refund_id)
        if not isinstance(record, m.PaymentVoided) and record.allocations:
            told["allocations"] = [
                {"lineId": one.line_id, "amount": one.amount} for one in record.allocations
            ]
        if record.tender == "giftCertificate":
            told["certificateId"] = self.payer
        return told

    def _mine(self, name: str) -> str:
        return f"{self.order_id}/{name}"

    def _event_id(self) -> str:
        return self._mine(f"event-{next(self.event_ids)}")


def _said(at: datetime) -> str:
    return at.isoformat()


async def prepare(store: Store, sales: Sequence[TopicSale]) -> None:
    """Put the sales' certificates into the pool and reserve those that are sold."""
    payers = [sale.payer for sale in sales]
    reservations = {
        certificate_id: sale.reservations[name]
        for sale in sales
        for name, certificate_id in sale.certificates.items()
    }
    await add_certificates(store.engine, len(sales), [*reservations, *payers])
    await reserve_all(store.engine, reservations)


@dataclass(frozen=True)
class Outcome:
    """Where a sale's certificates stand, and what was told of each."""

    states: dict[str, CertificateState]
    events: dict[str, list[tuple[str, dict[str, Any]]]]

    @classmethod
    async def of(cls, leading: Leading, sale: TopicSale) -> "Outcome":
        of = {**sale.certificates, "payer": sale.payer}
        return cls(
            {name: await leading.state(one) for name, one in of.items()},
            {name: await told(leading.engine, one) for name, one in of.items()},
        )

    def comparable(self, sale: TopicSale) -> dict[str, list[str]]:
        """All that must not depend on the order of arrival, by the names that runs share."""
        return {
            name: [
                sale.words(encode_state(state)),
                *(sale.words(_in_words(one)) for one in self.events[name]),
            ]
            for name, state in self.states.items()
        }


def _in_words(event: tuple[str, dict[str, Any]]) -> str:
    event_type, payload = event
    compared = {name: value for name, value in sorted(payload.items()) if name not in NOT_COMPARED}
    return f"{event_type} {compared}"
