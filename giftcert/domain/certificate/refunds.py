"""What happens to a certificate whose line's money goes back: "Refunds" in the lifecycle; the first match wins."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias, assert_never

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.cases import APPROVE, BY_SYSTEM, REJECT
from giftcert.domain.certificate.decision import Decision
from giftcert.domain.certificate.messages import RefundDeadlinePassed
from giftcert.domain.certificate.redemption_state import spent
from giftcert.domain.certificate.sale_money import SaleMoney
from giftcert.domain.certificate.state import Line, RefundCase, RefundState, Sale, Status
from giftcert.domain.certificate.words import Awaited, RefundDecision, RefundReason, ReleaseReason
from giftcert.domain.order.standing import Withdrawal
from giftcert.domain.policy import Policy

_OVERDUE_REASON = {
    Awaited.PAYMENT: RefundReason.REFUND_PAYMENT_MISSING,
    Awaited.REST: RefundReason.AMOUNT_MISMATCH,
    Awaited.CAPTURE: RefundReason.NOT_CAPTURED,
    Awaited.ALLOCATION: RefundReason.ALLOCATION_MISSING,
}


@dataclass(frozen=True, slots=True)
class Wait:
    """Something has yet to come; after a while a person is asked."""

    awaiting: Awaited
    amount: int


@dataclass(frozen=True, slots=True)
class AskPerson:
    """The refund cannot be carried out as it stands."""

    reason: RefundReason
    amount: int
    foreign_currency: str | None = None  # of amount, if not the sale's


@dataclass(frozen=True, slots=True)
class Complete:
    """The refund is carried out; amounts off the balance are in nominal units."""

    amount: int
    taken: int  # leaves the balance
    uncovered: int = 0  # the balance cannot give it


Verdict: TypeAlias = Wait | AskPerson | Complete
Rows: TypeAlias = tuple[tuple[bool, Verdict], ...]  # a table of the lifecycle: when, and what follows


def _first(rows: Rows) -> Verdict | None:
    return next((verdict for applies, verdict in rows if applies), None)


def unissued_verdict(money: SaleMoney) -> Verdict | None:
    """Judge the refunds of a line whose certificate is not issued; ``None``: there is nothing to judge.

    What a person approved is carried out once money is back. As nobody knows what foreign money is worth here, all that
    was captured then counts as back, so that the certificate is not issued for it.
    """
    foreign, approved, doubtful = bool(money.foreign), money.is_approved, bool(money.doubtful)
    has_refunds = money.back > 0 or money.unassigned > 0 or foreign
    return _first(
        (
            (foreign and (doubtful or not approved), _in_other_currency(money)),
            (approved and not foreign and money.back > 0, Complete(money.back, taken=0)),
            (approved and foreign and money.captured > 0, Complete(max(money.back, money.captured), taken=0)),
            (money.captured <= 0 and has_refunds, Wait(Awaited.CAPTURE, money.back or money.unassigned)),
            (money.owed < 0 or money.is_overdrawn, AskPerson(RefundReason.EXCEEDS_CAPTURED, money.back)),
            (money.back == money.captured > 0, Complete(money.back, taken=0)),
            (money.due > 0, Wait(Awaited.REST, money.back)),
            (money.unassigned > 0, Wait(Awaited.ALLOCATION, money.unassigned)),
            (money.leftover > 0, AskPerson(RefundReason.EXCEEDS_CAPTURED, money.leftover)),
            (money.withdrawal is not None and money.owed > 0, Wait(Awaited.PAYMENT, money.owed)),
        )
    )


def issued_verdict(decision: Decision, money: SaleMoney) -> Verdict | None:
    """Judge the refunds of a line whose certificate was issued; ``None``: there is nothing to judge."""
    state, back, due = decision.state, money.back, money.due > 0
    refunded, withdrawn = state.status == Status.REFUNDED, money.withdrawal is not None
    decided = money.is_withdrawal_decided
    free = money.price == 0 and withdrawn and not decided and not refunded
    whole = money.due + money.settled == money.price
    awaited = withdrawn and not refunded and (money.is_approved or not decided)
    return _approved_verdict(decision, money) or _first(
        (
            (bool(money.foreign), _in_other_currency(money)),
            # A line that cost nothing has no money to wait for when it leaves its order.
            (free and spent(state) > 0, AskPerson(RefundReason.CERTIFICATE_REDEEMED, back)),
            (free and state.held > 0, AskPerson(RefundReason.REDEMPTION_IN_PROGRESS, back)),
            (free, Complete(back, taken=state.balance)),
            (back > 0 and money.captured + money.settled == 0, Wait(Awaited.CAPTURE, back)),
            (
                back > 0 and (money.owed < 0 or money.is_overdrawn),
                AskPerson(RefundReason.EXCEEDS_CAPTURED, back),
            ),
            (back > 0 and money.settled >= money.price > 0, AskPerson(RefundReason.ALREADY_REFUNDED, back)),
            (due and state.status == Status.EXPIRED, AskPerson(RefundReason.CERTIFICATE_EXPIRED, back)),
            (due and state.blocked, AskPerson(RefundReason.CERTIFICATE_BLOCKED, back)),
            (due and state.held > 0, AskPerson(RefundReason.REDEMPTION_IN_PROGRESS, back)),
            (due and spent(state) > 0, AskPerson(RefundReason.CERTIFICATE_REDEEMED, back)),
            (due and whole, Complete(back, taken=state.balance)),
            (due, Wait(Awaited.REST, back)),
            (money.unassigned > 0, Wait(Awaited.ALLOCATION, money.unassigned)),
            (money.leftover > 0, AskPerson(RefundReason.EXCEEDS_CAPTURED, money.leftover)),
            (awaited and money.owed > 0, Wait(Awaited.PAYMENT, money.owed)),
            (withdrawn and money.excess_owed > 0, Wait(Awaited.PAYMENT, money.excess_owed)),
        )
    )


def _in_other_currency(money: SaleMoney) -> AskPerson:
    """Money of the order's own currency that is back as well comes first, then the newest foreign one's."""
    if money.back > 0 or not money.foreign:
        return AskPerson(RefundReason.CURRENCY_MISMATCH, money.back)
    currency = money.foreign[-1].currency
    amount = sum(one.certain + one.possible for one in money.foreign if one.currency == currency)
    return AskPerson(RefundReason.CURRENCY_MISMATCH, amount, currency)


def _approved_verdict(decision: Decision, money: SaleMoney) -> Complete | None:
    """Take the approved amount when the money comes; or all, if it is the whole price and no hold is open."""
    case = money.sale.open_case
    if case is None or case.approved is None or money.due == 0:
        return None
    balance, worth = decision.state.balance, money.worth(money.due)
    whole = money.due + money.settled >= money.price
    if whole and decision.state.held > 0:
        return None
    taken = balance if whole else min(case.approved, balance, worth)
    return Complete(money.back, taken=taken, uncovered=max(0, worth - taken))


def is_touched(money: SaleMoney) -> bool:
    """Return whether a refund, a withdrawal or an open case comes before the payment of an unissued line."""
    return money.withdrawal is not None or money.case is not None or unissued_verdict(money) is not None


def judge_unissued(decision: Decision, money: SaleMoney) -> ReleaseReason | None:
    """Judge the refunds of a line not issued yet; return why its certificate now goes back, if it does."""
    verdict = unissued_verdict(money)
    _apply(decision, money, verdict)
    if isinstance(verdict, Complete) and verdict.amount >= money.captured:
        return ReleaseReason.REFUNDED_BEFORE_ISSUE
    if verdict is None and money.withdrawal is not None:
        removed = money.withdrawal.how == Withdrawal.REMOVED
        return ReleaseReason.LINE_REMOVED if removed else ReleaseReason.ORDER_CANCELLED
    return None


def judge_issued(decision: Decision, money: SaleMoney) -> None:
    """Judge the refunds of a line whose certificate was issued."""
    _apply(decision, money, issued_verdict(decision, money))


def _apply(decision: Decision, money: SaleMoney, verdict: Verdict | None) -> None:
    """Record what a verdict means for the sale's open case, or for the one that the line's last holder left."""
    match verdict:
        case None:
            if money.case is not None:
                close_case(decision, money.line, money.case)
        case Wait():
            _wait(decision, money, verdict)
        case AskPerson():
            _ask(decision, money, verdict)
        case Complete():
            carry_out(decision, money, verdict)
        case _:
            assert_never(verdict)


def carry_out(decision: Decision, money: SaleMoney, verdict: Complete) -> None:
    """Count the money that is back, once, under the open case or one of its own."""
    sale, line = money.sale, money.line
    decision.record(
        e.RefundCompleted(
            refund_case_id=_case_id(decision, money),
            refund_id=money.refund_id,
            order_id=sale.order_id,
            line_id=line.standing.line_id,
            line_key=sale.line_key,
            amount=verdict.amount,
            excess=min(money.excess_back, verdict.amount),
            taken=verdict.taken,
            uncovered=verdict.uncovered,
            before_issue=sale.issued_at is None,
        ),
        cause=money.cause,
    )
    captured = min(verdict.amount, max(0, money.captured))
    decision.change_line(
        line.ref, lambda one: replace(one, counted=one.counted.plus(captured, money.counting))
    )


def _case_id(decision: Decision, money: SaleMoney) -> str:
    return money.case.refund_case_id if money.case else decision.new_id()


def _wait(decision: Decision, money: SaleMoney, verdict: Wait) -> None:
    """A promised wait stands, even after another reason stood before it for a while."""
    case = money.case
    awaited = (verdict.awaiting, verdict.amount, money.refund_id)
    if case is None or case.waits_until is None or (case.awaiting, case.amount, case.refund_id) != awaited:
        _request(decision, money, verdict, _waits_until(decision, money, verdict.awaiting))
    elif case.overdue:
        _ask(decision, money, AskPerson(_OVERDUE_REASON[verdict.awaiting], verdict.amount))
    elif case.state == RefundState.PENDING_DETAILS or case is money.line.open_case:
        _request(decision, money, verdict, case.waits_until)


def _request(decision: Decision, money: SaleMoney, verdict: Wait, waits_until: datetime) -> None:
    decision.record(
        e.RefundRequested(
            refund_case_id=_case_id(decision, money),
            refund_id=money.refund_id,
            amount=verdict.amount,
            order_id=money.sale.order_id,
            line_id=money.line.standing.line_id,
            line_key=money.sale.line_key,
            awaiting=verdict.awaiting,
            waits_until=waits_until,
        ),
        cause=money.cause,
    )


def _waits_until(decision: Decision, money: SaleMoney, awaiting: Awaited) -> datetime:
    """A refund that is there waits from when it last grew; one that has yet to come, from now on."""
    policy, refunded_at = decision.policy, money.refunded_at or decision.now
    match awaiting:
        case Awaited.CAPTURE:
            return refunded_at + policy.refund_capture_wait
        case Awaited.ALLOCATION:
            return refunded_at + policy.refund_allocation_wait
        case Awaited.REST:
            return refunded_at + policy.refund_payment_wait
        case Awaited.PAYMENT if money.sale.ended is not None:
            return decision.now + policy.cancelled_without_refund_after
        case Awaited.PAYMENT:
            return decision.now + policy.refund_payment_wait
        case _:
            assert_never(awaiting)


def _ask(decision: Decision, money: SaleMoney, verdict: AskPerson) -> None:
    case, asked = money.case, (verdict.reason, verdict.amount, verdict.foreign_currency, money.refund_id)
    known = case and (case.reason, case.amount, case.foreign_currency, case.refund_id)
    if known == asked and case is not money.line.open_case:
        return
    decision.record(
        e.RefundPendingDetails(
            refund_case_id=_case_id(decision, money),
            refund_id=money.refund_id,
            amount=verdict.amount,
            order_id=money.sale.order_id,
            line_id=money.line.standing.line_id,
            line_key=money.sale.line_key,
            reason=verdict.reason,
            foreign_currency=verdict.foreign_currency,
            allowed_decisions=allowed_decisions(money.sale),
            web_url=decision.terms.web_url,
        ),
        cause=money.cause,
    )


def allowed_decisions(sale: Sale) -> tuple[RefundDecision, ...]:
    """Return what a person may decide: before issue there is nothing that could work again."""
    return (APPROVE,) if sale.issued_at is None else (APPROVE, REJECT)


def close_case(decision: Decision, line: Line, case: RefundCase) -> None:
    """Nothing is left to decide: the refund means other lines, or the line is in its order again."""
    naming = line.standing.naming
    decision.record(
        e.RefundResolved(
            refund_case_id=case.refund_case_id,
            order_id=line.standing.order_id,
            line_id=line.standing.line_id,
            decision=REJECT,
            amount=0,
            uncovered=0,
            resolved_by=BY_SYSTEM,
            note="nothing is left to decide here",
        ),
        cause=naming.began.cause if case.awaiting == Awaited.PAYMENT else None,
    )


def refund_deadline_passed(decision: Decision, message: RefundDeadlinePassed) -> None:
    """Mark what has not come in time, or repeat the alert of a case that waits for a person."""
    cases = ((sale, case) for sale in decision.state.sales for case in sale.cases)
    sale, case = next(one for one in cases if one[1].refund_case_id == message.refund_case_id)
    if case.state == RefundState.PENDING_DETAILS:
        decision.record(_stuck_alert(decision, sale, case))
        return
    decision.change_case(case.refund_case_id, lambda waiting: replace(waiting, overdue=True))
    if sale.ended is not None and case.awaiting == Awaited.PAYMENT:
        decision.record(
            e.CancelledWithoutRefundAlerted(
                refund_case_id=case.refund_case_id,
                order_id=sale.order_id,
                line_id=sale.line_id,
                amount=case.amount,
                web_url=decision.terms.web_url,
            )
        )


def _stuck_alert(decision: Decision, sale: Sale, case: RefundCase) -> e.RefundStuckAlerted:
    return e.RefundStuckAlerted(
        refund_case_id=case.refund_case_id,
        order_id=sale.order_id,
        line_id=sale.line_id,
        reason=case.reason or RefundReason.REFUND_PAYMENT_MISSING,
        amount=case.amount,
        foreign_currency=case.foreign_currency,
        since=case.pending_since or decision.now,
        attempt=case.alerts + 1,
        web_url=decision.terms.web_url,
    )


def next_case_deadline(case: RefundCase, policy: Policy) -> datetime | None:
    """Return when something is next due on a case; promised waits stand, alerts follow the policy."""
    if case.state == RefundState.PENDING_DETAILS and case.pending_since is not None:
        return (case.alerted_at or case.pending_since) + policy.escalation(case.alerts)
    return case.waits_until if case.is_open and not case.overdue else None
