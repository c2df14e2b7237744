"""Records of the input topics, as Kafka gave them or as they were kept, and what their topics are called."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Self

from giftcert.contracts.payment_formats import PaymentDecoder, payment_decoder
from giftcert.contracts.payments import decode_payment
from giftcert.settings import Settings
from giftcert.storage.quarantine import Place

_LATEST_MILLISECONDS = 4_102_444_800_000
"""The year 2100: beyond it a record's own time is a producer's mistake, and datetime ends with the year 9999."""


@dataclass(frozen=True, slots=True)
class InputRecord:
    """A record, or aiokafka's ``ConsumerRecord`` of the same fields; ``timestamp`` in milliseconds since 1970."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = 0
    timestamp_type: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()
    checksum: None = None


KEPT_OF_TOO_LARGE = 65_536
"""Bytes kept of what is above the size limit."""


class CutBytes(bytes):
    """The beginning of a key or value that is too large to be kept, with its whole size and SHA-256."""

    size: int
    sha256: bytes

    @classmethod
    def of(cls, pieces: Iterable[bytes | memoryview]) -> Self:
        """Keep what is kept of bytes that come in pieces."""
        beginning, digest, size = bytearray(), sha256(), 0
        for piece in pieces:
            digest.update(piece)
            size += len(piece)
            beginning += piece[: KEPT_OF_TOO_LARGE - len(beginning)]
        cut = cls(beginning)
        cut.size, cut.sha256 = size, digest.digest()
        return cut


def size_of(data: bytes | None) -> int:
    """Return how many bytes there were, whatever is kept of them."""
    return data.size if isinstance(data, CutBytes) else len(data or b"")


@dataclass(frozen=True, slots=True)
class Topics:
    """The three input topics, the channels whose orders can be led, and what decodes a payment."""

    orders: str
    payments: str
    clients: str
    channels: tuple[str, ...]
    decode_payment: PaymentDecoder = decode_payment

    @classmethod
    def of(cls, settings: Settings) -> "Topics":
        """Return the topics of the settings."""
        names = (settings.topic_orders, settings.topic_payments, settings.topic_clients)
        return cls(*names, settings.channels, payment_decoder(settings))

    @property
    def names(self) -> tuple[str, str, str]:
        """All three."""
        return self.orders, self.payments, self.clients

    def served_channel(self, *candidates: str | None) -> str:
        """Return the first of the channels that has workers; any, where none of them has."""
        return next((one for one in candidates if one in self.channels), self.channels[0])


def place_of(record: InputRecord) -> Place:
    """Return where the record stands."""
    return record.topic, record.partition, record.offset


def partitions_of(records: Iterable[InputRecord]) -> set[tuple[str, int]]:
    """Return the partitions, as (topic, number), that records stand in."""
    return {(record.topic, record.partition) for record in records}


def written_at(record: InputRecord) -> datetime:
    """Return when the record was written, by its producer's or broker's clock, within the calendar."""
    return datetime.fromtimestamp(min(max(0, record.timestamp), _LATEST_MILLISECONDS) / 1000, UTC)
