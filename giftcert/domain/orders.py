"""What is known of an order: its lines, how they left it, its payments. Pure functions over ``OrderFacts``.

Facts are added in the order in which each topic told them; every answer is computed anew from all of them, so that
the interleaving of topics does not matter. What the payments mean is in ``line_money`` and ``refund_lines``.
"""

from dataclasses import replace
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
from giftcert.domain.state import (
    Absence,
    AssignedShare,
    OrderFacts,
    Payment,
    PaymentKind,
    Withdrawal,
    WithdrawalTold,
    WithdrawnLine,
)

# Recording ----------------------------------------------------------------------------------------


def record_order(facts: OrderFacts, message: OrderMessage) -> OrderFacts:
    """Return the facts with an order message added; one that is no newer than the last full version changes nothing.

    A cancellation or return is news until a full version restates the order. A message that comes after newer
    cancellations, as when it had to be mended and replayed, takes its place before them.
    """
    version = message.order_version
    if version <= facts.stated_version or any(one.version == version for one in facts.withdrawals):
        return facts
    newer = tuple(one for one in facts.withdrawals if one.version > version)
    before = replace(facts, withdrawn=tuple(one for one in facts.withdrawn if one.version <= version))
    match message:
        case OrderStated():
            recorded = replace(_record_stated(before, message), withdrawals=newer)
        case OrderCancelled():
            recorded = _record_withdrawal(before, _told(message, Withdrawal.CANCELLED))
        case LinesReturned():
            recorded = _record_withdrawal(before, _told(message, Withdrawal.RETURNED))
        case _:
            assert_never(message)
    for one in newer:
        recorded = _apply_withdrawal(recorded, one)
    return replace(recorded, version=max(facts.version, version))


def _told(message: OrderCancelled | LinesReturned, how: Withdrawal) -> WithdrawalTold:
    return WithdrawalTold(
        version=message.order_version, how=how, line_ids=message.line_ids, at=message.occurred_at
    )


def _record_withdrawal(facts: OrderFacts, told: WithdrawalTold) -> OrderFacts:
    known = sorted((*facts.withdrawals, told), key=lambda one: one.version)
    return _apply_withdrawal(replace(facts, withdrawals=tuple(known)), told)


def _apply_withdrawal(facts: OrderFacts, told: WithdrawalTold) -> OrderFacts:
    """Withdraw the lines that are named; a cancellation that names none means all."""
    ids = told.line_ids
    named = tuple(line for line in facts.lines if ids is None or line.line_id in ids)
    return _withdraw(facts, named, told)


def _record_stated(facts: OrderFacts, message: OrderStated) -> OrderFacts:
    """The whole order as it now is: lines that are gone were removed, lines that came back are not."""
    now_there = {line.line_id for line in message.lines}
    gone = tuple(line for line in facts.lines if line.line_id not in now_there)
    removal = WithdrawalTold(
        version=message.order_version, how=Withdrawal.REMOVED, line_ids=None, at=message.occurred_at
    )
    facts = _withdraw(facts, gone, removal)
    back = [one for one in facts.withdrawn if one.how == Withdrawal.REMOVED and one.line.line_id in now_there]
    absences = (Absence(one.line.line_id, out_at=one.at, back_at=message.occurred_at) for one in back)
    return replace(
        facts,
        stated_version=message.order_version,
        channel=message.channel,
        customer_id=message.customer_id,
        currency=message.currency,
        total=message.total,
        lines=message.lines,
        own=message.own,
        withdrawn=tuple(one for one in facts.withdrawn if one not in back),
        absences=(*facts.absences, *absences),
        earlier_payments_unknown=facts.earlier_payments_unknown or message.earlier_payments_unknown,
    )


def without_recipient(facts: OrderFacts) -> OrderFacts:
    """Return the facts with the recipient forgotten, as erasure asks."""
    return replace(facts, own=replace(facts.own, recipient=None)) if facts.own is not None else facts


def _withdraw(facts: OrderFacts, lines: tuple[Line, ...], told: WithdrawalTold) -> OrderFacts:
    named, known = {line.line_id for line in lines}, {one.line.line_id for one in facts.withdrawn}
    before = tuple(
        replace(one, said_again=told.version) if one.line.line_id in named else one for one in facts.withdrawn
    )
    added = tuple(
        WithdrawnLine(line=line, how=told.how, at=told.at, version=told.version)
        for line in lines
        if line.line_id not in known
    )
    return replace(facts, withdrawn=before + added)


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


def record_share(facts: OrderFacts, share: AssignedShare) -> OrderFacts:
    """Return the facts with what a person said of a refund and a line; the first word on the two stands."""
    if any((one.refund_id, one.line_id) == (share.refund_id, share.line_id) for one in facts.assigned):
        return facts
    return replace(facts, assigned=(*facts.assigned, share))


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


def withdrawn_in(facts: OrderFacts, line_id: str) -> int:
    """Return the newest version of the order that says a line has left it; 0 if none does."""
    left = (max(one.version, one.said_again) for one in facts.withdrawn if one.line.line_id == line_id)
    return max(left, default=0)


def is_replaced(facts: OrderFacts, line_id: str) -> bool:
    """Return whether the line is still in the order but does not name this certificate."""
    named_here = facts.own is not None and facts.own.line_id == line_id
    return not named_here and any(line.line_id == line_id for line in facts.lines)
