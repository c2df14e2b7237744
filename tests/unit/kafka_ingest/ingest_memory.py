"""Storage in memory: what plans write is known to the next batch, as the real one does it in PostgreSQL."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import msgspec

from giftcert.contracts.codec import decode_message
from giftcert.contracts.orders import StatedOrder
from giftcert.contracts.payments import PaymentRecord
from giftcert.domain.messages import Message
from giftcert.storage.clients import StoredClient
from giftcert.storage.inbox import InboxMessage, PastMessage
from giftcert.storage.orders import KnownOrder
from kafka_ingest.correlation import correlate
from kafka_ingest.plan import Known, Plan
from kafka_ingest.reading import Payment, read
from kafka_ingest.rejection import Rejection
from kafka_ingest.selection import select
from kafka_ingest.source import KeptRecord
from kafka_ingest.topics import Topics
from tests.unit.contracts.topic_records import raw

TOPICS = Topics("orders", "payments", "clients", ("im", "pos"))


def certificate(number: int) -> str:
    return str(UUID(int=number))


@dataclass
class Memory:
    """Everything that ingest stores, and the records that come."""

    certificates: dict[str, str | None] = field(default_factory=dict)
    orders: dict[str, KnownOrder] = field(default_factory=dict)
    inbox: list[InboxMessage] = field(default_factory=list)
    told: dict[str, list[Message]] = field(default_factory=dict)
    channels: dict[str, list[str]] = field(default_factory=dict)
    unmatched: list[Payment] = field(default_factory=list)
    clients: dict[str, StoredClient] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)
    alerts: list[Any] = field(default_factory=list)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    payments_were_dropped: bool = False
    offsets: dict[str, int] = field(default_factory=dict)

    def with_certificates(self, *numbers: int, channel: str | None = "im") -> "Memory":
        self.certificates |= {certificate(number): channel for number in numbers}
        return self

    def record(self, topic: str, value: Any, key: str = "k") -> KeptRecord:
        """The next record of a topic's only partition."""
        offset = self.offsets[topic] = self.offsets.get(topic, -1) + 1
        body = value if isinstance(value, bytes | None) else raw(value)
        return KeptRecord(topic, 0, offset, key.encode(), body, 1_763_892_000_000)

    def comes(self, *records: KeptRecord) -> Plan:
        """One batch comes and is committed."""
        reading = read(records, TOPICS)
        known_orders = {one: self.orders[one] for one in reading.order_ids if one in self.orders}
        selection = select(reading, known_orders, TOPICS)
        new = {order.order_id for _, order in selection.orders if order.order_id not in known_orders}
        waited = [one for one in self.unmatched if one[1].order_id in new]
        self.unmatched = [one for one in self.unmatched if one not in waited]
        plan = correlate(selection, [_as_kept(one) for one in waited], self._known(known_orders), TOPICS)
        self._write(plan)
        return plan

    def ordered(self, value: Any) -> Plan:
        return self.comes(self.record("orders", value))

    def paid(self, value: Any) -> Plan:
        return self.comes(self.record("payments", value))

    def described(self, value: Any, key: str = "C-77") -> Plan:
        return self.comes(self.record("clients", value, key))

    def messages(self, number: int, kind: type[Message] | None = None) -> list[Any]:
        """What a certificate was told, in order."""
        told = self.told.get(certificate(number), [])
        return [message for message in told if kind is None or isinstance(message, kind)]

    def reasons(self) -> list[str]:
        return [rejection.notice.reason for rejection in self.rejections]

    def _known(self, orders: dict[str, KnownOrder]) -> Known:
        histories: dict[str, list[PastMessage]] = {}
        for one in self.inbox:
            past = PastMessage(
                one.order_id,
                one.identity,
                one.topic,
                one.partition,
                one.offset,
                one.event_type,
                one.original,
            )
            histories.setdefault(one.order_id, []).append(past)
        return Known(
            orders=orders,
            certificates=self.certificates,
            contents={one.identity: one.content for one in self.inbox},
            histories=histories,
            clients=self.clients,
            buyers=self._buyers(),
            payments_were_dropped=self.payments_were_dropped,
        )

    def _buyers(self) -> dict[str, list[tuple[str, str | None]]]:
        buyers: dict[str, list[tuple[str, str | None]]] = {}
        for order in self.orders.values():
            for one in order.certificates:
                buyers.setdefault(order.customer_id or "", []).append((one, order.snapshot.channel))
        return buyers

    def _write(self, plan: Plan) -> None:
        for order in plan.orders:
            before = self.orders.get(order.order_id)
            kept = (before.certificates, before.unknown_lines) if before else ((), {})
            self.orders[order.order_id] = replace(order, certificates=kept[0], unknown_lines=dict(kept[1]))
        for order_id, one in plan.mappings:
            order = self.orders[order_id]
            self.orders[order_id] = replace(order, certificates=(*order.certificates, one))
        for (order_id, line_id), line in plan.unknown_lines.items():
            self.orders[order_id].unknown_lines[line_id] = line
        for order_id, line_id in plan.forgotten_lines:
            self.orders[order_id].unknown_lines.pop(line_id, None)
        known = {one.identity for one in self.inbox}
        assert known.isdisjoint(one.identity for one in plan.inbox), "the inbox has a message twice"
        self.inbox += plan.inbox
        for delivery in plan.deliveries:
            told = self.told.setdefault(delivery.certificate_id, [])
            if delivery.key not in {message.key for message in told}:
                told.append(decode_message(delivery.message))
                self.channels.setdefault(delivery.certificate_id, []).append(delivery.channel)
        self.unmatched += plan.unmatched
        self.clients |= plan.clients
        self.rejections += plan.rejections
        self.alerts += plan.alerts
        for outcome, count in plan.counts.items():
            self.counts[outcome] = self.counts.get(outcome, 0) + count


def _as_kept(payment: Payment) -> Payment:
    """A payment as it comes back from its compact row: the original bytes are gone."""
    source, record = payment
    value = msgspec.json.encode(record)
    return KeptRecord(source.topic, source.partition, source.offset, b"", value), record


def in_batches(records: list[KeptRecord], sizes: Iterable[int]) -> list[list[KeptRecord]]:
    """The records in batches of these sizes, the rest in one."""
    batches, rest = [], list(records)
    for size in sizes:
        batches.append(rest[:size])
        rest = rest[size:]
    return [batch for batch in (*batches, rest) if batch]


__all__ = ["TOPICS", "Memory", "PaymentRecord", "StatedOrder", "certificate", "in_batches"]
