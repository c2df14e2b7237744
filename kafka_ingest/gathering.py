"""What a correlation gathers on its way: messages admitted once, deliveries, and the orders as they become. Pure."""

from enum import Enum

from giftcert.contracts.codec import encode_message
from giftcert.contracts.identity import content
from giftcert.contracts.orders import AnyOrder
from giftcert.contracts.orders import identity as order_identity
from giftcert.contracts.payments import PaymentRecord
from giftcert.contracts.payments import identity as payment_identity
from giftcert.domain.messages import Message
from giftcert.storage.clients import StoredClient
from giftcert.storage.deliveries import NewDelivery
from giftcert.storage.inbox import InboxMessage
from kafka_ingest.ledger import Ledger
from kafka_ingest.plan import Known, Plan
from kafka_ingest.rejection import contradiction
from kafka_ingest.source import SourceRecord
from kafka_ingest.topics import Topics


class Admission(Enum):
    """Whether a message was seen before; the values name what is counted."""

    NEW = "new"
    REPEAT = "repeat"
    CONTRADICTION = "contradiction"


class Gathering:
    """The plan as far as it goes, over what was known at first and what the batch has added.

    ``replaying``: the records lay in quarantine, and somebody waits to hear whether they are good now.
    """

    def __init__(self, known: Known, topics: Topics, *, replaying: bool = False) -> None:
        self.known = known
        self.topics = topics
        self.replaying = replaying
        self.plan = Plan()
        self.clients: dict[str, StoredClient] = dict(known.clients)
        self.merges: dict[str, list[str]] = {}
        self._contents = dict(known.contents)
        self._ledgers: dict[str, Ledger] = {}
        self._told: set[tuple[str, str]] = set()

    @property
    def ledgers(self) -> list[Ledger]:
        """All orders that were asked for."""
        return list(self._ledgers.values())

    def ledger(self, order_id: str) -> Ledger | None:
        """Return an order that holds or held a certificate, or ``None``."""
        if order_id not in self._ledgers and order_id in self.known.orders:
            history = self.known.histories.get(order_id, ())
            self._ledgers[order_id] = Ledger.of(self.known.orders[order_id], history)
        return self._ledgers.get(order_id)

    def open_ledger(self, order_id: str) -> Ledger:
        """Return the ledger of an order, a new one where there is none."""
        return self.ledger(order_id) or self._ledgers.setdefault(order_id, Ledger(order_id))

    def admit(self, source: SourceRecord, record: AnyOrder | PaymentRecord) -> Admission:
        """Put a message into the inbox, unless it was seen before; one that says something else is rejected."""
        identity = payment_identity(record) if isinstance(record, PaymentRecord) else order_identity(record)
        said, before = content(record), self._contents.get(identity)
        if before is None:
            self._contents[identity] = said
            self.plan.inbox.append(_inbox_message(source, record, identity, said))
            admission = Admission.NEW
        elif before == said:
            admission = Admission.REPEAT
        else:
            self.plan.rejections.append(contradiction(source, record, identity, said))
            admission = Admission.CONTRADICTION
        self.count(source, admission.value)
        return admission

    def tell(self, certificate_id: str, message: Message, channel: str) -> None:
        """Deliver a message to a certificate, once; ``channel`` names the task queue of a workflow it may start."""
        if (certificate_id, message.key) in self._told:
            return
        self._told.add((certificate_id, message.key))
        delivery = NewDelivery(certificate_id, message.key, channel, encode_message(message))
        self.plan.deliveries.append(delivery)

    def served_channel(self, *candidates: str | None) -> str:
        """Return the first of the channels that has workers; any, where none of them has."""
        served = self.topics.channels
        return next((one for one in candidates if one in served), served[0])

    def count(self, source: SourceRecord, outcome: str) -> None:
        """Count a record of a topic under its outcome."""
        self.plan.counts[source.topic, outcome] += 1


def _inbox_message(
    source: SourceRecord, record: AnyOrder | PaymentRecord, identity: str, said: bytes
) -> InboxMessage:
    return InboxMessage(
        identity=identity,
        content=said,
        order_id=record.order_id,
        topic=source.topic,
        partition=source.partition,
        offset=source.offset,
        event_id=record.event_id,
        event_type=record.event_type,
        original=source.value or b"",  # a message was decoded from it, so it is there
    )
