"""Which records concern certificates, and what a batch of them says: orders folded, spendings, clients. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256

from msgspec import structs

from giftcert.contracts.clients import ClientRecord
from giftcert.contracts.inputs import MalformedReason, MalformedRecord
from giftcert.contracts.notices import InputMalformed, InputUnexpected, UnexpectedInputReason
from giftcert.contracts.orders import AnyOrder, StatedOrder, order_message, recipients
from giftcert.contracts.payments import (
    PaymentRecord,
    payment_message,
    spending_content,
    spending_identity,
    spending_message,
)
from giftcert.contracts.stream import EventRecord
from giftcert.domain.cause import Cause
from giftcert.domain.clients import Recipient
from giftcert.domain.order.messages import OrderVersion, Payment, content_of, identity_of
from giftcert.domain.order.novelty import Novelty, novelty
from giftcert.domain.order.order import Order, apply, settled
from giftcert.lifecycle.order_changes import OrderChange
from giftcert.redaction import REDACTED
from giftcert.sensitive_text import is_sensitive
from giftcert.storage.orders import StoredOrder
from giftcert.storage.spendings import Spending
from kafka_ingest.decoder import DecodedBatch, decode_whole
from kafka_ingest.decoder import Payment as PaymentOfBatch
from kafka_ingest.quarantine import (
    EARLIER_IN_QUARANTINE,
    Outcomes,
    Rejection,
    malformed,
    unknown_certificate,
)
from kafka_ingest.records import InputRecord, Topics


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is stored of what a batch names.

    ``waited``: payments that were kept, of orders that the batch may make known, each partition's in order.
    ``spendings``: the content of those that are there, by identity. ``channels``: of the certificates of ours that
    payments spend, the channel that sold each. ``held_up``: orders with a message in quarantine, and its offset. What
    follows it and would leave nothing, as the order is not known, waits for it.
    """

    orders: Mapping[str, StoredOrder] = field(default_factory=dict)
    waited: Sequence[PaymentOfBatch] = ()
    spendings: Mapping[str, bytes] = field(default_factory=dict)
    channels: Mapping[str, str | None] = field(default_factory=dict)
    held_up: Mapping[str, int] = field(default_factory=dict)
    payments_were_dropped: bool = False


@dataclass(slots=True)
class FoldedOrder:
    """An order as stored and as the batch changes it; ``source`` is the newest record that was new or a repeat."""

    before: Order | None
    order: Order | None
    said: list[OrderVersion | Payment] = field(default_factory=list)
    recipients: dict[int, Recipient | None] = field(default_factory=dict)
    source: InputRecord | None = None


@dataclass(slots=True)
class BatchPlan(Outcomes):
    """What one transaction writes, besides what the changes of orders mean for certificates.

    ``folded``: the orders, by id. ``originals``: new messages with what they were decoded to. ``unmatched``: payments
    to keep until their order names a certificate. ``events``: what is published, each about its input.
    """

    folded: dict[str, FoldedOrder] = field(default_factory=dict)
    originals: list[tuple[InputRecord, AnyOrder | PaymentRecord]] = field(default_factory=list)
    spendings: dict[str, Spending] = field(default_factory=dict)
    clients: dict[str, ClientRecord] = field(default_factory=dict)
    unmatched: list[PaymentOfBatch] = field(default_factory=list)
    events: list[tuple[InputRecord, EventRecord]] = field(default_factory=list)

    @property
    def changes(self) -> list[OrderChange]:
        """The orders that something new was said of, or that are to be looked at again."""
        return [
            OrderChange(
                order=one.order,
                is_new=one.before is None,
                said=tuple(one.said),
                recipients=one.recipients,
            )
            for one in self.folded.values()
            if one.order is not None and one.source is not None
        ]

    def record_of(self, order_id: str, events: Iterable[EventRecord]) -> None:
        """Record events about an order, as of the newest record about it."""
        source = self.folded[order_id].source
        if source is not None:
            self.events += [(source, event) for event in events]


@dataclass(slots=True)
class Correlation:
    """Folds a batch over what is known; what it says stands in ``plan``."""

    known: Known
    topics: Topics
    now: datetime
    plan: BatchPlan = field(default_factory=BatchPlan)

    def fold(self, batch: DecodedBatch) -> BatchPlan:
        """Fold a batch: orders, then payments that waited for their order, then the batch's own.

        What matters of it: orders that name a certificate, known orders, the payments of both, and what is spent.
        """
        self.plan = BatchPlan([*batch.rejections], batch.counts.copy())
        relevant = {order_id for _, order_id, order in batch.orders if order is not None}
        relevant.update(self.known.orders)
        for source, client in batch.clients:
            self._client(source, client)
        self._fold_orders(batch, relevant)
        for source, payment in self.known.waited:
            self._payment(source, payment)
        for source, payment in batch.payments:
            if payment.order_id not in relevant and payment.spent_certificate_id is None:
                self.plan.unmatched.append((source, payment))
            elif self._spend(source, payment):
                self._payment(source, payment)
        if self.plan.unmatched:
            self.plan.counts[self.topics.payments, "unmatched"] += len(self.plan.unmatched)
        for folded in self.plan.folded.values():
            if folded.order is not None and folded.said:
                folded.order = settled(folded.order)
        return self.plan

    def _client(self, source: InputRecord, record: ClientRecord) -> None:
        last = self.plan.clients.get(record.client_id)
        if last is None or last.occurred_at <= record.occurred_at:
            unfit = _sensitive(record, "locale", "preferred_channel")
            masked = structs.replace(record, **dict.fromkeys(unfit, REDACTED))
            self.plan.clients[record.client_id] = masked
            unfit += _sensitive(record, "event_id")
            self._tell_masked(source, Cause(source.topic, record.event_id, record.occurred_at), unfit)
        self.plan.count(source, "kept")

    def _fold_orders(self, batch: DecodedBatch, relevant: Collection[str]) -> None:
        held_up, goods = dict(self.known.held_up), 0
        for source, order_id, order in batch.orders:
            follows = held_up and order is None and held_up.get(order_id, source.offset) < source.offset
            if follows and self._folded(order_id).order is None:
                detail = "an earlier message of this order is in quarantine; replay both once it is mended"
                self.plan.reject(Rejection(source, InputUnexpected, EARLIER_IN_QUARANTINE, detail))
            elif order_id in relevant:
                try:
                    self._order(source, order or decode_whole(source, self.topics))
                except MalformedRecord as error:
                    self.plan.reject(malformed(source, error.reason, error.detail))
                    held_up.setdefault(order_id, source.offset)
            else:
                goods += 1
        if goods:
            self.plan.counts[self.topics.orders, "goods"] += goods

    def _order(self, source: InputRecord, record: AnyOrder) -> None:
        """Fold a version; what comes before the first message that names a certificate leaves nothing."""
        folded = self._folded(record.order_id)
        if folded.order is None and not record.named_certificates:
            self.plan.count(source, "goods")
            return
        newest = folded.order is None or record.order_version >= folded.order.stated_version
        message = order_message(record, self.topics.orders)
        order = self._apply(folded, source, message, record)
        if order is None:
            return
        if order.size_exceeded:  # whatever the version names must not be sold again
            detail = "the order has more certificate lines or payments than can be decided"
            self.plan.reject(
                Rejection(
                    source, InputUnexpected, UnexpectedInputReason.ORDER_TOO_LARGE, detail, message.cause
                )
            )
        if newest and isinstance(record, StatedOrder):
            masked = self._recipients(source, record, message.cause)
            folded.recipients |= {
                one.key: masked.get(one.line_id)
                for one in order.lines
                if one.naming is not None and one.listed
            }

    def _recipients(self, source: InputRecord, record: StatedOrder, cause: Cause) -> Mapping[str, Recipient]:
        found, masked = recipients(record), set()
        for line_id, recipient in found.items():
            unfit = _sensitive(recipient, "ref", "locale")
            found[line_id] = replace(recipient, **dict.fromkeys(unfit, REDACTED))
            masked |= {f"recipient.{name}" for name in unfit}
        self._tell_masked(source, cause, sorted(masked))
        return found

    def _payment(self, source: InputRecord, record: PaymentRecord) -> None:
        folded = self._folded(record.order_id)
        if folded.order is None:
            self.plan.unmatched.append((source, record))
        else:
            self._apply(folded, source, payment_message(record, self.topics.payments), record)

    def _spend(self, source: InputRecord, record: PaymentRecord) -> bool:
        """Give a payment to the certificate that pays, if one does, once; return whether its order is to hear of it."""
        certificate_id = record.spent_certificate_id
        if certificate_id is None:
            return True
        message = spending_message(record, self.topics.payments)
        identity, content = spending_identity(record), spending_content(record)
        planned = self.plan.spendings.get(identity)
        before = planned.content if planned else self.known.spendings.get(identity)
        if before not in (None, content):
            self._contradicts(source, record, message.cause, identity, content)
            return False
        if before == content:
            known = self._folded(record.order_id).order is not None
            if not known:
                self.plan.count(source, "repeat")
            return known
        if certificate_id not in self.known.channels:
            detail, digest = "certificateId: no such certificate", _digest(identity, content)
            self.plan.reject(unknown_certificate(source, message.cause, detail, digest))
            return True
        channel = self.topics.served_channel(self.known.channels[certificate_id], record.channel)
        self._tell_masked(source, message.cause, _sensitive_in(record))
        self.plan.spendings[identity] = Spending(
            identity=identity,
            content=content,
            certificate_id=certificate_id,
            channel=channel,
            message=message,
        )
        return True

    def _folded(self, order_id: str) -> FoldedOrder:
        if order_id not in self.plan.folded:
            stored = self.known.orders.get(order_id)
            order = stored.order if stored else None
            self.plan.folded[order_id] = FoldedOrder(order, order)
        return self.plan.folded[order_id]

    def _apply(
        self,
        folded: FoldedOrder,
        source: InputRecord,
        message: OrderVersion | Payment,
        record: AnyOrder | PaymentRecord,
    ) -> Order | None:
        """Return the order after a message that is new to it; a repeat has it looked at again, for later imports."""
        found = novelty(folded.order, message)
        if found is Novelty.CONTRADICTION:
            said = (message.order_id, identity_of(message), content_of(message))
            self._contradicts(source, record, message.cause, *said)
            return None
        self.plan.count(source, found.value)
        if found is not Novelty.STALE:
            folded.source = source
        if found is not Novelty.NEW:
            return None
        late = isinstance(message, OrderVersion) and message.version > 1
        unknown = late and self.known.payments_were_dropped
        folded.order = apply(folded.order, message, self.now, earlier_payments_unknown=unknown)
        folded.said.append(message)
        if not isinstance(record, PaymentRecord) or record.spent_certificate_id is None:
            self._tell_masked(source, message.cause, _sensitive_in(record))
        self.plan.originals.append((source, record))
        return folded.order

    def _contradicts(
        self, source: InputRecord, record: AnyOrder | PaymentRecord, cause: Cause, *said: object
    ) -> None:
        detail = f"another {record.event_type} of the same identity was received before, with other content"
        digest, reason = _digest(*said), UnexpectedInputReason.CONTRADICTS_EARLIER
        self.plan.reject(Rejection(source, InputUnexpected, reason, detail, cause, digest))

    def _tell_masked(self, source: InputRecord, cause: Cause, masked: list[str]) -> None:
        """Report texts that no event says, and whose input is applied all the same."""
        if masked:
            text = f"{', '.join(masked)}: looks like a number, an address or a phone number, and was masked"
            notice = Rejection(source, InputMalformed, MalformedReason.MASKED_TEXT, text, cause)
            self.plan.events.append((source, notice.event(self.now)))


def _sensitive(said: object, *names: str) -> list[str]:
    """Return which of these fields say what no event may."""
    texts = [(name, getattr(said, name)) for name in names]
    return [name for name, text in texts if text is not None and is_sensitive(text)]


def _sensitive_in(record: AnyOrder | PaymentRecord) -> list[str]:
    """The same of what events say of a message under the ids of others, those of its order and payment not counted."""
    if isinstance(record, PaymentRecord):
        return _sensitive(record, "event_id", "channel", "refund_id", "redemption_id")
    found = _sensitive(record, "event_id")
    lines = record.certificate_lines if isinstance(record, StatedOrder) else ()
    return found + sorted({f"lines.{name}" for line in lines for name in _sensitive(line, "line_id")})


def _digest(*said: object) -> bytes:
    return sha256(repr(said).encode()).digest()
