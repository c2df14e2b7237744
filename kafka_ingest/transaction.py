"""The transaction of a batch: look up, correlate, write orders, lines, spendings, originals, quarantine."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec

from giftcert.contracts.notices import OrderTooLarge, about_input
from giftcert.contracts.orders import AnyOrder, StatedOrder
from giftcert.contracts.payments import (
    PaymentRecord,
    decode_stored_payment,
    encode_payment,
    spending_identity,
)
from giftcert.contracts.stream import EventRecord
from giftcert.domain.cause import Cause
from giftcert.domain.certificate.events import PaymentWithoutCertificateAlerted
from giftcert.domain.order.standing import ForeignCapture, LineStanding
from giftcert.domain.policy import Policy
from giftcert.lifecycle import order_changes
from giftcert.lifecycle.order_changes import LineRevision, is_certificate_id
from giftcert.security.data_keys import DataKey, Purpose
from giftcert.security.keyring import Keyring
from giftcert.settings import Settings
from giftcert.storage import inbox, spendings
from giftcert.storage.clients import ClientRepository
from giftcert.storage.data_keys import DataKeyRepository
from giftcert.storage.database import Connection
from giftcert.storage.inbox import InboxRow
from giftcert.storage.order_lines import LineKey, OrderLineRepository, OrderLineRow
from giftcert.storage.orders import OrderRepository, StoredOrder
from giftcert.storage.pending import PendingRow
from giftcert.storage.quarantine import QuarantineRepository, owner_at
from giftcert.storage.spendings import Spending
from giftcert.storage.unmatched_payments import UnmatchedPaymentRepository
from giftcert.temporal.signals import Signal, Wake
from kafka_ingest.correlation import BatchPlan, Correlation, Known
from kafka_ingest.decoder import DecodedBatch, Payment
from kafka_ingest.quarantine import (
    Outcomes,
    orders_named,
    quarantine,
    record_events,
    unknown_certificate,
)
from kafka_ingest.records import InputRecord, Topics, place_of

_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class IngestRules:
    """What reading and writing a batch rest on besides the database."""

    topics: Topics
    keyring: Keyring
    policy: Policy
    record_limit: int = 1_048_576

    @classmethod
    def of(cls, settings: Settings, keyring: Keyring) -> "IngestRules":
        """Return the rules of the settings."""
        return cls(Topics.of(settings), keyring, settings.policy, settings.record_limit)


@dataclass(slots=True)
class Committed(Outcomes):
    """What came of a batch, the signals to send, and whether orders or erasures are to be looked at again."""

    wakes: list[Wake] = field(default_factory=list)
    recheck: bool = False

    def add(self, other: "Committed") -> None:
        """Take in what came of a later part of the batch."""
        self.rejections += other.rejections
        self.counts += other.counts
        self.wakes += other.wakes
        self.recheck = self.recheck or other.recheck


@dataclass(frozen=True, slots=True)
class BatchTransaction:
    """A transaction of ingest that has been entered; see ``ingest_fences.enter``.

    ``replaying``: somebody replays a record and waits to hear whether it is good now.
    """

    connection: Connection
    rules: IngestRules
    now: datetime
    replaying: bool = False

    async def ingest(self, batch: DecodedBatch) -> Committed:
        """Look up, correlate and write a batch."""
        order_ids = batch.order_ids
        orders = await OrderRepository(self.connection).lock(order_ids) if order_ids else {}
        known = await self._look_up(batch, orders)
        return await self._write(Correlation(known, self.rules.topics, self.now).fold(batch))

    async def recheck(self, orders: Mapping[str, StoredOrder]) -> list[Wake]:
        """Fold payments that came at the same instant as these orders, which the caller has locked."""
        known = Known(orders=orders, waited=await self._waiting(orders))
        plan = Correlation(known, self.rules.topics, self.now).fold(DecodedBatch())
        return (await self._write(plan)).wakes

    async def _look_up(self, batch: DecodedBatch, orders: Mapping[str, StoredOrder]) -> Known:
        """Return what is known of the batch, with the payments that waited for its orders taken."""
        named = [order for _, _, order in batch.orders if order is not None]
        new = [order for order in named if order.order_id not in orders]
        looked_at_again = {one for one, stored in orders.items() if stored.recheck}
        spending = [one for _, one in batch.payments if one.spent_certificate_id is not None]
        spent = {one.spent_certificate_id or "" for one in spending}
        repository = spendings.SpendingRepository(self.connection)
        payments = UnmatchedPaymentRepository(self.connection)
        return Known(
            orders=orders,
            waited=await self._waiting({one.order_id for one in new} | looked_at_again),
            spendings=await repository.contents(map(spending_identity, spending)) if spending else {},
            channels=await repository.channels(filter(is_certificate_id, spent)) if spending else {},
            held_up=await self._held_up(batch, orders),
            payments_were_dropped=any(one.order_version > 1 for one in new) and await payments.were_dropped(),
        )

    async def _held_up(self, batch: DecodedBatch, orders: Collection[str]) -> dict[str, int]:
        """Return which orders that nothing is known of have a message in quarantine, and its offset."""
        topic, keyring = self.rules.topics.orders, self.rules.keyring
        held_up = {
            order_id: one.source.offset
            for one in reversed(batch.rejections)
            if one.source.topic == topic
            for order_id in orders_named(one.source)
        }
        unknown = {order_id for _, order_id, order in batch.orders if order is None} - set(orders)
        repository = QuarantineRepository(self.connection)
        if unknown and await repository.any_open():
            held_up |= await repository.held_up(unknown, topic, keyring)
        return held_up

    async def _waiting(self, order_ids: Collection[str]) -> list[Payment]:
        """Take the payments that were kept for these orders; what was decoded stands in for their original bytes."""
        if not order_ids:
            return []
        payments: list[Payment] = []
        taken = await UnmatchedPaymentRepository(self.connection).take(order_ids)
        for _, order_id, topic, partition, offset, message in taken:
            record = decode_stored_payment(message)
            source = InputRecord(topic, partition, offset, order_id.encode(), _ENCODER.encode(record))
            payments.append((source, record))
        return payments

    async def _write(self, plan: BatchPlan) -> Committed:
        connection, now, rules = self.connection, self.now, self.rules
        wakes = await self._write_orders(plan)
        if plan.clients:
            await ClientRepository(connection).save(list(plan.clients.values()))
        if plan.unmatched:
            await UnmatchedPaymentRepository(connection).keep(
                [
                    (now.date(), record.order_id, *place_of(source), encode_payment(record))
                    for source, record in plan.unmatched
                ]
            )
        await record_events(connection, plan.events, rules.keyring)
        if plan.rejections:
            await quarantine(connection, plan.rejections, rules.topics, rules.keyring, now)
        new_orders = any(one.before is None and one.order is not None for one in plan.folded.values())
        erasures = any(one.erased for one in plan.clients.values())
        return Committed(plan.rejections, plan.counts, wakes, new_orders or erasures)

    async def _write_orders(self, plan: BatchPlan) -> list[Wake]:
        """Lock the lines of changed orders, write all that follows, and plan what is to be reported of them."""
        changes = plan.changes
        stored = [one.order.order_id for one in changes if not one.is_new]
        rows = await OrderLineRepository(self.connection).lock(stored) if stored else {}
        revisions, products = await order_changes.revise(self.connection, changes, rows, self.rules.policy)
        reported = report_unknown(plan, rows, revisions, replaying=self.replaying)
        _report_too_large(plan, self.now)
        spent, keyring = list(plan.spendings.values()), self.rules.keyring
        writes = [spendings.spent(spent, self.now)] if spent else []
        if plan.originals:
            key = await DataKeyRepository(self.connection, keyring).for_inputs(self.now)
            originals = [_original(source, record, self.now, key) for source, record in plan.originals]
            writes.append(inbox.received(originals))
        wakes = await order_changes.save(
            self.connection, changes, reported, products, self.now, _spending_rows(spent), writes
        )
        return wakes + [
            Wake(
                certificate_id=one.certificate_id,
                signal=Signal.CERTIFICATE_SPENT,
                channel=one.channel,
                order_id=one.message.order_id,
                cause=one.message.cause.event_id,
            )
            for one in spent
        ]


def report_unknown(
    plan: BatchPlan, rows: dict[LineKey, OrderLineRow], revisions: Sequence[LineRevision], *, replaying: bool
) -> list[LineRevision]:
    """Report, in the plan, lines that newly name certificates that we never made, and the money that comes for them.

    No certificate of ours speaks for that money, so ingest does; what was reported is remembered in the revisions that
    are returned. Pure.
    """
    unknown: dict[str, list[LineStanding]] = {}
    for line in (rows | {one.line.key: one.line for one in revisions}).values():
        is_news = line.report.certificate != line.standing.naming.certificate_id
        if line.speaker is None and (is_news or replaying):
            unknown.setdefault(line.standing.order_id, []).append(line.standing)
    for order_id, standings in unknown.items():
        source = plan.folded[order_id].source
        if source is not None:
            line_ids = ", ".join(one.line_id for one in standings)
            lines = f"line {line_ids}" if len(standings) == 1 else f"lines {line_ids}"
            cause = standings[-1].naming.began.cause
            plan.reject(unknown_certificate(source, cause, f"{lines}: no such certificate"))
    return [_reported(plan, one) if one.line.speaker is None else one for one in revisions]


def _reported(plan: BatchPlan, revision: LineRevision) -> LineRevision:
    line = revision.line
    standing, known = line.standing, line.report
    foreign: list[ForeignCapture] = []
    if line.holder is None:  # else the holder speaks, also when it lets the line go
        foreign = [one for one in standing.foreign_captures if one.identity not in known.foreign]
        alerts = [_alert(standing, one.cause, one.amount, one) for one in foreign]
        if standing.captured > known.captured:
            alerts.append(_alert(standing, standing.captured_cause, standing.captured))
        plan.record_of(standing.order_id, alerts)
    report = replace(
        known,
        certificate=standing.naming.certificate_id,
        captured=max(known.captured, standing.captured),
        foreign=(*known.foreign, *(one.identity for one in foreign)),
    )
    return replace(revision, line=replace(line, report=report))


def _alert(
    standing: LineStanding, cause: Cause | None, amount: int, foreign: ForeignCapture | None = None
) -> EventRecord:
    alert = PaymentWithoutCertificateAlerted(
        order_id=standing.order_id,
        line_id=standing.line_id,
        amount=amount,
        reason="currencyMismatch" if foreign else "unknownCertificate",
        web_url=None,
        payment_id=foreign.payment_id if foreign else None,
        foreign_currency=foreign.currency if foreign else None,
    )
    at = (cause or standing.naming.began.cause).occurred_at
    record = about_input(alert, at, standing.channel, cause, standing.currency)
    whose = {"customerId": standing.customer_id}
    return replace(record, sale_channel=standing.channel, payload=record.payload | whose)


def _report_too_large(plan: BatchPlan, now: datetime) -> None:
    for order_id, folded in plan.folded.items():
        order, before = folded.order, folded.before
        if order is not None and order.size_exceeded and not (before and before.size_exceeded):
            alert = OrderTooLarge(
                order_id=order_id, certificate_lines=order.certificate_lines, payments=order.payment_count
            )
            plan.record_of(order_id, [about_input(alert, now, order.channel)])


def _spending_rows(spent: Iterable[Spending]) -> list[PendingRow]:
    """Return one pending row for each certificate that is spent, with the newest payment as its cause."""
    newest = {one.certificate_id: one for one in spent}
    return [
        PendingRow(
            certificate_id=certificate_id,
            kind=Signal.CERTIFICATE_SPENT,
            channel=one.channel,
            cause=one.message.cause,
        )
        for certificate_id, one in newest.items()
    ]


def _original(source: InputRecord, record: AnyOrder | PaymentRecord, now: datetime, key: DataKey) -> InboxRow:
    value = source.value or b""  # a message was decoded from it, so it is there
    if isinstance(record, StatedOrder):  # whom a certificate is for stands in its line alone, to be erased
        order = msgspec.json.decode(value)
        for line in order["lines"]:
            line.pop("recipient", None)
        value = _ENCODER.encode(order)
    return (
        now.date(),
        record.order_id,
        *place_of(source),
        record.event_id,
        record.event_type,
        key.seal(value, Purpose.ORIGINAL, owner_at(place_of(source))),
    )
