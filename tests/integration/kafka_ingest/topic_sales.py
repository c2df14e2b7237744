"""Whole sales as records of the real topics, taken from the sales that the domain's properties draw."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import uuid4

from giftcert.domain.certificate.state import CertificateState
from giftcert.domain.order import messages as o
from giftcert.storage.certificates import encode_state
from kafka_ingest.records import InputRecord
from tests.integration.kafka_ingest.ingest_store import Store, add_certificates, reserve_all
from tests.integration.kafka_ingest.leading import Leading, recorded
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.orders_of_arrival import Record

PARTITIONS = 3
KINDS = {
    o.PaymentAuthorized: "payment.authorized",
    o.PaymentCaptured: "payment.captured",
    o.PaymentVoided: "payment.voided",
    o.PaymentRefunded: "payment.refunded",
}
COMPARED = ("issue.ordered", "issue.completed", "notification.requested")
# Made anew in each run, or granted by what CRM had said by then.
NOT_COMPARED = ("notificationId", "refundCaseId", "preferredChannel", "locale", "suppressed")
_MADE_ANEW = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|/event-\d+")


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
        named = {
            line.certificate_id for one in records if isinstance(one, o.OrderStated) for line in one.lines
        }
        certificates = {name: str(uuid4()) for name in sorted(one for one in named if one is not None)}
        return cls(
            nth=nth,
            order_id=f"{run}-{nth}",
            certificates=certificates,
            reservations={name: str(uuid4()) for name in certificates},
            payer=str(uuid4()),
        )

    def record(self, store: Store, record: Record) -> InputRecord:
        """The next record of its topic, under an event id that no other has."""
        partition = self.nth % PARTITIONS
        if isinstance(record, o.OrderVersion):
            return store.order_record(self._order(record), partition)
        return store.payment_record(self._payment(record), partition)

    def client(self, store: Store) -> InputRecord:
        value = {
            "eventId": self._event_id(),
            "eventType": "client.updated",
            "occurredAt": make.NOON.isoformat(),
            "clientId": self._mine("C"),
            "locale": "ru-RU",
        }
        return store.client_record(value, self._mine("C"))

    def words(self, text: str) -> str:
        """The text with the names that runs share in place of this run's ids, and without what is made anew."""
        for name, certificate_id in self.certificates.items():
            text = text.replace(certificate_id, name).replace(self.reservations[name], f"R-{name}")
        text = text.replace(self.payer, "payer").replace(self.order_id, "ORDER")
        return _MADE_ANEW.sub("new", text)

    def _order(self, record: o.OrderVersion) -> dict[str, Any]:
        common = {
            "eventId": self._event_id(),
            "channel": "im",
            "orderId": self.order_id,
            "occurredAt": record.cause.occurred_at.isoformat(),
            "orderVersion": record.version,
        }
        if isinstance(record, o.OrderStated):
            return common | {
                "eventType": record.event_type,
                "customerId": self._mine("C"),
                "currency": "RUB",
                "total": record.total,
                "lines": [self._line(line) for line in record.lines],
            }
        cancelled = isinstance(record, o.OrderCancelled)
        return common | {
            "eventType": "order.cancelled" if cancelled else "order.returned",
            "lines": None if record.line_ids is None else list(record.line_ids),
        }

    def _line(self, line: o.OrderLine) -> dict[str, Any]:
        said = {"lineId": line.line_id, "kind": line.kind, "amount": line.amount}
        if line.certificate_id is None:
            return said
        name = line.certificate_id
        return said | {"certificateId": self.certificates[name], "reservationId": self.reservations[name]}

    def _payment(self, record: o.Payment) -> dict[str, Any]:
        said: dict[str, Any] = {
            "eventId": self._event_id(),
            "eventType": KINDS[type(record)],
            "occurredAt": record.cause.occurred_at.isoformat(),
            "channel": "im",
            "orderId": self.order_id,
            "paymentId": self._mine(record.payment_id),
            "tender": record.tender,
            "amount": record.amount,
            "currency": record.currency,
        }
        if isinstance(record, o.PaymentRefunded):
            said["refundId"] = self._mine(record.refund_id)
        elif record.capture_id is not None:
            said["captureId"] = self._mine(record.capture_id)
        if isinstance(record, o.PaymentCaptured | o.PaymentRefunded) and record.allocations:
            said["allocations"] = [
                {"lineId": one.line_id, "amount": one.amount} for one in record.allocations
            ]
        if record.tender == "giftCertificate":
            said["certificateId"] = self.payer
        return said

    def _mine(self, name: str) -> str:
        return f"{self.order_id}/{name}"

    def _event_id(self) -> str:
        return self._mine(f"event-{next(self.event_ids)}")


async def prepare(store: Store, sales: Sequence[TopicSale]) -> None:
    """Put the sales' certificates into the pool and reserve those that are sold."""
    payers = [sale.payer for sale in sales]
    reservations = {
        certificate_id: sale.reservations[name]
        for sale in sales
        for name, certificate_id in sale.certificates.items()
    }
    await add_certificates(store.database, len(sales), [*reservations, *payers])
    await reserve_all(store.database, reservations)


@dataclass(frozen=True)
class Outcome:
    """Where a sale's certificates stand, and what was recorded of each."""

    states: dict[str, CertificateState]
    events: dict[str, list[tuple[str, dict[str, Any]]]]

    @classmethod
    async def of(cls, leading: Leading, sale: TopicSale) -> "Outcome":
        of = {**sale.certificates, "payer": sale.payer}
        return cls(
            {name: await leading.state(one) for name, one in of.items()},
            {name: await recorded(leading.database, one) for name, one in of.items()},
        )

    def comparable(self, sale: TopicSale) -> dict[str, list[str]]:
        """All that must not depend on the order of arrival, by the names that runs share."""
        return {
            name: [
                sale.words(encode_state(state)),
                *(sale.words(_in_words(one)) for one in self.events[name] if one[0] in COMPARED),
            ]
            for name, state in self.states.items()
        }


def _in_words(event: tuple[str, dict[str, Any]]) -> str:
    event_type, payload = event
    compared = {name: value for name, value in sorted(payload.items()) if name not in NOT_COMPARED}
    return f"{event_type} {compared}"
