"""Which records concern certificates, and what a batch of them says: orders folded, spendings, clients. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import assert_never

import msgspec

from giftcert.contracts.checks import require_known_channel
from giftcert.contracts.clients import ClientRecord
from giftcert.contracts.identity import spending_content, spending_identity
from giftcert.contracts.malformed import MalformedRecord, UnknownEventType
from giftcert.contracts.orders import AnyOrder, StatedOrder, decode_order, order_message
from giftcert.contracts.payments import PaymentRecord, payment_message, spending_message
from giftcert.contracts.records import EventRecord
from giftcert.domain.cause import Cause
from giftcert.domain.clients import Recipient
from giftcert.domain.order.messages import OrderVersion, Payment
from giftcert.domain.order.order import Novelty, Order, apply, novelty, settled
from giftcert.lifecycle.order_changes import OrderChange, is_certificate_id
from giftcert.storage.orders import StoredOrder
from giftcert.storage.spendings import Spending
from kafka_ingest import quarantine
from kafka_ingest.decoder import Client, DecodedBatch
from kafka_ingest.decoder import Payment as PaymentOfBatch
from kafka_ingest.free_texts import masked_client, masked_notice, masked_recipients
from kafka_ingest.quarantine import Rejection
from kafka_ingest.records import InputRecord, Topics

_ENCODER = msgspec.json.Encoder()


@dataclass(slots=True)
class Selection:
    """Messages that may be about a certificate, in the order of their partitions; the rest of the payments."""

    orders: list[tuple[InputRecord, AnyOrder]] = field(default_factory=list)
    payments: list[PaymentOfBatch] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    unmatched: list[PaymentOfBatch] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing to correlate."""
        return not (self.orders or self.payments or self.clients)

    @property
    def spent_certificates(self) -> set[str]:
        """The certificates that payments name as their tender, as far as they can be ours."""
        spent = {payment.spent_certificate_id for _, payment in self.payments}
        return {one for one in spent if one is not None and is_certificate_id(one)}

    @property
    def spending_identities(self) -> set[str]:
        """The identities of payments that spend a certificate."""
        spending = (one for _, one in self.payments if one.spent_certificate_id is not None)
        return {spending_identity(one) for one in spending}


# Selection ------------------------------------------------------------------------------------------


def select(
    batch: DecodedBatch, known: Collection[str], topics: Topics, held_up: Mapping[str, int] | None = None
) -> Selection:
    """Return what may be about a certificate: orders that name one, known orders, their payments, spending.

    Args:
        batch: the batch as decoded.
        known: the orders that are stored.
        topics: names of the topics, and the channels.
        held_up: orders with a message in quarantine, and its offset. What follows it and would leave nothing, as the
            order is not known, waits for it.
    """
    relevant = {order_id for _, order_id, names in batch.orders if names} | set(known)
    selection = Selection(clients=batch.clients, rejections=list(batch.rejections))
    _select_orders(batch, _Orders(relevant, set(known), dict(held_up or {})), topics, selection)
    for payment in batch.payments:
        record = payment[1]
        matters = record.order_id in relevant or record.spent_certificate_id is not None
        (selection.payments if matters else selection.unmatched).append(payment)
    return selection


@dataclass(slots=True)
class _Orders:
    """Orders of a batch: those that may name a certificate, those that do by now, those with one in quarantine."""

    relevant: set[str]
    opened: set[str]
    held_up: dict[str, int]

    def waits(self, source: InputRecord, order_id: str, *, names: bool) -> bool:
        """Whether a message would leave nothing only because an earlier one is in quarantine."""
        if not self.held_up or names or order_id in self.opened:
            return False
        return self.held_up.get(order_id, source.offset) < source.offset


def _select_orders(batch: DecodedBatch, orders: _Orders, topics: Topics, selection: Selection) -> None:
    for source, order_id, names in batch.orders:
        if orders.waits(source, order_id, names=names):
            selection.rejections.append(quarantine.waits_for_earlier(source))
        elif order_id in orders.relevant:
            try:
                selection.orders.append((source, _decoded(source, topics)))
            except MalformedRecord as error:
                selection.rejections.append(quarantine.malformed(source, error))
                orders.held_up.setdefault(order_id, source.offset)
            else:
                if names:
                    orders.opened.add(order_id)


def _decoded(source: InputRecord, topics: Topics) -> AnyOrder:
    order = decode_order(source.value)
    if isinstance(order, UnknownEventType):
        raise TypeError("the type was known when the record was probed")
    require_known_channel(order.channel, topics.channels)  # no worker would lead its certificates
    return order


# Correlation ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is stored of what a batch names.

    ``spendings``: the content of those that are there, by identity. ``channels``: of the certificates of ours that
    payments spend, the channel that sold each.
    """

    orders: Mapping[str, StoredOrder] = field(default_factory=dict)
    spendings: Mapping[str, bytes] = field(default_factory=dict)
    channels: Mapping[str, str | None] = field(default_factory=dict)
    payments_were_dropped: bool = False


@dataclass(slots=True)
class FoldedOrder:
    """An order as the batch changes it; ``source`` is the newest record about it that was new, or a repeat."""

    order: Order | None
    is_new: bool
    was_too_large: bool
    said: list[OrderVersion | Payment] = field(default_factory=list)
    recipients: dict[int, Recipient | None] = field(default_factory=dict)
    source: InputRecord | None = None

    @property
    def became_too_large(self) -> bool:
        """Whether the order has outgrown its bounds in this batch."""
        return self.order is not None and self.order.size_exceeded and not self.was_too_large


@dataclass(slots=True)
class BatchPlan:
    """What one transaction writes, besides what the changes of orders mean for certificates.

    ``folded``: the orders, by id. ``originals``: new messages with what they were decoded to. ``unmatched``: payments
    to keep until their order names a certificate. ``events``: what the stream is told, each of its input.
    """

    folded: dict[str, FoldedOrder] = field(default_factory=dict)
    originals: list[tuple[InputRecord, AnyOrder | PaymentRecord]] = field(default_factory=list)
    spendings: list[Spending] = field(default_factory=list)
    clients: dict[str, ClientRecord] = field(default_factory=dict)
    unmatched: list[PaymentOfBatch] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    events: list[tuple[InputRecord, EventRecord]] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def changes(self) -> list[OrderChange]:
        """The orders that something new was said of, or that are to be looked at again."""
        return [
            OrderChange(order=one.order, is_new=one.is_new, said=tuple(one.said), recipients=one.recipients)
            for one in self.folded.values()
            if one.order is not None and one.source is not None
        ]

    def record_of(self, order_id: str, events: Iterable[EventRecord]) -> None:
        """Record events about an order, as of the newest record about it."""
        source = self.folded[order_id].source
        if source is not None:
            self.events += [(source, event) for event in events]


class Correlation:
    """Folds a batch over what is known; what it says stands in ``plan``."""

    def __init__(self, known: Known, topics: Topics, now: datetime) -> None:
        self.plan = BatchPlan()
        self._known = known
        self._topics = topics
        self._now = now
        self._spendings = dict(known.spendings)

    def fold(self, selection: Selection, waited: Iterable[PaymentOfBatch]) -> BatchPlan:
        """Fold a batch: orders, then payments that waited for their order, then the batch's own.

        Args:
            selection: the messages of the batch that may be about a certificate.
            waited: payments that were kept, of orders that the batch may make known, each partition's in order.
        """
        self.plan.unmatched += selection.unmatched
        self.plan.rejections += selection.rejections
        for source, client in selection.clients:
            self._client(source, client)
        for source, order in selection.orders:
            self._order(source, order)
        for source, payment in waited:
            self._payment(source, payment, waited=True)
        for source, payment in selection.payments:
            self._payment(source, payment, waited=False)
        for folded in self.plan.folded.values():
            if folded.order is not None and folded.said:
                folded.order = settled(folded.order)
        return self.plan

    # Clients ------------------------------------------------------------------------------------

    def _client(self, source: InputRecord, record: ClientRecord) -> None:
        """Keep what CRM last said of a client; an older word than the last is dropped."""
        last = self.plan.clients.get(record.client_id)
        if last is None or last.occurred_at <= record.occurred_at:
            self.plan.clients[record.client_id], masked = masked_client(record)
            self._tell_masked(source, Cause(source.topic, record.event_id, record.occurred_at), masked)
        self._count(source, "kept")

    # Orders -------------------------------------------------------------------------------------

    def _order(self, source: InputRecord, record: AnyOrder) -> None:
        """Fold a version; what comes before the first message that names a certificate leaves nothing."""
        folded = self._folded(record.order_id)
        if folded.order is None and not record.named_certificates:
            self._count(source, "goods")
            return
        message = order_message(record, self._topics.orders)
        if not self._is_new(folded, source, message, record.event_type):
            return
        late = record.order_version > 1 and self._known.payments_were_dropped
        newest = folded.order is None or record.order_version >= folded.order.stated_version
        self._apply(folded, source, message, earlier_payments_unknown=late)
        self.plan.originals.append((source, record))
        if folded.order is not None and folded.order.size_exceeded:
            self._reject(quarantine.of_too_large_order(source, message.cause))
        if newest and isinstance(record, StatedOrder):
            by_line_id, masked = masked_recipients(record)
            folded.recipients |= _by_line_key(folded.order, by_line_id)
            self._tell_masked(source, message.cause, masked)

    # Payments -----------------------------------------------------------------------------------

    def _payment(self, source: InputRecord, record: PaymentRecord, *, waited: bool) -> None:
        """Fold a payment into its order, or keep it until its order names a certificate; and spend by it.

        Args:
            source: the record as it stands in its topic.
            record: the payment.
            waited: it was kept before, and has spent already what it spends.
        """
        spends = record.spent_certificate_id is not None and not waited
        if spends and not self._spend(source, record):
            return
        folded = self._folded(record.order_id)
        if folded.order is None:
            self.plan.unmatched.append((source, record))
            self._count(source, "unmatched")
            return
        message = payment_message(record, self._topics.payments)
        if self._is_new(folded, source, message, record.event_type):
            self._apply(folded, source, message)
            self.plan.originals.append((source, record))

    def _spend(self, source: InputRecord, record: PaymentRecord) -> bool:
        """Give the payment to the certificate that pays, once; return whether its order is to hear of it."""
        identity, content = spending_identity(record), spending_content(record)
        before = self._spendings.get(identity)
        cause = Cause(source.topic, record.event_id, record.occurred_at, record.channel)
        if before is not None and before != content:
            digest = sha256(identity.encode() + content).digest()
            self._reject(quarantine.contradiction(source, record.event_type, cause, digest))
            return False
        if before == content:
            known = self._folded(record.order_id).order is not None
            if not known:
                self._count(source, "repeat")
            return known
        certificate_id = record.spent_certificate_id or ""
        if certificate_id not in self._known.channels:
            digest = sha256(identity.encode() + content).digest()
            detail = "certificateId: no such certificate"
            self._reject(quarantine.unknown_certificate(source, cause, detail, digest))
            return True
        self._spendings[identity] = content
        self.plan.spendings.append(
            Spending(
                identity=identity,
                content=content,
                certificate_id=certificate_id,
                channel=self._topics.served_channel(self._known.channels[certificate_id], record.channel),
                message=spending_message(record, self._topics.payments),
            )
        )
        return True

    # Both ---------------------------------------------------------------------------------------

    def _folded(self, order_id: str) -> FoldedOrder:
        if order_id not in self.plan.folded:
            stored = self._known.orders.get(order_id)
            order = stored.order if stored else None
            self.plan.folded[order_id] = FoldedOrder(
                order, order is None, order is not None and order.size_exceeded
            )
        return self.plan.folded[order_id]

    def _is_new(
        self, folded: FoldedOrder, source: InputRecord, message: OrderVersion | Payment, event_type: str
    ) -> bool:
        """Whether the order has not heard the message; a repeat is looked at for certificates imported since."""
        found = Novelty.NEW if folded.order is None else novelty(folded.order, message)
        match found:
            case Novelty.NEW:
                self._count(source, "new")
            case Novelty.REPEAT:
                folded.source = source
                self._count(source, "repeat")
            case Novelty.STALE:
                self._count(source, "stale")
            case Novelty.CONTRADICTION:
                digest = _digest(message)
                self._reject(quarantine.contradiction(source, event_type, message.cause, digest))
            case _:
                assert_never(found)
        return found is Novelty.NEW

    def _apply(
        self,
        folded: FoldedOrder,
        source: InputRecord,
        message: OrderVersion | Payment,
        *,
        earlier_payments_unknown: bool = False,
    ) -> None:
        unknown = earlier_payments_unknown and folded.order is None
        folded.order = apply(folded.order, message, self._now, earlier_payments_unknown=unknown)
        folded.said.append(message)
        folded.source = source

    def _tell_masked(self, source: InputRecord, cause: Cause, masked: list[str]) -> None:
        if masked:
            self.plan.events.append((source, masked_notice(source, cause, masked, self._now)))

    def _reject(self, rejection: Rejection) -> None:
        self.plan.rejections.append(rejection)
        self._count(rejection.source, "rejected")

    def _count(self, source: InputRecord, outcome: str) -> None:
        self.plan.counts[source.topic, outcome] += 1


def _by_line_key(order: Order | None, recipients: Mapping[str, Recipient]) -> dict[int, Recipient | None]:
    """Return whom the lines of the newest version are for, none where it leaves that out."""
    lines = order.lines if order else ()
    return {one.key: recipients.get(one.line_id) for one in lines if one.naming is not None and one.listed}


_NO_CAUSE = Cause("", "", datetime.min.replace(tzinfo=UTC))


def _digest(message: OrderVersion | Payment) -> bytes:
    """Return what a message says, whatever record it came in."""
    said = _ENCODER.encode(replace(message, cause=_NO_CAUSE))
    return sha256(type(message).__name__.encode() + said).digest()
