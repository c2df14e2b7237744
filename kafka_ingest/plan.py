"""What the correlation rests on, and what it says is to be written."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from giftcert.contracts.records import EventRecord
from giftcert.storage.clients import StoredClient
from giftcert.storage.deliveries import NewDelivery
from giftcert.storage.inbox import InboxMessage, PastMessage
from giftcert.storage.orders import KnownOrder, UnknownLine
from kafka_ingest.reading import Payment
from kafka_ingest.rejection import Rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was stored of the orders, certificates and clients that a batch names.

    ``certificates``: those that are ours, with their channel. ``contents``: what messages already in the inbox say.
    ``histories``: all messages of those orders that a certificate may join late. ``buyers``: by client id, the
    certificates to be told of a client.
    """

    orders: Mapping[str, KnownOrder] = field(default_factory=dict)
    certificates: Mapping[str, str | None] = field(default_factory=dict)
    contents: Mapping[str, bytes] = field(default_factory=dict)
    histories: Mapping[str, list[PastMessage]] = field(default_factory=dict)
    clients: Mapping[str, StoredClient] = field(default_factory=dict)
    buyers: Mapping[str, list[tuple[str, str | None]]] = field(default_factory=dict)
    payments_were_dropped: bool = False


@dataclass(slots=True)
class Plan:
    """What one transaction writes. ``unmatched`` are payments to keep until their order names a certificate."""

    inbox: list[InboxMessage] = field(default_factory=list)
    deliveries: list[NewDelivery] = field(default_factory=list)
    orders: list[KnownOrder] = field(default_factory=list)
    mappings: list[tuple[str, str]] = field(default_factory=list)
    unknown_lines: dict[tuple[str, str], UnknownLine] = field(default_factory=dict)
    forgotten_lines: set[tuple[str, str]] = field(default_factory=set)
    clients: dict[str, StoredClient] = field(default_factory=dict)
    unmatched: list[Payment] = field(default_factory=list)
    alerts: list[tuple[str, EventRecord]] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def note_unknown(self, order_id: str, line_id: str, line: UnknownLine) -> None:
        """Write a line that names a certificate we never made; the last word on a line counts."""
        self.unknown_lines[order_id, line_id] = line
        self.forgotten_lines.discard((order_id, line_id))

    def forget_unknown(self, order_id: str, line_id: str) -> None:
        """Delete such a line: it names a certificate of ours by now."""
        self.unknown_lines.pop((order_id, line_id), None)
        self.forgotten_lines.add((order_id, line_id))
