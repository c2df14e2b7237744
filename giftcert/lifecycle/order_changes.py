"""What changed orders mean for their lines and certificates: standings, recipients, pending rows. Many orders at once.

Ingest folds batches with it, and a decision about a refund reaches its order in the same way. The caller has locked the
orders, then their lines, and owns the transaction.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from giftcert.domain.cause import Cause
from giftcert.domain.clients import Recipient
from giftcert.domain.order import messages as m
from giftcert.domain.order.line_standings import line_standings
from giftcert.domain.order.order import Order
from giftcert.domain.order.standing import LineStanding
from giftcert.domain.policy import Policy
from giftcert.storage import order_lines, orders, pending
from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.clients import ClientRepository
from giftcert.storage.database import Connection
from giftcert.storage.order_lines import LineKey, OrderLineRow
from giftcert.storage.pending import PendingRow
from giftcert.storage.repository import Write, write_together
from giftcert.temporal.signals import Signal, Wake

_SIGNALS: Mapping[type[m.OrderMessage], Signal | None] = {
    m.OrderStated: Signal.ORDER_CHANGED,  # or ORDER_CREATED
    m.OrderCancelled: Signal.ORDER_CANCELLED,
    m.LinesReturned: Signal.ORDER_RETURNED,
    m.PaymentAuthorized: None,
    m.PaymentCaptured: Signal.PAYMENT_CAPTURED,
    m.PaymentVoided: Signal.PAYMENT_VOIDED,
    m.PaymentRefunded: Signal.PAYMENT_REFUNDED,
    m.RefundShareDecided: Signal.REQUEST_DECIDED,
}
Signals: TypeAlias = tuple[tuple[Signal, Cause | None], ...]  # each with the newest message of its kind


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderChange:
    """An order after messages that were new to it."""

    order: Order
    is_new: bool = False
    said: tuple[m.OrderMessage, ...] = ()  # none: looked at again for certificates that were imported since
    # By line key; other lines keep theirs.
    recipients: Mapping[int, Recipient | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRevision:
    """A line to write."""

    line: OrderLineRow
    to_decide: Signals = ()  # its certificates have something to decide on, and get these signals


async def revise(
    connection: Connection,
    changes: Sequence[OrderChange],
    rows: Mapping[LineKey, OrderLineRow],
    policy: Policy,
) -> tuple[list[LineRevision], dict[str, str]]:
    """Return changed orders' lines that stand otherwise than in ``rows``, and products of certificates new to them."""
    known = {one for row in rows.values() for one in row.named}
    named = {one for change in changes for line in change.order.lines for one in line.certificates}
    unknown = [one for one in named - known if is_certificate_id(one)]
    products = await CertificateRepository(connection).products(unknown) if unknown else {}
    erased = await _erased(connection, changes)
    ours = known | set(products)
    return [one for change in changes for one in revised_lines(change, rows, ours, erased, policy)], products


async def save(
    connection: Connection,
    changes: Sequence[OrderChange],
    revisions: Sequence[LineRevision],
    products: Mapping[str, str],
    now: datetime,
    also: Sequence[PendingRow] = (),
    writes: Sequence[Write] = (),
) -> list[Wake]:
    """Write all in one round trip, pending rows in one sorted pass; return the signals to send after the commit."""
    parts = list(writes)
    if new := [one.order for one in changes if one.is_new]:
        parts.append(orders.added(new))
    if known := [one.order for one in changes if one.said and not one.is_new]:
        parts.append(orders.changed(known))
    if revisions:
        parts.append(order_lines.revised([one.line for one in revisions]))
    if rows := [*(row for one in revisions for row in _pending(one)), *also]:
        parts.append(pending.waiting(rows, now))
    if parts:
        await write_together(connection, *parts)
    return wakes_of(revisions, products)


def revised_lines(
    change: OrderChange,
    rows: Mapping[LineKey, OrderLineRow],
    ours: Collection[str],
    erased: Collection[str],
    policy: Policy,
) -> Iterator[LineRevision]:
    """Yield the order's lines that stand otherwise than stored; ``ours`` are certificate ids, ``erased`` client ids."""
    order = change.order
    if order.size_exceeded:
        return
    counted = {key: row.counted for (order_id, key), row in rows.items() if order_id == order.order_id}
    signals = _signals(change.said)
    unpaid_until = order.unpaid_until(policy)
    for key, standing in line_standings(order, counted).items():
        before = rows.get((order.order_id, key))
        line = _named(_line(before, standing), order.lines[key - 1].certificates, ours)
        if key in change.recipients:
            line = replace(line, recipient=change.recipients[key])
        if order.customer_id in erased:  # also of lines that an earlier buyer's version had
            line = replace(line, recipient=None)
        line = replace(line, unpaid_until=unpaid_until)
        if line != before:
            yield LineRevision(line=line, to_decide=_to_decide(before, line, signals))


def _line(before: OrderLineRow | None, standing: LineStanding) -> OrderLineRow:
    """The row with the newer standing; a version by itself is no change of it."""
    if before is None:
        return OrderLineRow(standing=standing)
    if replace(standing, revision=before.standing.revision) == before.standing:
        return before
    return replace(before, standing=standing)


def _named(line: OrderLineRow, named: Sequence[str], ours: Collection[str]) -> OrderLineRow:
    """The row with all certificates of ours that the line was ever named with, newest last."""
    newest = line.standing.naming.certificate_id
    known = tuple(dict.fromkeys(one for one in (*line.named, *named) if one in ours and one != newest))
    if newest not in ours:
        return replace(line, named=known, speaker=None)
    return replace(line, named=(*known, newest), speaker=newest)


def _to_decide(before: OrderLineRow | None, line: OrderLineRow, signals: Signals) -> Signals:
    """What to signal of a line, if anything: an authorisation only moves the unpaid deadline."""
    if before is None or before.standing != line.standing or before.named != line.named:
        return signals or ((Signal.ORDER_CHANGED, line.standing.naming.began.cause),)
    if before.unpaid_until != line.unpaid_until:
        return tuple(one for one in signals if one[0] is Signal.PAYMENT_VOIDED)
    return ()


def _signals(said: Iterable[m.OrderMessage]) -> Signals:
    """The kinds of messages in the order in which each last came, with that message as the cause."""
    kinds: dict[Signal, Cause | None] = {}
    for message in said:
        kind = _SIGNALS[type(message)]
        if isinstance(message, m.OrderStated) and message.event_type == "order.created":
            kind = Signal.ORDER_CREATED
        if kind is not None:
            kinds.pop(kind, None)
            kinds[kind] = None if isinstance(message, m.RefundShareDecided) else message.cause
    return tuple(kinds.items())


def _concerned(line: OrderLineRow) -> list[str]:
    return list(dict.fromkeys(filter(None, (*line.named, line.holder))))


def _pending(revision: LineRevision) -> Iterator[PendingRow]:
    if not revision.to_decide:
        return
    kind, cause = revision.to_decide[-1]
    order_id, line_key = revision.line.key
    for certificate_id in _concerned(revision.line):
        yield PendingRow(
            certificate_id=certificate_id,
            order_id=order_id,
            line_key=line_key,
            kind=kind,
            channel=revision.line.standing.channel,
            cause=cause,
        )


def wakes_of(revisions: Iterable[LineRevision], products: Mapping[str, str]) -> list[Wake]:
    """Return one signal per kind and certificate, in the order of what happened."""
    wakes: dict[tuple[str, Signal], Wake] = {}
    for revision in revisions:
        for certificate_id in _concerned(revision.line):
            for kind, cause in revision.to_decide:
                wake = Wake(
                    certificate_id=certificate_id,
                    signal=kind,
                    channel=revision.line.standing.channel,
                    product=products.get(certificate_id),
                    order_id=revision.line.standing.order_id,
                    cause=cause.event_id if cause else None,
                )
                wakes.setdefault((certificate_id, kind), wake)
    return list(wakes.values())


def wake_of(row: PendingRow) -> Wake:
    """Return the signal about a pending row that others than ingest wrote."""
    return Wake(
        certificate_id=row.certificate_id, signal=row.kind, channel=row.channel, order_id=row.order_id
    )


def is_certificate_id(text: str) -> bool:
    """Return whether a text has the form of our certificate ids: a UUID in lower case with hyphens."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


async def _erased(connection: Connection, changes: Iterable[OrderChange]) -> frozenset[str]:
    """Buyers who are erased, or merged into somebody erased: nothing is stored of whom their lines are for."""
    stated = (one.order for one in changes if any(isinstance(message, m.OrderStated) for message in one.said))
    buyers = {order.customer_id for order in stated if order.customer_id is not None}
    return await ClientRepository(connection).erased_among(list(buyers)) if buyers else frozenset()
