"""Storage in memory: what plans write is known to the next batch, as the real one does it in PostgreSQL."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from giftcert.contracts.clients import ClientRecord
from giftcert.domain.policy import Policy
from giftcert.lifecycle.order_changes import LineRevision, revised_lines, wakes_of
from giftcert.storage.order_lines import LineKey, OrderLineRow
from giftcert.storage.orders import StoredOrder
from giftcert.storage.spendings import Spending
from giftcert.temporal.signals import Signal
from kafka_ingest.correlation import BatchPlan, Correlation, Known
from kafka_ingest.decoder import Payment, decode
from kafka_ingest.quarantine import Rejection
from kafka_ingest.records import InputRecord, Topics
from kafka_ingest.transaction import report_unknown
from tests.unit.contracts.topic_records import raw

TOPICS = Topics("orders", "payments", "clients", ("im", "pos"))
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def certificate(number: int) -> str:
    return str(UUID(int=number))


@dataclass
class Memory:
    """Everything that ingest stores, and the records that come."""

    certificates: dict[str, str | None] = field(default_factory=dict)
    orders: dict[str, StoredOrder] = field(default_factory=dict)
    lines: dict[LineKey, OrderLineRow] = field(default_factory=dict)
    originals: list[str] = field(default_factory=list)
    signals: dict[str, list[Signal]] = field(default_factory=dict)
    channels: dict[str, list[str]] = field(default_factory=dict)
    spendings: dict[str, Spending] = field(default_factory=dict)
    unmatched: list[Payment] = field(default_factory=list)
    clients: dict[str, ClientRecord] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)
    rejections: list[Rejection] = field(default_factory=list)
    events: list[tuple[InputRecord, Any]] = field(default_factory=list)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    payments_were_dropped: bool = False
    offsets: dict[str, int] = field(default_factory=dict)

    def with_certificates(self, *numbers: int, channel: str | None = "im") -> "Memory":
        self.certificates |= {certificate(number): channel for number in numbers}
        return self

    def record(self, topic: str, value: Any, key: str = "k") -> InputRecord:
        """The next record of a topic's only partition."""
        offset = self.offsets[topic] = self.offsets.get(topic, -1) + 1
        body = value if isinstance(value, bytes | None) else raw(value)
        return InputRecord(topic, 0, offset, key.encode(), body, 1_763_892_000_000)

    def comes(self, *records: InputRecord, replaying: bool = False) -> BatchPlan:
        """One batch comes and is committed."""
        batch = decode(records, TOPICS, 1_048_576)
        known_orders = {one: self.orders[one] for one in batch.order_ids if one in self.orders}
        new = {order_id for _, order_id, order in batch.orders if order is not None} - known_orders.keys()
        waited = [one for one in self.unmatched if one[1].order_id in new]
        self.unmatched = [one for one in self.unmatched if one not in waited]
        known = Known(
            orders=known_orders,
            waited=[_as_kept(one) for one in waited],
            spendings={identity: one.content for identity, one in self.spendings.items()},
            channels=self.certificates,
            payments_were_dropped=self.payments_were_dropped,
        )
        plan = Correlation(known, TOPICS, NOW).fold(batch)
        self._write(plan, replaying=replaying)
        return plan

    def ordered(self, value: Any) -> BatchPlan:
        return self.comes(self.record("orders", value))

    def paid(self, value: Any) -> BatchPlan:
        return self.comes(self.record("payments", value))

    def described(self, value: Any, key: str = "C-77") -> BatchPlan:
        return self.comes(self.record("clients", value, key))

    def line(self, line_id: str = "2", order_id: str = "IM-1001") -> OrderLineRow:
        """The certificate line that bears this lineId now."""
        [found] = [
            row for (of, _), row in self.lines.items() if of == order_id and row.standing.line_id == line_id
        ]
        return found

    def woken(self, number: int) -> list[str]:
        """The signals to a certificate, in order."""
        return [str(one) for one in self.signals.get(certificate(number), [])]

    def reasons(self) -> list[str]:
        return [rejection.reason for rejection in self.rejections]

    def _write(self, plan: BatchPlan, *, replaying: bool) -> None:
        changes = plan.changes
        revisions = [
            one
            for change in changes
            for one in revised_lines(change, self.lines, self.certificates, self.erased, Policy())
        ]
        known = {key: row for key, row in self.lines.items() if key[0] in plan.folded}
        reported = report_unknown(plan, known, revisions, replaying=replaying)
        for change in changes:
            self.orders[change.order.order_id] = StoredOrder(change.order, recheck=False)
        self.lines |= {one.line.key: one.line for one in reported}
        self._signal(revisions, plan)
        self.originals += [record.event_id for _, record in plan.originals]
        self.spendings |= plan.spendings
        self.unmatched += plan.unmatched
        self.clients |= plan.clients
        self.rejections += plan.rejections
        self.events += plan.events
        for outcome, count in plan.counts.items():
            self.counts[outcome] = self.counts.get(outcome, 0) + count

    def _signal(self, revisions: list[LineRevision], plan: BatchPlan) -> None:
        for wake in wakes_of(revisions, {}):
            self.signals.setdefault(wake.certificate_id, []).append(wake.signal)
            self.channels.setdefault(wake.certificate_id, []).append(wake.channel)
        for spent in plan.spendings.values():
            self.signals.setdefault(spent.certificate_id, []).append(Signal.CERTIFICATE_SPENT)
            self.channels.setdefault(spent.certificate_id, []).append(spent.channel)


def _as_kept(payment: Payment) -> Payment:
    """A payment as it comes back from its compact row: the original bytes are gone."""
    source, record = payment
    value = msgspec.json.encode(record)
    return InputRecord(source.topic, source.partition, source.offset, b"", value), record


def in_batches(records: list[InputRecord], sizes: Iterable[int]) -> list[list[InputRecord]]:
    """The records in batches of these sizes, the rest in one."""
    batches, rest = [], list(records)
    for size in sizes:
        batches.append(rest[:size])
        rest = rest[size:]
    return [batch for batch in (*batches, rest) if batch]
