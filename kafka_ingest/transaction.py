"""The transaction of a batch: look up, correlate, write orders, lines, spendings, originals, quarantine."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.contracts.notices import OrderTooLarge, about_input
from giftcert.contracts.orders import AnyOrder, StatedOrder
from giftcert.contracts.payments import PaymentRecord, decode_stored_payment, encode_payment
from giftcert.contracts.records import EventRecord
from giftcert.domain.order.order import Order
from giftcert.domain.policy import Policy
from giftcert.lifecycle import order_changes
from giftcert.security.keyring import Keyring
from giftcert.settings import Settings
from giftcert.storage import inbox, spendings
from giftcert.storage.clients import ClientRepository
from giftcert.storage.inbox import InboxRow
from giftcert.storage.order_lines import OrderLineRepository
from giftcert.storage.orders import OrderRepository, StoredOrder
from giftcert.storage.pending import PendingRow
from giftcert.storage.quarantine import QuarantineRepository
from giftcert.storage.round_trip import Write
from giftcert.storage.spendings import Spending
from giftcert.storage.unmatched_payments import UnmatchedPaymentRepository, UnmatchedRow
from giftcert.temporal.signals import Signal, Wake
from kafka_ingest.correlation import BatchPlan, Correlation, Known, Selection, select
from kafka_ingest.decoder import DecodedBatch, Payment
from kafka_ingest.quarantine import (
    Rejection,
    orders_named,
    quarantine,
    record_events,
    seal_bytes,
    sealing_context,
)
from kafka_ingest.records import InputRecord, KeptRecord, Topics, place_of
from kafka_ingest.unknown_certificates import report, unknown_lines

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
class Committed:
    """What came of a batch: signals to send, whether orders were stored for the first time, outcomes by topic."""

    wakes: list[Wake] = field(default_factory=list)
    new_orders: bool = False
    erased_clients: bool = False
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    rejections: list[Rejection] = field(default_factory=list)

    def add(self, other: "Committed") -> None:
        """Take in what came of a later part of the batch."""
        self.wakes += other.wakes
        self.new_orders = self.new_orders or other.new_orders
        self.erased_clients = self.erased_clients or other.erased_clients
        self.counts += other.counts
        self.rejections += other.rejections


async def ingest(
    connection: AsyncConnection,
    batch: DecodedBatch,
    rules: IngestRules,
    now: datetime,
    *,
    replaying: bool = False,
) -> Committed:
    """Look up, correlate and write a batch in a transaction that has been entered; see ``ingest_fences.enter``."""
    orders = await OrderRepository(connection).lock(batch.order_ids) if batch.order_ids else {}
    selection = select(batch, orders, rules.topics, await _held_up(connection, batch, orders, rules))
    if selection.is_plain:
        plan = BatchPlan(unmatched=selection.unmatched, rejections=selection.rejections)
    else:
        waited, known = await _look_up(connection, selection, orders)
        plan = Correlation(known, rules.topics, now).fold(selection, waited)
    plan.counts += batch.counts + _plain_counts(batch, selection, rules.topics)
    return await write(connection, plan, rules, now, replaying=replaying)


async def recheck(
    connection: AsyncConnection, orders: Mapping[str, StoredOrder], rules: IngestRules, now: datetime
) -> list[Wake]:
    """Fold payments that came at the same instant as these orders, which the caller has locked."""
    waited = await _waiting(connection, orders)
    if not waited:
        return []
    plan = Correlation(Known(orders=orders), rules.topics, now).fold(Selection(), waited)
    return (await write(connection, plan, rules, now)).wakes


async def write(
    connection: AsyncConnection,
    plan: BatchPlan,
    rules: IngestRules,
    now: datetime,
    *,
    replaying: bool = False,
) -> Committed:
    """Write a plan, and what the changed orders mean for their lines and certificates."""
    wakes = await _write_orders(connection, plan, now, rules, replaying=replaying)
    if plan.clients:
        await ClientRepository(connection).save(list(plan.clients.values()))
    if plan.unmatched:
        await UnmatchedPaymentRepository(connection).keep([_unmatched(one, now) for one in plan.unmatched])
    if plan.events:
        await record_events(connection, plan.events)
    if plan.rejections:
        await quarantine(connection, plan.rejections, rules.topics, rules.keyring, now)
    return Committed(
        wakes=wakes,
        new_orders=any(one.is_new and one.order is not None for one in plan.folded.values()),
        erased_clients=any(one.erased for one in plan.clients.values()),
        counts=plan.counts,
        rejections=plan.rejections,
    )


async def _write_orders(
    connection: AsyncConnection, plan: BatchPlan, now: datetime, rules: IngestRules, *, replaying: bool
) -> list[Wake]:
    """Lock the lines of changed orders, write all that follows, and plan what is to be reported of them."""
    changes, also = plan.changes, _spending_rows(plan.spendings)
    if not changes and not also:
        return []
    stored = [one.order.order_id for one in changes if not one.is_new]
    rows = await OrderLineRepository(connection).lock(stored) if stored else {}
    revisions, products = await order_changes.revise(connection, changes, rows, rules.policy)
    plan.rejections += unknown_lines(rows, revisions, plan.folded, replaying=replaying)
    reported = []
    for revision in revisions:
        line, alerts = report(revision)
        reported.append(line)
        plan.record_of(line.line.standing.order_id, alerts)
    for order_id, folded in plan.folded.items():
        if folded.order is not None and folded.became_too_large:
            plan.record_of(order_id, [_too_large(folded.order, now)])
    wakes = await order_changes.save(
        connection, changes, reported, products, now, also, _other_writes(plan, now, rules)
    )
    return wakes + [_spent(one) for one in plan.spendings]


def _other_writes(plan: BatchPlan, now: datetime, rules: IngestRules) -> list[Write]:
    writes = []
    if plan.spendings:
        writes.append(spendings.received(plan.spendings, now))
    if plan.originals:
        rows = [_original(source, record, now, rules.keyring) for source, record in plan.originals]
        writes.append(inbox.received(rows))
    return writes


def _too_large(order: Order, now: datetime) -> EventRecord:
    alert = OrderTooLarge(
        order_id=order.order_id, certificate_lines=order.certificate_lines, payments=order.payment_count
    )
    return about_input(alert, now, order.channel)


# Look-ups -------------------------------------------------------------------------------------------


async def _held_up(
    connection: AsyncConnection, batch: DecodedBatch, orders: Collection[str], rules: IngestRules
) -> dict[str, int]:
    """Look up which orders, of those that nothing is known of, have a message in quarantine."""
    unknown = {order_id for _, order_id, names in batch.orders if not names and order_id not in orders}
    held_up = {
        order_id: one.source.offset
        for one in reversed(batch.rejections)
        if one.source.topic == rules.topics.orders
        for order_id in orders_named(one.source)
    }
    repository = QuarantineRepository(connection)
    if not unknown or not await repository.any_open():
        return held_up
    return held_up | await repository.held_up(unknown, rules.topics.orders, rules.keyring)


async def _look_up(
    connection: AsyncConnection, selection: Selection, orders: Mapping[str, StoredOrder]
) -> tuple[list[Payment], Known]:
    """Take the payments that waited for the batch's orders, and return them with all that is known."""
    unknown = [order for _, order in selection.orders if order.order_id not in orders]
    new, late = {one.order_id for one in unknown}, any(one.order_version > 1 for one in unknown)
    waited = await _waiting(connection, new | {one for one, stored in orders.items() if stored.recheck})
    repository, spent = spendings.SpendingRepository(connection), selection.spent_certificates
    identities = selection.spending_identities
    return waited, Known(
        orders=orders,
        spendings=await repository.contents(identities) if identities else {},
        channels=await repository.channels(spent) if spent else {},
        payments_were_dropped=late and await UnmatchedPaymentRepository(connection).were_dropped(),
    )


async def _waiting(connection: AsyncConnection, order_ids: Collection[str]) -> list[Payment]:
    """Remove and return the payments that were kept for these orders, in the order of their topic.

    The original bytes are gone; what was decoded of them stands in for them.
    """
    if not order_ids:
        return []
    payments: list[Payment] = []
    for _, order_id, topic, partition, offset, message in await UnmatchedPaymentRepository(connection).take(
        order_ids
    ):
        record = decode_stored_payment(message)
        source = KeptRecord(topic, partition, offset, order_id.encode(), _ENCODER.encode(record))
        payments.append((source, record))
    return payments


# Rows -----------------------------------------------------------------------------------------------


def _spending_rows(spent: Iterable[Spending]) -> list[PendingRow]:
    """Return one pending row for each certificate that is spent, with the newest payment as its cause."""
    return [
        PendingRow(
            certificate_id=certificate_id,
            kind=Signal.CERTIFICATE_SPENT,
            channel=one.channel,
            cause=one.message.cause,
        )
        for certificate_id, one in {one.certificate_id: one for one in spent}.items()
    ]


def _spent(spending: Spending) -> Wake:
    return Wake(
        certificate_id=spending.certificate_id,
        signal=Signal.CERTIFICATE_SPENT,
        channel=spending.channel,
        order_id=spending.message.order_id,
        cause=spending.message.cause.event_id,
    )


def _unmatched(payment: Payment, now: datetime) -> UnmatchedRow:
    source, record = payment
    return (now.date(), record.order_id, *place_of(source), encode_payment(record))


def _original(
    source: InputRecord, record: AnyOrder | PaymentRecord, now: datetime, keyring: Keyring
) -> InboxRow:
    value = source.value or b""  # a message was decoded from it, so it is there
    if isinstance(record, StatedOrder):
        value = _without_recipients(value)
    return InboxRow(
        now.date(),
        record.order_id,
        *place_of(source),
        record.event_id,
        record.event_type,
        seal_bytes(value, sealing_context(*place_of(source)), keyring) or b"",
    )


def _without_recipients(value: bytes) -> bytes:
    """Whom a certificate is for stands in its line alone, so that it can be erased."""
    order = msgspec.json.decode(value)
    for line in order["lines"]:
        line.pop("recipient", None)
    return _ENCODER.encode(order)


def _plain_counts(batch: DecodedBatch, selection: Selection, topics: Topics) -> Counter[tuple[str, str]]:
    rejected = len(selection.rejections) - len(batch.rejections)
    counts = Counter(
        {
            (topics.orders, "goods"): len(batch.orders) - len(selection.orders) - rejected,
            (topics.payments, "unmatched"): len(selection.unmatched),
        }
    )
    counts.update((one.source.topic, "rejected") for one in selection.rejections)
    return +counts
