"""Decoder: of the broker's batches, each record, and of each record only what tells whether it matters here.

aiokafka decodes batches deep inside its fetcher, where an unknown compression or broken bytes end the consumer, and
would end every one after it. So its reader of batches is replaced by one that outlasts them: a batch that cannot be
decoded becomes a single record, which is quarantined.
"""

import struct
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from aiokafka.consumer import fetcher
from aiokafka.record.memory_records import MemoryRecords

from giftcert.contracts.clients import ClientRecord, decode_client
from giftcert.contracts.inputs import MalformedRecord, UnknownEventTypeError, require_known_channel
from giftcert.contracts.orders import STATED_TYPES, AnyOrder, decode_order, probe_order
from giftcert.contracts.payments import PaymentRecord, decode_payment
from kafka_ingest.quarantine import TOO_LARGE, UNDECODABLE_BATCH, Outcomes, Rejection, failed, malformed
from kafka_ingest.records import InputRecord, Topics, written_at

Payment: TypeAlias = tuple[InputRecord, PaymentRecord]
Client: TypeAlias = tuple[InputRecord, ClientRecord]

_HEADER = struct.Struct(">qi")
"""Base offset, and the length of what follows."""
_LAST_OFFSET_DELTA, _MAX_TIMESTAMP = 23, 35
"""Where they stand in a batch of format 2."""
UNDECODABLE = -1
"""The ``timestamp_type`` of such a record, which no producer can give to one of its own."""
_CORRUPT_TIMES = 3
"""Bytes that fail their checksum are fetched again: the network may have changed them, and not the disk."""


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
        value = record.value
        if value is not None and len(value) > record_limit:
            batch.reject(malformed(record, TOO_LARGE, f"the record has more than {record_limit} bytes"))
            continue
        try:
            _decode(record, batch, topics)
        except UnknownEventTypeError:
            batch.count(record, "unknownType")
        except MalformedRecord as error:
            batch.reject(_undecodable(record) or malformed(record, error.reason, error.detail))
        except Exception as error:  # noqa: BLE001 - a bug of ours must not stop the partition
            batch.reject(failed(record, error))
    return batch


def _decode(record: InputRecord, batch: DecodedBatch, topics: Topics) -> None:
    if record.topic == topics.payments:
        batch.payments.append((record, decode_payment(record.value)))
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


def _undecodable(record: InputRecord) -> Rejection | None:
    """Return the rejection of what stands for a whole batch; its bytes are no JSON, so it is asked for only then."""
    if record.timestamp_type != UNDECODABLE:
        return None
    [(error, _)] = record.headers
    return malformed(record, UNDECODABLE_BATCH, f"the batch cannot be decoded: {error}")


# Batches of the broker --------------------------------------------------------------------------------


class IsolatingRecords:
    """Takes the place of aiokafka's ``MemoryRecords``; a batch is decoded only when it is iterated."""

    def __init__(self, data: bytes) -> None:
        self._size = len(data)
        self._batches = deque(map(IsolatingBatch, _batches(data)))

    def size_in_bytes(self) -> int:
        """How many bytes were fetched."""
        return self._size

    def has_next(self) -> bool:
        """Whether a whole batch is left."""
        return bool(self._batches)

    def next_batch(self) -> "IsolatingBatch | None":
        """Return the next batch."""
        return self._batches.popleft() if self._batches else None


def _batches(data: bytes) -> Iterator[bytes]:
    """Yield the bytes of each batch; the last one may be cut off, and comes again."""
    position = 0
    while len(data) - position >= _HEADER.size:
        _, length = _HEADER.unpack_from(data, position)
        end = position + _HEADER.size + max(0, length)
        if end > len(data):
            return
        yield data[position:end]
        position = end


class IsolatingBatch:
    """One batch: its records, or the one that stands for all of them."""

    _corrupt: ClassVar[Counter[tuple[int, int]]] = Counter()

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.base_offset: int = _HEADER.unpack_from(data)[0]
        self.is_control_batch = False
        self._error: Exception | None = None
        try:
            self._batch: Any = MemoryRecords(data).next_batch()
            self.is_control_batch = bool(self._batch.is_control_batch)
        except Exception as error:  # noqa: BLE001 - whatever is in it, it must not stop the partition
            self._error = error

    def validate_crc(self) -> bool:
        """Whether the bytes are as they were written; after some attempts they count as the record that they are."""
        if self._error is not None or self._batch.validate_crc():
            return True
        place = (self.base_offset, hash(self._data))
        self._corrupt[place] += 1
        if self._corrupt[place] < _CORRUPT_TIMES:
            return False
        del self._corrupt[place]
        self._error = ValueError("checksum")
        return True

    @property
    def next_offset(self) -> int:
        """The offset behind its last record."""
        if self._error is None:
            return int(self._batch.next_offset)
        if len(self._data) < _MAX_TIMESTAMP:
            return self.base_offset + 1
        return self.base_offset + 1 + max(0, int(struct.unpack_from(">i", self._data, _LAST_OFFSET_DELTA)[0]))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - what else aiokafka asks a batch
        return None if self._error is not None else getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        """Decode the whole batch, so that it is either its records or one that stands for them."""
        if self._error is None:
            try:
                return iter(list(self._batch))
            except Exception as error:  # noqa: BLE001 - whatever is in it, it must not stop the partition
                self._error = error
        return iter([self._undecodable(self._error)])

    def _undecodable(self, error: Exception) -> InputRecord:
        whole = len(self._data) >= _MAX_TIMESTAMP + 8
        return InputRecord(
            topic="",  # aiokafka adds topic and partition
            partition=0,
            offset=self.base_offset,
            key=None,
            value=self._data,
            timestamp=int(struct.unpack_from(">q", self._data, _MAX_TIMESTAMP)[0]) if whole else 0,
            timestamp_type=UNDECODABLE,
            headers=((type(error).__name__, b""),),
        )


def records_in(data: bytes) -> list[Any]:
    """Return the records of a batch that could not be decoded before.

    Raises:
        Exception: it still cannot.
    """
    batch: Any = MemoryRecords(data).next_batch()
    return list(batch)


def isolate_undecodable_batches() -> None:
    """Have every consumer of this process outlast what it cannot decode."""
    fetcher.MemoryRecords = IsolatingRecords
