"""Reading a batch: of each record only what tells whether it matters. Pure; most records end here."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias

from giftcert.contracts.clients import ClientRecord, decode_client
from giftcert.contracts.malformed import MalformedRecord, UnknownEventType
from giftcert.contracts.orders import STATED_TYPES, decode_order, probe_order
from giftcert.contracts.payments import PaymentRecord, decode_payment
from kafka_ingest.rejection import Rejection, malformed, order_of
from kafka_ingest.source import SourceRecord
from kafka_ingest.topics import Topics

Payment: TypeAlias = tuple[SourceRecord, PaymentRecord]
Client: TypeAlias = tuple[SourceRecord, ClientRecord]


@dataclass(slots=True)
class Reading:
    """A batch as read.

    ``orders`` are not decoded yet: record, order id, whether a certificate is named. ``counts`` says how many
    records of a topic had which outcome.
    """

    orders: list[tuple[SourceRecord, str, bool]] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def goods(self) -> list[str]:
        """The orders of messages that name no certificate."""
        return [order_id for _, order_id, names in self.orders if not names]

    @property
    def order_ids(self) -> set[str]:
        """The orders that anything is said about."""
        ids = {order_id for _, order_id, _ in self.orders}
        ids.update([payment.order_id for _, payment in self.payments])
        return ids


def read(records: Iterable[SourceRecord], topics: Topics) -> Reading:
    """Read records in their order; a malformed one becomes a rejection, one of an unknown type is counted."""
    reading = Reading()
    readers = {topics.orders: _read_order, topics.payments: _read_payment, topics.clients: _read_client}
    for record in records:
        try:
            readers[record.topic](record, reading)
        except MalformedRecord as error:
            order_id = order_of(record) if record.topic == topics.orders else None
            reading.rejections.append(malformed(record, error, order_id))
    return reading


def _read_order(record: SourceRecord, reading: Reading) -> None:
    probe = probe_order(record.value)
    if isinstance(probe, UnknownEventType):
        reading.counts[record.topic, "unknownType"] += 1
        return
    if probe.lines is None and probe.event_type in STATED_TYPES:
        decode_order(record.value)  # says what is wrong with it: without lines nobody knows what is sold
    reading.orders.append((record, probe.order_id, probe.names_certificate))


def _read_payment(record: SourceRecord, reading: Reading) -> None:
    payment = decode_payment(record.value)
    if isinstance(payment, UnknownEventType):
        reading.counts[record.topic, "unknownType"] += 1
        return
    reading.payments.append((record, payment))


def _read_client(record: SourceRecord, reading: Reading) -> None:
    written_at = datetime.fromtimestamp(max(0, record.timestamp) / 1000, UTC)
    client = decode_client(record.key, record.value, written_at)
    if isinstance(client, UnknownEventType):
        reading.counts[record.topic, "unknownType"] += 1
        return
    reading.clients.append((record, client))
