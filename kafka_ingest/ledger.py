"""One order while a batch is correlated: its newest version, its certificates, all that was said about it. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from giftcert.contracts.order_messages import Correlated, order_message
from giftcert.contracts.orders import AnyOrder, OrderRecord, StatedOrder, WithdrawnOrder, decode_order
from giftcert.contracts.payment_messages import payment_message
from giftcert.contracts.payments import EVENT_TYPES as PAYMENT_TYPES
from giftcert.contracts.payments import PaymentRecord, decode_payment
from giftcert.domain import line_money, orders
from giftcert.domain.messages import OrderMessage, PaymentMessage
from giftcert.domain.state import OrderFacts
from giftcert.storage.inbox import PastMessage
from giftcert.storage.orders import KnownOrder, Snapshot, SnapshotLine, UnknownLine
from kafka_ingest.source import Place, SourceRecord, place_of

Told: TypeAlias = OrderMessage | PaymentMessage


@dataclass(frozen=True, slots=True)
class PastRecord:
    """A message of the order and where it stood."""

    place: Place
    record: AnyOrder | PaymentRecord

    def for_certificate(self, correlated: Correlated) -> Told:
        """Return what a certificate is told of it."""
        topic = self.place[0]
        if isinstance(self.record, PaymentRecord):
            return payment_message(self.record, topic)
        return order_message(self.record, topic, correlated)


@dataclass(slots=True)
class Ledger:
    """An order with certificates. ``history`` is whole where a certificate may join or a line is unknown."""

    order_id: str
    version: int = 0
    customer_id: str | None = None
    snapshot: Snapshot | None = None
    certificates: list[str] = field(default_factory=list)
    unknown_lines: dict[str, UnknownLine] = field(default_factory=dict)
    history: list[PastRecord] = field(default_factory=list)
    changed: bool = False

    @classmethod
    def of(cls, known: KnownOrder, history: Iterable[PastMessage]) -> "Ledger":
        """Return the ledger of a stored order."""
        return cls(
            order_id=known.order_id,
            version=known.version,
            customer_id=known.customer_id,
            snapshot=known.snapshot,
            certificates=list(known.certificates),
            unknown_lines=dict(known.unknown_lines),
            history=[_past(message) for message in history],
        )

    @property
    def channel(self) -> str:
        """The channel of the newest version, on whose task queue the certificates' workflows start."""
        return self.snapshot.channel if self.snapshot else ""

    def remember(self, source: SourceRecord, record: AnyOrder | PaymentRecord) -> PastRecord:
        """Add a message to the history."""
        past = PastRecord(place_of(source), record)
        self.history.append(past)
        return past

    def take_version(self, record: AnyOrder) -> bool:
        """Take over what a message says of the order as a whole; return ``False`` for a stale one.

        Stale is what is no newer than the last full version; cancellations and returns only say what leaves.
        """
        if record.order_version <= (self.snapshot.version if self.snapshot else 0):
            return False
        self.version, self.changed = max(self.version, record.order_version), True
        if isinstance(record, StatedOrder):
            self.snapshot, self.customer_id = _snapshot(record), record.customer_id
        return True

    def told_to_newcomer(
        self, certificate_id: str, *, earlier_payments_unknown: bool = False
    ) -> Iterator[Told]:
        """Yield all that was said as a certificate that joins now is told it: the order by version, then payments.

        Records that waited, for the order or for a fix, were seen late, but each topic has to be told in its order.
        """
        before: Snapshot | None = None
        for past in self._by_version():
            replaces = self.replaced_by(certificate_id, past.record, before)
            yield past.for_certificate(
                Correlated(
                    certificate_id=certificate_id,
                    replaces=replaces,
                    earlier_payments_unknown=earlier_payments_unknown,
                )
            )
            before = _snapshot(past.record) if isinstance(past.record, StatedOrder) else before
        payments = [past for past in self.history if isinstance(past.record, PaymentRecord)]
        for past in sorted(payments, key=lambda past: past.place):
            yield past.for_certificate(Correlated(certificate_id=certificate_id))

    def replaced_by(
        self, certificate_id: str, record: AnyOrder | PaymentRecord, before: Snapshot | None
    ) -> str | None:
        """Return the certificate of ours that the line of this one named in the full version before."""
        if before is None or not isinstance(record, StatedOrder):
            return None
        own = next((one for one in record.certificate_lines if one.certificate_id == certificate_id), None)
        named = before.certificate_on(own.line_id) if own else None
        return named if named != certificate_id and named in self.certificates else None

    def _by_version(self) -> list[PastRecord]:
        found = [
            (past.record.order_version, past) for past in self.history if isinstance(past.record, OrderRecord)
        ]
        return [past for _, past in sorted(found, key=lambda one: one[0])]

    def captured_for(self, line_id: str) -> int:
        """Return the money captured for a line by all that the history says."""
        facts = OrderFacts(order_id=self.order_id)
        for past in self.history:
            message = past.for_certificate(Correlated(certificate_id=""))
            facts = _recorded(facts, message)
        return line_money.captured_for_line(facts, line_id)

    def as_known(self) -> KnownOrder:
        """Return what is stored of the order.

        Raises:
            ValueError: no version of it was ever seen.
        """
        if self.snapshot is None:
            raise ValueError("an order without a version")
        return KnownOrder(
            order_id=self.order_id,
            version=self.version,
            customer_id=self.customer_id,
            snapshot=self.snapshot,
        )


def _snapshot(record: StatedOrder) -> Snapshot:
    lines = tuple(
        SnapshotLine(
            line.line_id, line.kind, line.amount, line.certificate_id if line.is_certificate else None
        )
        for line in record.lines
    )
    return Snapshot(record.channel, record.currency, record.total, lines, record.order_version)


def _past(message: PastMessage) -> PastRecord:
    place = (message.topic, message.partition, message.offset)
    payment = message.event_type in PAYMENT_TYPES
    record = decode_payment(message.original) if payment else decode_order(message.original)
    if not isinstance(record, PaymentRecord | StatedOrder | WithdrawnOrder):
        raise TypeError("a message of a type that was known when it came")
    return PastRecord(place, record)


def _recorded(facts: OrderFacts, message: Told) -> OrderFacts:
    if isinstance(message, OrderMessage):
        return orders.record_order(facts, message)
    return orders.record_payment(facts, message, None)
