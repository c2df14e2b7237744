"""Decoder of a batch: of each record only what tells whether it matters here. Pure; most records end here."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from giftcert.contracts.clients import ClientRecord, decode_client
from giftcert.contracts.malformed import MalformedRecord, UnknownEventType
from giftcert.contracts.orders import STATED_TYPES, decode_order, probe_order
from giftcert.contracts.payments import PaymentRecord, decode_payment
from kafka_ingest.quarantine import Rejection, failed, malformed, too_large, undecodable
from kafka_ingest.record_batches import UNDECODABLE
from kafka_ingest.records import InputRecord, Topics, written_at

Payment: TypeAlias = tuple[InputRecord, PaymentRecord]
Client: TypeAlias = tuple[InputRecord, ClientRecord]


@dataclass(slots=True)
class DecodedBatch:
    """A batch as decoded so far.

    ``orders`` are not decoded whole yet: record, order id, whether a certificate is named. ``counts`` says how many
    records of a topic had which outcome.
    """

    orders: list[tuple[InputRecord, str, bool]] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def order_ids(self) -> set[str]:
        """The orders that anything is said about."""
        ids = {order_id for _, order_id, _ in self.orders}
        ids.update([payment.order_id for _, payment in self.payments])
        return ids


def decode(records: Iterable[InputRecord], topics: Topics, record_limit: int) -> DecodedBatch:
    """Decode records in their order; what cannot be decoded becomes a rejection, an unknown type is counted."""
    batch = DecodedBatch()
    decoders: dict[str, Callable[[InputRecord, DecodedBatch], None]] = {
        topics.orders: _decode_order,
        topics.payments: _decode_payment,
        topics.clients: _decode_client,
    }
    for record in records:
        value = record.value
        if value is not None and len(value) > record_limit:
            batch.rejections.append(too_large(record, record_limit))
            continue
        try:
            decoders[record.topic](record, batch)
        except MalformedRecord as error:
            batch.rejections.append(_undecoded(record) or malformed(record, error))
        except Exception as error:  # noqa: BLE001 - a bug of ours must not stop the partition
            batch.rejections.append(failed(record, error))
    return batch


def _undecoded(record: InputRecord) -> Rejection | None:
    """Return the rejection of what stands for a whole batch; its bytes are no JSON, so it is asked for only then."""
    if getattr(record, "timestamp_type", 0) != UNDECODABLE:
        return None
    headers: tuple[tuple[str, bytes], ...] = getattr(record, "headers", ())
    return undecodable(record, headers[0][0])


def _decode_order(record: InputRecord, batch: DecodedBatch) -> None:
    probe = probe_order(record.value)
    if isinstance(probe, UnknownEventType):
        batch.counts[record.topic, "unknownType"] += 1
        return
    if probe.lines is None and probe.event_type in STATED_TYPES:
        decode_order(record.value)  # says what is wrong with it: without lines nobody knows what is sold
    batch.orders.append((record, probe.order_id, probe.names_certificate))


def _decode_payment(record: InputRecord, batch: DecodedBatch) -> None:
    payment = decode_payment(record.value)
    if isinstance(payment, UnknownEventType):
        batch.counts[record.topic, "unknownType"] += 1
        return
    batch.payments.append((record, payment))


def _decode_client(record: InputRecord, batch: DecodedBatch) -> None:
    client = decode_client(record.key, record.value, written_at(record))
    if isinstance(client, UnknownEventType):
        batch.counts[record.topic, "unknownType"] += 1
        return
    batch.clients.append((record, client))
