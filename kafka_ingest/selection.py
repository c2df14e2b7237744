"""What of a reading has to be correlated, once the known orders are looked up. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from giftcert.contracts.checks import require_known_channel
from giftcert.contracts.malformed import MalformedRecord
from giftcert.contracts.orders import AnyOrder, StatedOrder, decode_order
from kafka_ingest.reading import Client, Payment, Reading
from kafka_ingest.rejection import Rejection, malformed, waits_for_earlier
from kafka_ingest.source import SourceRecord
from kafka_ingest.topics import Topics


@dataclass(slots=True)
class Selection:
    """Messages that may be about a certificate, in the order of their partitions; the rest of the payments."""

    orders: list[tuple[SourceRecord, AnyOrder]] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    unmatched: list[Payment] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing to correlate."""
        return not (self.orders or self.payments or self.clients)

    @property
    def customer_ids(self) -> set[str]:
        """The buyers of the orders."""
        stated = (order for _, order in self.orders if isinstance(order, StatedOrder))
        return {order.customer_id for order in stated if order.customer_id is not None}

    @property
    def named_certificates(self) -> set[str]:
        """The certificate ids that lines and payments name, as far as they can be ours."""
        stated = (order for _, order in self.orders if isinstance(order, StatedOrder))
        named = {line.certificate_id for order in stated for line in order.certificate_lines}
        named.update(payment.spent_certificate_id for _, payment in self.payments)
        return {one for one in named if one is not None and is_certificate_id(one)}


def select(
    reading: Reading, known: Collection[str], topics: Topics, held_up: Mapping[str, int] | None = None
) -> Selection:
    """Return what may be about a certificate: orders that name one, known orders, their payments, spending.

    Args:
        reading: the batch.
        known: the orders that are known to hold certificates.
        topics: names of the topics, and the channels.
        held_up: orders with a message in quarantine, and its offset. What follows it and would leave nothing, as the
            order is not known, waits for it.
    """
    relevant = {order_id for _, order_id, names in reading.orders if names} | set(known)
    selection = Selection(clients=reading.clients, rejections=list(reading.rejections))
    _select_orders(
        reading, _Orders(relevant, set(known), _held_up(reading, held_up or {})), topics, selection
    )
    for payment in reading.payments:
        record = payment[1]
        matters = record.order_id in relevant or record.spent_certificate_id is not None
        (selection.payments if matters else selection.unmatched).append(payment)
    return selection


def is_certificate_id(text: str) -> bool:
    """Return whether a text has the form of our certificate ids: a UUID in lower case with hyphens."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


@dataclass(slots=True)
class _Orders:
    """Orders of a batch: those that may hold a certificate, those that do by now, those with one in quarantine."""

    relevant: set[str]
    opened: set[str]
    held_up: dict[str, int]

    def waits(self, source: SourceRecord, order_id: str, *, names: bool) -> bool:
        """Whether a message would leave nothing only because an earlier one is in quarantine."""
        if not self.held_up or names or order_id in self.opened:
            return False
        return self.held_up.get(order_id, source.offset) < source.offset


def _held_up(reading: Reading, stored: Mapping[str, int]) -> dict[str, int]:
    held_up = {
        one.order_id: one.source.offset for one in reversed(reading.rejections) if one.order_id is not None
    }
    return held_up | dict(stored)


def _select_orders(reading: Reading, orders: _Orders, topics: Topics, selection: Selection) -> None:
    for source, order_id, names in reading.orders:
        if orders.waits(source, order_id, names=names):
            selection.rejections.append(waits_for_earlier(source, order_id))
        elif order_id in orders.relevant:
            try:
                selection.orders.append((source, _decoded(source, topics)))
            except MalformedRecord as error:
                selection.rejections.append(malformed(source, error, order_id))
                orders.held_up.setdefault(order_id, source.offset)
            else:
                if names:
                    orders.opened.add(order_id)


def _decoded(source: SourceRecord, topics: Topics) -> AnyOrder:
    order = decode_order(source.value)
    if not isinstance(order, AnyOrder):
        raise TypeError("the type was known when the record was probed")
    require_known_channel(order.channel, topics.channels)  # no worker would lead its certificates
    return order
