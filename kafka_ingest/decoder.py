"""Decoder: of each record only what decides whether it matters here."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from giftcert.contracts.clients import ClientRecord, decode_client
from giftcert.contracts.inputs import MalformedRecord, UnknownEventTypeError, require_known_channel
from giftcert.contracts.orders import STATED_TYPES, AnyOrder, decode_order, probe_order
from giftcert.contracts.payments import PaymentRecord
from kafka_ingest.quarantine import TOO_LARGE, UNDECODABLE_BATCH, Outcomes, failed, malformed
from kafka_ingest.records import InputRecord, Topics, size_of, written_at
from kafka_ingest.undecodable_batches import UNDECODABLE

Payment: TypeAlias = tuple[InputRecord, PaymentRecord]
Client: TypeAlias = tuple[InputRecord, ClientRecord]


@dataclass(slots=True)
class DecodedBatch(Outcomes):
    """A batch as decoded so far: an order message, beside its order's id, only where it names a certificate."""

    orders: list[tuple[InputRecord, str, AnyOrder | None]] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)

    @property
    def order_ids(self) -> set[str]:
        """The orders that anything is said about."""
        ids = {order_id for _, order_id, _ in self.orders}
        ids.update([payment.order_id for _, payment in self.payments])
        return ids


def decode(records: Iterable[InputRecord], topics: Topics, record_limit: int) -> DecodedBatch:
    """Decode records in their order; what cannot be decoded becomes a rejection, an unknown type is counted."""
    batch = DecodedBatch()
    for record in records:
        if record.timestamp_type == UNDECODABLE:
            [(error, _)] = record.headers
            batch.reject(malformed(record, UNDECODABLE_BATCH, f"the batch cannot be decoded: {error}"))
            continue
        size = size_of(record.key) + size_of(record.value)
        if size > record_limit:
            detail = f"key and value have {size} bytes, and the limit is {record_limit}"
            batch.reject(malformed(record, TOO_LARGE, detail))
            continue
        try:
            _decode(record, batch, topics)
        except UnknownEventTypeError:
            batch.count(record, "unknownType")
        except MalformedRecord as error:
            batch.reject(malformed(record, error.reason, error.detail))
        except Exception as error:  # noqa: BLE001 - a bug of ours must not stop the partition
            batch.reject(failed(record, error))
    return batch


def _decode(record: InputRecord, batch: DecodedBatch, topics: Topics) -> None:
    if record.topic == topics.payments:
        batch.payments.append((record, topics.decode_payment(record.value)))
    elif record.topic == topics.clients:
        batch.clients.append((record, decode_client(record.key, record.value, written_at(record))))
    else:
        probe = probe_order(record.value)
        # Stated without lines, nobody knows what is sold; decoding says what is wrong with it.
        matters = probe.names_certificate or (probe.lines is None and probe.event_type in STATED_TYPES)
        order = decode_whole(record, topics) if matters else None
        batch.orders.append((record, probe.order_id, order))


def decode_whole(record: InputRecord, topics: Topics) -> AnyOrder:
    """Return an order message that matters.

    Raises:
        MalformedRecord: it breaks the contract, or no worker would lead the certificates of its channel.
    """
    order = decode_order(record.value)
    require_known_channel(order.channel, topics.channels)
    return order
