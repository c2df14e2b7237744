"""What happens to a certificate whose line's money goes back. "Refunds" in the lifecycle; the first match wins."""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, assert_never

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.cases import APPROVE, BY_SYSTEM, REJECT, find_case
from giftcert.domain.certificate.decision import Decision
from giftcert.domain.certificate.messages import RefundDeadlinePassed
from giftcert.domain.certificate.redemptions import spent
from giftcert.domain.certificate.sale_money import SaleMoney
from giftcert.domain.certificate.state import Line, RefundCase, RefundState, Sale, Status
from giftcert.domain.order.standing import Withdrawal
from giftcert.domain.policy import Policy

_OVERDUE_REASON = {
    e.Awaited.PAYMENT: e.RefundReason.REFUND_PAYMENT_MISSING,
    e.Awaited.REST: e.RefundReason.AMOUNT_MISMATCH,
    e.Awaited.CAPTURE: e.RefundReason.NOT_CAPTURED,
    e.Awaited.ALLOCATION: e.RefundReason.ALLOCATION_MISSING,
}

# Verdicts -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Nothing:
    """No refund of this line is left to judge."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Something has yet to come; after a while a person is asked."""

    awaiting: e.Awaited
    amount: int


@dataclass(frozen=True, slots=True)
class AskPerson:
    """The refund cannot be carried out as it stands. ``foreign_currency`` is that of the amount, if not the sale's."""

    reason: e.RefundReason
    amount: int
    foreign_currency: str | None = None


@dataclass(frozen=True, slots=True)
class Complete:
    """The refund is carried out; ``taken`` leaves the balance, ``uncovered`` it cannot give (nominal units)."""

    amount: int
    taken: int
    uncovered: int = 0


Verdict: TypeAlias = Nothing | Wait | AskPerson | Complete


def unissued_verdict(money: SaleMoney) -> Verdict:  # noqa: PLR0911 - one row of the table each
    """Judge the refunds of a line whose certificate is not issued."""
    if money.foreign is not None and (money.foreign.doubtful or not money.is_approved):
        return _in_other_currency(money)
    if money.is_approved and (approved := _approved_before_issue(money)) is not None:
        return approved
    if money.captured <= 0 and money.has_refunds:
        return Wait(e.Awaited.CAPTURE, money.back or money.unassigned)
    if money.back > money.captured or money.is_overdrawn:
        return AskPerson(e.RefundReason.EXCEEDS_CAPTURED, money.back)
    if money.back == money.captured > 0:
        return Complete(money.back, taken=0)
    if money.due > 0:
        return Wait(e.Awaited.REST, money.back)
    if money.unassigned > 0:
        return Wait(e.Awaited.ALLOCATION, money.unassigned)
    if money.leftover > 0:
        return AskPerson(e.RefundReason.EXCEEDS_CAPTURED, money.leftover)
    if money.withdrawal is not None and money.owed > 0:
        return Wait(e.Awaited.PAYMENT, money.owed)
    return Nothing()


def _approved_before_issue(money: SaleMoney) -> Complete | None:
    """What a person has approved is carried out as soon as money is back.

    Nobody knows how much a line's money in another currency is here; all that was captured counts as back, so that
    the certificate is not issued for it.
    """
    if money.foreign is None:
        return Complete(money.back, taken=0) if money.back > 0 else None
    return Complete(max(money.back, money.captured), taken=0) if money.captured > 0 else None


def _in_other_currency(money: SaleMoney) -> AskPerson:
    """Money of the order's own currency that is back as well is told first."""
    if money.back > 0 or money.foreign is None:
        return AskPerson(e.RefundReason.CURRENCY_MISMATCH, money.back)
    return AskPerson(e.RefundReason.CURRENCY_MISMATCH, money.foreign.amount, money.foreign.currency)


def issued_verdict(decision: Decision, sale: Sale, money: SaleMoney) -> Verdict:  # noqa: PLR0911 - one row of the table each
    """Judge the refunds of a line whose certificate was issued."""
    found = _approved_verdict(decision, sale, money) or _money_verdict(decision, money)
    if found is not None:
        return found
    if money.due > 0:
        return _certificate_verdict(decision, money)
    if money.unassigned > 0:
        return Wait(e.Awaited.ALLOCATION, money.unassigned)
    if money.leftover > 0:
        return AskPerson(e.RefundReason.EXCEEDS_CAPTURED, money.leftover)
    if money.withdrawal is None:
        return Nothing()
    decided = money.is_withdrawal_decided and not money.is_approved
    if not decided and decision.state.status != Status.REFUNDED and money.owed > 0:
        return Wait(e.Awaited.PAYMENT, money.owed)
    return Wait(e.Awaited.PAYMENT, money.excess_owed) if money.excess_owed > 0 else Nothing()


def _approved_verdict(decision: Decision, sale: Sale, money: SaleMoney) -> Verdict | None:
    """Take the approved amount when the money comes, never more than that is worth; or all, if it is the price.

    What is held then would stay spendable, so all is taken only when no hold is open any more.
    """
    case = sale.open_case
    if case is None or case.approved is None or money.due == 0:
        return None
    balance, worth = decision.state.balance, money.worth(money.due)
    whole = money.due + money.settled >= money.price
    if whole and decision.state.held > 0:
        return None
    taken = balance if whole else min(case.approved, balance, worth)
    return Complete(money.back, taken=taken, uncovered=max(0, worth - taken))


def _money_verdict(decision: Decision, money: SaleMoney) -> Verdict | None:  # noqa: PLR0911 - one row each
    """Rows that look at the money alone."""
    if money.foreign is not None:
        return _in_other_currency(money)
    withdrawn = money.withdrawal is not None and not money.is_withdrawal_decided
    if money.price == 0 and withdrawn and decision.state.status != Status.REFUNDED:
        return _free_verdict(decision, money)
    if money.back == 0:
        return None
    if money.captured + money.settled == 0:
        return Wait(e.Awaited.CAPTURE, money.back)
    if money.back > money.captured or money.is_overdrawn:
        return AskPerson(e.RefundReason.EXCEEDS_CAPTURED, money.back)
    if money.settled >= money.price > 0:
        return AskPerson(e.RefundReason.ALREADY_REFUNDED, money.back)
    return None


def _free_verdict(decision: Decision, money: SaleMoney) -> Verdict:
    """A line that cost nothing has left the order: there is no money to wait for, expired or blocked or not.

    While a hold is open nobody knows whether it is spent.
    """
    state = decision.state
    if spent(state) > 0:
        return AskPerson(e.RefundReason.CERTIFICATE_REDEEMED, money.back)
    if state.held > 0:
        return AskPerson(e.RefundReason.REDEMPTION_IN_PROGRESS, money.back)
    return Complete(money.back, taken=state.balance)


def _certificate_verdict(decision: Decision, money: SaleMoney) -> Verdict:
    """Rows that look at the certificate, for a refund that the money allows."""
    state = decision.state
    if state.status == Status.EXPIRED:
        return AskPerson(e.RefundReason.CERTIFICATE_EXPIRED, money.back)
    if state.blocked:
        return AskPerson(e.RefundReason.CERTIFICATE_BLOCKED, money.back)
    if state.held > 0:
        return AskPerson(e.RefundReason.REDEMPTION_IN_PROGRESS, money.back)
    if spent(state) > 0:
        return AskPerson(e.RefundReason.CERTIFICATE_REDEEMED, money.back)
    if money.due + money.settled == money.price:
        return Complete(money.back, taken=state.balance)
    return Wait(e.Awaited.REST, money.back)


# Judging ------------------------------------------------------------------------------------------


def is_touched(sale: Sale, line: Line, money: SaleMoney) -> bool:
    """Return whether a refund, a withdrawal or an open case has to be judged before an unissued line can be paid."""
    nothing = isinstance(unissued_verdict(money), Nothing)
    return not nothing or money.withdrawal is not None or known_case(sale, line) is not None


def judge_unissued(decision: Decision, sale: Sale, line: Line, money: SaleMoney) -> e.ReleaseReason | None:
    """Judge the refunds of a line whose certificate is not issued; return why it now goes back, if it does."""
    verdict = unissued_verdict(money)
    apply_verdict(decision, sale, line, money, verdict)
    if isinstance(verdict, Complete) and verdict.amount >= money.captured:
        return e.ReleaseReason.REFUNDED_BEFORE_ISSUE
    if isinstance(verdict, Nothing) and money.withdrawal is not None:
        removed = money.withdrawal.how == Withdrawal.REMOVED
        return e.ReleaseReason.LINE_REMOVED if removed else e.ReleaseReason.ORDER_CANCELLED
    return None


def judge_issued(decision: Decision, sale: Sale, line: Line, money: SaleMoney) -> None:
    """Judge the refunds of a line whose certificate was issued."""
    apply_verdict(decision, sale, line, money, issued_verdict(decision, sale, money))


def apply_verdict(decision: Decision, sale: Sale, line: Line, money: SaleMoney, verdict: Verdict) -> None:
    """Record what a verdict means for the sale's open case, or for the one that the line's last holder left."""
    case = known_case(sale, line)
    match verdict:
        case Nothing():
            if case is not None:
                close_case(decision, line, case)
        case Wait():
            _wait(decision, sale, line, money, verdict)
        case AskPerson():
            _ask(decision, sale, line, money, verdict)
        case Complete():
            carry_out(decision, sale, line, money, verdict)
        case _:
            assert_never(verdict)


def known_case(sale: Sale, line: Line) -> RefundCase | None:
    """Return the sale's open case, or the one that the line's last holder left."""
    return sale.open_case or line.open_case


# Cases --------------------------------------------------------------------------------------------


def carry_out(decision: Decision, sale: Sale, line: Line, money: SaleMoney, verdict: Complete) -> None:
    """Count the money that is back, once, under the open case or one of its own."""
    case = known_case(sale, line)
    decision.record(
        e.RefundCompleted(
            refund_case_id=case.refund_case_id if case else decision.new_id(),
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
        e.MoneyCounted(
            order_id=sale.order_id,
            line_key=sale.line_key,
            captured=min(verdict.amount, max(0, money.captured)),
            refunds=money.counting,
        ),
        cause=money.cause,
    )


def _wait(decision: Decision, sale: Sale, line: Line, money: SaleMoney, verdict: Wait) -> None:
    """What was promised to be awaited stays promised, also after another reason stood before it for a while."""
    case = known_case(sale, line)
    awaited = (verdict.awaiting, verdict.amount, money.refund_id)
    if case is None or case.waits_until is None or (case.awaiting, case.amount, case.refund_id) != awaited:
        _request(decision, sale, line, money, verdict, _waits_until(decision, sale, money, verdict.awaiting))
    elif case.overdue:
        _ask(decision, sale, line, money, AskPerson(_OVERDUE_REASON[verdict.awaiting], verdict.amount))
    elif case.state == RefundState.PENDING_DETAILS or case is line.open_case:
        _request(decision, sale, line, money, verdict, case.waits_until)


def _request(
    decision: Decision, sale: Sale, line: Line, money: SaleMoney, verdict: Wait, waits_until: datetime
) -> None:
    case = known_case(sale, line)
    decision.record(
        e.RefundRequested(
            refund_case_id=case.refund_case_id if case else decision.new_id(),
            refund_id=money.refund_id,
            amount=verdict.amount,
            order_id=sale.order_id,
            line_id=line.standing.line_id,
            line_key=sale.line_key,
            awaiting=verdict.awaiting,
            waits_until=waits_until,
        ),
        cause=money.cause,
    )


def _waits_until(decision: Decision, sale: Sale, money: SaleMoney, awaiting: e.Awaited) -> datetime:
    """A refund that is there waits from when it last grew; one that has yet to come, from now on."""
    policy, refunded_at = decision.policy, money.refunded_at or decision.now
    match awaiting:
        case e.Awaited.CAPTURE:
            return refunded_at + policy.refund_capture_wait
        case e.Awaited.ALLOCATION:
            return refunded_at + policy.refund_allocation_wait
        case e.Awaited.REST:
            return refunded_at + policy.refund_payment_wait
        case e.Awaited.PAYMENT:
            late = sale.ended is not None
            return decision.now + (
                policy.cancelled_without_refund_after if late else policy.refund_payment_wait
            )
        case _:
            assert_never(awaiting)


def _ask(decision: Decision, sale: Sale, line: Line, money: SaleMoney, verdict: AskPerson) -> None:
    case = known_case(sale, line)
    if case is not None and case is not line.open_case and _is_asked(case, verdict, money):
        return
    decision.record(
        e.RefundPendingDetails(
            refund_case_id=case.refund_case_id if case else decision.new_id(),
            refund_id=money.refund_id,
            amount=verdict.amount,
            order_id=sale.order_id,
            line_id=line.standing.line_id,
            line_key=sale.line_key,
            reason=verdict.reason,
            foreign_currency=verdict.foreign_currency,
            allowed_decisions=allowed_decisions(sale),
            web_url=decision.terms.web_url,
        ),
        cause=money.cause,
    )


def _is_asked(case: RefundCase, verdict: AskPerson, money: SaleMoney) -> bool:
    asked = (verdict.reason, verdict.amount, verdict.foreign_currency, money.refund_id)
    known = (case.reason, case.amount, case.foreign_currency, case.refund_id)
    return case.state == RefundState.PENDING_DETAILS and known == asked


def allowed_decisions(sale: Sale) -> tuple[str, ...]:
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
        cause=naming.cause if case.awaiting == e.Awaited.PAYMENT else None,
    )


# Deadlines ----------------------------------------------------------------------------------------


def refund_deadline_passed(decision: Decision, message: RefundDeadlinePassed) -> None:
    """Mark what has not come in time, or repeat the alert of a case that waits for a person."""
    found = find_case(decision.state, message.refund_case_id)
    if found is None:
        return
    sale, case = found
    due = next_case_deadline(case, decision.policy)
    if due is None or decision.now < due:
        return
    if case.state == RefundState.PENDING_DETAILS:
        decision.record(_stuck_alert(decision, sale, case))
        return
    decision.record(e.RefundOverdue(case.refund_case_id))
    if sale.ended is not None and case.awaiting == e.Awaited.PAYMENT:
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
        reason=case.reason or e.RefundReason.REFUND_PAYMENT_MISSING,
        amount=case.amount,
        foreign_currency=case.foreign_currency,
        since=case.pending_since or decision.now,
        attempt=case.alerts + 1,
        web_url=decision.terms.web_url,
    )


def next_case_deadline(case: RefundCase, policy: Policy) -> datetime | None:
    """Return when something is next due on an open case; promised waits stand, escalation follows the policy."""
    if case.state == RefundState.PENDING_DETAILS and case.pending_since is not None:
        return (case.alerted_at or case.pending_since) + policy.escalation(case.alerts)
    return case.waits_until if case.is_open and not case.overdue else None
