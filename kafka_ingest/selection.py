"""What of a reading has to be correlated, once the known orders are looked up. Pure."""

from collections.abc import Collection
from dataclasses import dataclass, field
from uuid import UUID

from giftcert.contracts.checks import require_known_channel
from giftcert.contracts.malformed import MalformedRecord
from giftcert.contracts.orders import AnyOrder, StatedOrder, decode_order
from kafka_ingest.reading import Client, Payment, Reading
from kafka_ingest.rejection import Rejection, malformed
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


def select(reading: Reading, known: Collection[str], topics: Topics) -> Selection:
    """Return what may be about a certificate: orders that name one, known orders, their payments, spending."""
    relevant = {order_id for _, order_id, names in reading.orders if names} | set(known)
    selection = Selection(clients=reading.clients, rejections=list(reading.rejections))
    _select_orders(reading, relevant, topics, selection)
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


def _select_orders(reading: Reading, relevant: set[str], topics: Topics, selection: Selection) -> None:
    for source, order_id, _ in reading.orders:
        if order_id not in relevant:
            continue
        try:
            selection.orders.append((source, _decoded(source, topics)))
        except MalformedRecord as error:
            selection.rejections.append(malformed(source, error))


def _decoded(source: SourceRecord, topics: Topics) -> AnyOrder:
    order = decode_order(source.value)
    if not isinstance(order, AnyOrder):
        raise TypeError("the type was known when the record was probed")
    require_known_channel(order.channel, topics.channels)  # no worker would lead its certificates
    return order
