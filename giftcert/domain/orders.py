"""What is known of an order, and what its money means for one line. Pure functions over ``OrderFacts``.

Facts are added in the order in which each topic told them; every answer is computed anew from all of them, so that
the interleaving of topics does not matter.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from giftcert.domain.messages import (
    Line,
    LinesReturned,
    OrderCancelled,
    OrderMessage,
    OrderStated,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentMessage,
    PaymentRefunded,
    PaymentVoided,
)
from giftcert.domain.state import OrderFacts, Payment, PaymentKind, Withdrawal, WithdrawnLine

CERTIFICATE_TENDER = "giftCertificate"


# Recording ----------------------------------------------------------------------------------------


def record_order(facts: OrderFacts, message: OrderMessage) -> OrderFacts:
    """Return the facts with an order message added; one older than a version already seen changes nothing."""
    if is_stale(facts, message):
        return facts
    match message:
        case OrderStated():
            return _record_stated(facts, message)
        case OrderCancelled(line_ids=None):
            cancelled = _withdraw(facts, facts.lines, Withdrawal.CANCELLED, message.occurred_at)
            return replace(cancelled, version=message.order_version, cancelled=True)
        case OrderCancelled(line_ids=ids):
            lines = tuple(line for line in facts.lines if line.line_id in (ids or ()))
            cancelled = _withdraw(facts, lines, Withdrawal.CANCELLED, message.occurred_at)
            return replace(cancelled, version=message.order_version)
        case LinesReturned(line_ids=ids):
            lines = tuple(line for line in facts.lines if line.line_id in ids)
            returned = _withdraw(facts, lines, Withdrawal.RETURNED, message.occurred_at)
            return replace(returned, version=message.order_version)
        case _:
            assert_never(message)


def is_stale(facts: OrderFacts, message: OrderMessage) -> bool:
    """Return whether a newer (or this) version of the order is already known."""
    return message.order_version <= facts.version


def _record_stated(facts: OrderFacts, message: OrderStated) -> OrderFacts:
    """The whole order as it now is: lines that are gone were removed, lines that came back are not."""
    now_there = {line.line_id for line in message.lines}
    gone = tuple(line for line in facts.lines if line.line_id not in now_there)
    facts = _withdraw(facts, gone, Withdrawal.REMOVED, message.occurred_at)
    kept = tuple(
        one for one in facts.withdrawn if one.how != Withdrawal.REMOVED or one.line.line_id not in now_there
    )
    return replace(
        facts,
        version=message.order_version,
        stated=True,
        channel=message.channel,
        customer_id=message.customer_id,
        currency=message.currency,
        total=message.total,
        lines=message.lines,
        own=message.own,
        withdrawn=kept,
        earlier_payments_unknown=facts.earlier_payments_unknown or message.earlier_payments_unknown,
    )


def _withdraw(facts: OrderFacts, lines: tuple[Line, ...], how: Withdrawal, at: datetime) -> OrderFacts:
    known = {one.line.line_id for one in facts.withdrawn}
    added = tuple(WithdrawnLine(line=line, how=how, at=at) for line in lines if line.line_id not in known)
    return replace(facts, withdrawn=facts.withdrawn + added)


def record_payment(facts: OrderFacts, message: PaymentMessage, extends_until: datetime | None) -> OrderFacts:
    """Return the facts with a payment added; a repeat, known by its key or its refundId, changes nothing."""
    payment = _payment(message, extends_until)
    if any(_same(payment, known) for known in facts.payments):
        return facts
    return replace(facts, payments=(*facts.payments, payment))


def _same(one: Payment, other: Payment) -> bool:
    return one.key == other.key or (one.refund_id is not None and one.refund_id == other.refund_id)


def _payment(message: PaymentMessage, extends_until: datetime | None) -> Payment:
    match message:
        case PaymentAuthorized():
            kind, refund_id, allocations = PaymentKind.AUTHORIZED, None, message.allocations
        case PaymentCaptured():
            kind, refund_id, allocations = PaymentKind.CAPTURED, None, message.allocations
        case PaymentVoided():
            kind, refund_id, allocations = PaymentKind.VOIDED, None, ()
        case PaymentRefunded():
            kind, refund_id, allocations = PaymentKind.REFUNDED, message.refund_id, message.allocations
        case _:
            assert_never(message)
    return Payment(
        key=message.key,
        kind=kind,
        payment_id=message.payment_id,
        tender=message.tender,
        amount=message.amount,
        currency=message.currency,
        occurred_at=message.occurred_at,
        refund_id=refund_id,
        allocations=allocations,
        extends_until=extends_until,
    )


# Lines --------------------------------------------------------------------------------------------


def all_lines(facts: OrderFacts) -> tuple[Line, ...]:
    """Return every line the order has or had, in lineId order, each once."""
    by_id = {one.line.line_id: one.line for one in facts.withdrawn}
    by_id.update({line.line_id: line for line in facts.lines})
    return tuple(by_id[line_id] for line_id in sorted(by_id))


def find_line(facts: OrderFacts, line_id: str) -> Line | None:
    """Return a line the order has or had."""
    return next((line for line in all_lines(facts) if line.line_id == line_id), None)


def withdrawal_of(facts: OrderFacts, line_id: str) -> Withdrawal | None:
    """Return how a line left the order, or ``None`` while it is in it."""
    return next((one.how for one in facts.withdrawn if one.line.line_id == line_id), None)


def is_replaced(facts: OrderFacts, line_id: str) -> bool:
    """Return whether the line is still in the order but names another certificate."""
    named_here = facts.own is not None and facts.own.line_id == line_id
    return (
        facts.stated
        and not named_here
        and any(line.line_id == line_id and line.is_certificate for line in facts.lines)
    )


def first_withdrawal_at(facts: OrderFacts) -> datetime | None:
    """Return when (business time) the order was first cancelled, returned or reduced."""
    return min((one.at for one in facts.withdrawn), default=None)


# Money --------------------------------------------------------------------------------------------


def captures(facts: OrderFacts) -> tuple[Payment, ...]:
    """Return the captures of the order, in the order of their topic."""
    return tuple(payment for payment in facts.payments if payment.kind == PaymentKind.CAPTURED)


def refunds(facts: OrderFacts) -> tuple[Payment, ...]:
    """Return the refunds of the order, in the order of their topic."""
    return tuple(payment for payment in facts.payments if payment.kind == PaymentKind.REFUNDED)


def in_order_currency(facts: OrderFacts, payments: tuple[Payment, ...]) -> tuple[Payment, ...]:
    """Return the payments in the order's currency; until the order is known, all."""
    return tuple(one for one in payments if facts.currency is None or one.currency == facts.currency)


def captured_sum(facts: OrderFacts, counted: tuple[Payment, ...] | None = None) -> int:
    """Return the sum of captures in the order's currency, refunds not deducted."""
    chosen = captures(facts) if counted is None else counted
    return sum(payment.amount for payment in in_order_currency(facts, chosen))


def allocated_sum(payments: tuple[Payment, ...], line_id: str) -> int:
    """Return how much of the payments is allocated to a line."""
    return sum(part.amount for payment in payments for part in payment.allocations if part.line_id == line_id)


def unallocated_sum(payments: tuple[Payment, ...]) -> int:
    """Return how much of the payments is allocated to no line."""
    return sum(payment.amount - sum(part.amount for part in payment.allocations) for payment in payments)


def effective_total(facts: OrderFacts) -> int:
    """Return what the order costs without the lines that were cancelled since its last full version."""
    cancelled = {one.line.line_id for one in facts.withdrawn if one.how == Withdrawal.CANCELLED}
    return facts.total - sum(line.amount for line in facts.lines if line.line_id in cancelled)


def certificate_amounts(facts: OrderFacts) -> int:
    """Return what all certificate lines, also withdrawn ones, cost together."""
    return sum(line.amount for line in all_lines(facts) if line.is_certificate)


def captured_for_line(facts: OrderFacts, line_id: str) -> int:
    """Return the money captured for a line: its allocations, or its amount once the order's sum reaches its total.

    Under the total, unallocated money goes to goods first; what no goods line can have taken is counted for the
    certificate lines in lineId order, so that no captured money of a certificate-only order goes unaccounted for.
    """
    line = find_line(facts, line_id)
    if line is None:
        return 0
    counted = in_order_currency(facts, captures(facts))
    allocated = allocated_sum(counted, line_id)
    if captured_sum(facts) >= facts.total > 0 and withdrawal_allows_total(facts, line_id):
        return max(allocated, line.amount)
    return allocated + _spill(facts, counted, line)


def withdrawal_allows_total(facts: OrderFacts, line_id: str) -> bool:
    """Return whether reaching the total says anything of the line: a line removed from the order left the total."""
    return withdrawal_of(facts, line_id) != Withdrawal.REMOVED


def _spill(facts: OrderFacts, counted: tuple[Payment, ...], line: Line) -> int:
    """Unallocated money beyond what goods still lack, handed to certificate lines in lineId order."""
    if not line.is_certificate:
        return 0
    lines = all_lines(facts)
    goods_lack = sum(
        max(0, one.amount - allocated_sum(counted, one.line_id)) for one in lines if not one.is_certificate
    )
    left = max(0, unallocated_sum(counted) - goods_lack)
    for one in lines:
        if not one.is_certificate:
            continue
        share = min(left, max(0, one.amount - allocated_sum(counted, one.line_id)))
        if one.line_id == line.line_id:
            return share
        left -= share
    return 0


@dataclass(frozen=True, slots=True)
class PaymentTest:
    """How a line is judged as paid: ``refunded`` is its money that went back and was counted before."""

    line_id: str
    any_tender: bool = False
    refunded: int = 0


def is_paid(facts: OrderFacts, test: PaymentTest) -> bool:
    """Return whether captures pay for a line ("Paid" in the lifecycle); amount 0 is paid when ordered."""
    return _is_paid_by(facts, test, captures(facts))


def _is_paid_by(facts: OrderFacts, test: PaymentTest, counted: tuple[Payment, ...]) -> bool:
    line = find_line(facts, test.line_id)
    if line is None or line.amount == 0:
        return line is not None
    counted = in_order_currency(facts, counted)
    allowed = (
        counted if test.any_tender else tuple(one for one in counted if one.tender != CERTIFICATE_TENDER)
    )
    if allocated_sum(allowed, test.line_id) - test.refunded >= line.amount:
        return True
    total_reached = captured_sum(facts, counted) - test.refunded >= effective_total(facts)
    return total_reached and captured_sum(facts, allowed) - test.refunded >= live_certificate_amounts(facts)


def live_certificate_amounts(facts: OrderFacts) -> int:
    """Return what the certificate lines still in the order cost together."""
    live = (one for one in facts.lines if withdrawal_of(facts, one.line_id) is None)
    return sum(line.amount for line in live if line.is_certificate)


def is_tender_refused(facts: OrderFacts, line_id: str) -> bool:
    """Return whether the line would be paid if certificates might buy certificates."""
    return is_paid(facts, PaymentTest(line_id, any_tender=True)) and not is_paid(facts, PaymentTest(line_id))


def paying_ids(facts: OrderFacts, test: PaymentTest) -> tuple[str, ...]:
    """Return the payments that pay for the line: the shortest run of captures, as told, that does.

    Captures told later do not count, so that the answer does not depend on how topics interleave.
    """
    told = captures(facts)
    for count in range(len(told) + 1):
        if _is_paid_by(facts, test, told[:count]):
            return tuple(dict.fromkeys(payment.payment_id for payment in told[:count]))
    return ()


def paid_late(facts: OrderFacts) -> datetime | None:
    """Return until when authorisations and voids keep the unpaid order, by what was granted at each."""
    voided = {one.payment_id for one in facts.payments if one.kind == PaymentKind.VOIDED}
    granted = (
        one.extends_until
        for one in facts.payments
        if one.extends_until is not None
        and (
            one.kind == PaymentKind.VOIDED
            or (one.kind == PaymentKind.AUTHORIZED and one.payment_id not in voided)
        )
    )
    return max(granted, default=None)
