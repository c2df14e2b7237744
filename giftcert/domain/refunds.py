"""What happens to a certificate line whose money goes back. "Refunds" in the lifecycle; the first match wins."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias, assert_never

from giftcert.domain import events as e
from giftcert.domain import line_money, orders, redemptions
from giftcert.domain.decision import Decision
from giftcert.domain.evolve import APPROVE, BY_SYSTEM, REJECT, find_case
from giftcert.domain.messages import RefundDeadlinePassed
from giftcert.domain.money import worth_of_refund
from giftcert.domain.policy import Policy
from giftcert.domain.refund_lines import (
    ForeignMoney,
    RefundShares,
    foreign_money,
    foreign_refund_ids,
    refund_shares,
)
from giftcert.domain.state import OrderFacts, RefundCase, RefundState, Sale, Status, Withdrawal

_OVERDUE_REASON = {
    e.Awaited.PAYMENT: e.RefundReason.REFUND_PAYMENT_MISSING,
    e.Awaited.REST: e.RefundReason.AMOUNT_MISMATCH,
    e.Awaited.CAPTURE: e.RefundReason.NOT_CAPTURED,
    e.Awaited.ALLOCATION: e.RefundReason.ALLOCATION_MISSING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the money of one line stands. ``captured`` and ``refunded`` leave out what earlier cases have counted.

    ``settled`` is what they counted since the certificate was issued, ``returned`` what they ever counted.
    ``overdrawn`` says that a payment gave more back than it brought, ``approved`` that a person allowed the refund
    before its money came.
    """

    price: int
    captured: int
    refunded: int
    settled: int
    returned: int
    returned_elsewhere: int
    unassigned: int
    withdrawal: Withdrawal | None
    withdrawal_decided: bool
    foreign: ForeignMoney | None
    overdrawn: bool
    refund_id: str | None
    has_open_case: bool
    approved: bool

    @property
    def is_touched(self) -> bool:
        """Whether a refund, a withdrawal or an open case has to be judged before anything else."""
        return (
            self.withdrawal is not None
            or self.refunded > 0
            or self.unassigned > 0
            or self.foreign is not None
            or self.has_open_case
        )


def standing(facts: OrderFacts, sale: Sale) -> Standing:
    """Return how the money of a sale's line stands after all that is known of its order."""
    shares = refund_shares(facts)
    counted = {refund_id for case in sale.cases for refund_id in case.counted_refunds}
    foreign = [one for one in foreign_refund_ids(facts, sale.line_id) if one not in counted]
    new = [one for one in shares.refund_ids(sale.line_id) if one not in counted] + foreign
    returned = sum(case.counted for case in sale.cases)
    captured, refunded = _money(facts, sale, shares, counted)
    case = sale.open_case
    return Standing(
        price=sale.amount,
        captured=captured,
        refunded=refunded,
        settled=_settled(sale),
        returned=returned,
        returned_elsewhere=_returned_of_gone_lines(facts, shares),
        unassigned=shares.unassigned_for(sale.line_id, counted),
        withdrawal=orders.withdrawal_of(facts, sale.line_id),
        withdrawal_decided=orders.withdrawn_in(facts, sale.line_id) <= sale.withdrawal_decided,
        foreign=foreign_money(facts, sale.line_id, counted),
        overdrawn=_is_overdrawn(facts, shares.paying(sale.line_id) - counted),
        refund_id=new[-1] if new else None,
        has_open_case=case is not None,
        approved=case is not None and case.approved is not None,
    )


def _is_overdrawn(facts: OrderFacts, refund_ids: frozenset[str]) -> bool:
    """Whether a payment that one of these refunds is of gave back more than it brought."""
    told = line_money.in_order_currency(facts, facts.payments)
    payments = {one.payment_id for one in told if one.refund_id in refund_ids}
    return any(line_money.overdrawn(told, payment_id) for payment_id in payments)


def _money(facts: OrderFacts, sale: Sale, shares: RefundShares, counted: set[str]) -> tuple[int, int]:
    """What is captured for the line, and what of it is back, both besides what was counted.

    An issued certificate was paid: a later version with a higher total takes nothing of that away.
    """
    captured = line_money.captured_for_line(facts, sale.line_id, sum(case.counted for case in sale.cases))
    if sale.issued_at is not None:
        captured = max(captured, sale.amount - _settled(sale))
    if not shares.of_whole_order:
        return captured, shares.of(sale.line_id, counted)
    told = line_money.in_order_currency(facts, line_money.refunds(facts))
    new = tuple(one for one in told if one.refund_id not in counted)
    if not new:
        return (0, 0)
    whole = captured + _counted_of_other_currency(facts, sale)
    return captured, max(whole, line_money.allocated_sum(new, sale.line_id))


def _counted_of_other_currency(facts: OrderFacts, sale: Sale) -> int:
    """What was counted as back, but by no refund in the order's own currency."""
    foreign = set(foreign_refund_ids(facts, sale.line_id))
    return sum(case.counted for case in sale.cases if foreign.intersection(case.counted_refunds))


def _settled(sale: Sale) -> int:
    return sum(case.counted for case in sale.cases if not case.before_issue)


def payment_test(facts: OrderFacts, sale: Sale, *, any_tender: bool) -> line_money.PaymentTest:
    """Return the test whether a sale's line is paid, after what went back of it and of lines that are gone."""
    line = standing(facts, sale)
    return line_money.PaymentTest(
        sale.line_id,
        amount=sale.amount,
        any_tender=any_tender,
        returned=line.returned,
        returned_elsewhere=line.returned_elsewhere,
    )


def _returned_of_gone_lines(facts: OrderFacts, shares: RefundShares) -> int:
    """Money that went back for lines no longer in the order; it pays for no other line."""
    counted = line_money.in_order_currency(facts, line_money.captures(facts))
    return sum(
        max(0, shares.of(line_id) - line_money.allocated_sum(counted, line_id))
        for line_id in line_money.gone_lines(facts)
    )


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


def judge_unissued(decision: Decision, sale: Sale, line: Standing) -> e.ReleaseReason | None:
    """Judge the refunds of a line whose certificate is not issued; return why it now goes back, if it does."""
    verdict = _approved_before_issue(line) or _unissued_verdict(line)
    _apply(decision, sale, line, verdict, before_issue=True)
    if isinstance(verdict, Complete) and 0 < verdict.amount >= line.captured:
        return e.ReleaseReason.REFUNDED_BEFORE_ISSUE
    if isinstance(verdict, Nothing) and line.withdrawal is not None:
        removed = line.withdrawal == Withdrawal.REMOVED
        return e.ReleaseReason.LINE_REMOVED if removed else e.ReleaseReason.ORDER_CANCELLED
    return None


def _approved_before_issue(line: Standing) -> Verdict | None:
    """What a person has approved is carried out as soon as money is back.

    Nobody knows how much a line's money in another currency is here; all that was captured counts as back, so that
    the certificate is not issued for it.
    """
    if not line.approved:
        return None
    if line.foreign is None:
        return Complete(line.refunded, taken=0) if line.refunded > 0 else None
    if not line.foreign.is_of_line:
        return Complete(line.refunded, taken=0)
    return Complete(max(line.refunded, line.captured), taken=0) if line.captured > 0 else None


def _unissued_verdict(line: Standing) -> Verdict:  # noqa: PLR0911 - one row of the table each
    if line.foreign is not None and not line.approved:
        return _in_other_currency(line)
    if line.captured <= 0 and (line.refunded > 0 or line.unassigned > 0 or line.foreign is not None):
        return Wait(e.Awaited.CAPTURE, line.refunded or line.unassigned)
    if line.refunded > line.captured or line.overdrawn:
        return AskPerson(e.RefundReason.EXCEEDS_CAPTURED, line.refunded)
    if line.refunded == line.captured > 0:
        return Complete(line.refunded, taken=0)
    if line.refunded > 0:
        return Wait(e.Awaited.REST, line.refunded)
    if line.unassigned > 0:
        return Wait(e.Awaited.ALLOCATION, line.unassigned)
    if line.withdrawal is not None and line.captured > 0:
        return Wait(e.Awaited.PAYMENT, line.captured)
    return Nothing()


def _in_other_currency(line: Standing) -> AskPerson:
    """Money of the order's own currency that is back as well is told first."""
    if line.refunded > 0 or line.foreign is None:
        return AskPerson(e.RefundReason.CURRENCY_MISMATCH, line.refunded)
    return AskPerson(e.RefundReason.CURRENCY_MISMATCH, line.foreign.amount, line.foreign.currency)


def judge_issued(decision: Decision, sale: Sale, line: Standing) -> None:
    """Judge the refunds of a line whose certificate was issued."""
    verdict = _approved_verdict(decision, sale, line) or _issued_verdict(decision, line)
    _apply(decision, sale, line, verdict, before_issue=False)


def _approved_verdict(decision: Decision, sale: Sale, line: Standing) -> Verdict | None:
    """Take the approved amount when the money comes, never more than that is worth; or all, if it is the price.

    What is held then would stay spendable, so all is taken only when no hold is open any more.
    """
    case = sale.open_case
    if case is None or case.approved is None or line.refunded == 0:
        return None
    balance, worth = decision.state.balance, worth_of_refund(sale.nominal, line.refunded, line.price)
    whole = line.refunded + line.settled >= line.price
    if whole and decision.state.held > 0:
        return None
    taken = balance if whole else min(case.approved, balance, worth)
    return Complete(line.refunded, taken=taken, uncovered=max(0, worth - taken))


def _issued_verdict(decision: Decision, line: Standing) -> Verdict:
    verdict = _money_verdict(decision, line)
    if verdict is not None:
        return verdict
    if line.refunded > 0:
        return _certificate_verdict(decision, line)
    if line.unassigned > 0:
        return Wait(e.Awaited.ALLOCATION, line.unassigned)
    decided = line.withdrawal_decided and not line.approved
    over = decided or decision.state.status == Status.REFUNDED
    came_again = line.captured + line.settled > line.price  # money for a line whose price is back
    if line.withdrawal is not None and (came_again or not over):
        return Wait(e.Awaited.PAYMENT, line.captured)
    return Nothing()


def _money_verdict(decision: Decision, line: Standing) -> Verdict | None:  # noqa: PLR0911 - one row each
    """Rows that look at the money alone."""
    if line.foreign is not None:
        return _in_other_currency(line)
    withdrawn = line.withdrawal is not None and not line.withdrawal_decided
    if line.price == 0 and withdrawn and decision.state.status != Status.REFUNDED:
        return _free_verdict(decision, line)
    if line.refunded == 0:
        return None
    if line.captured + line.settled == 0:
        return Wait(e.Awaited.CAPTURE, line.refunded)
    if line.refunded > line.captured or line.overdrawn:
        return AskPerson(e.RefundReason.EXCEEDS_CAPTURED, line.refunded)
    if line.settled >= line.price:
        return AskPerson(e.RefundReason.ALREADY_REFUNDED, line.refunded)
    return None


def _free_verdict(decision: Decision, line: Standing) -> Verdict:
    """A line that cost nothing has left the order: there is no money to wait for, expired or blocked or not.

    While a hold is open nobody knows whether it is spent.
    """
    state = decision.state
    if _spent(decision):
        return AskPerson(e.RefundReason.CERTIFICATE_REDEEMED, line.refunded)
    if state.held > 0:
        return AskPerson(e.RefundReason.REDEMPTION_IN_PROGRESS, line.refunded)
    return Complete(line.refunded, taken=state.balance)


def _certificate_verdict(decision: Decision, line: Standing) -> Verdict:  # noqa: PLR0911 - one row of the table each
    """Rows that look at the certificate, for a refund that the money allows."""
    state = decision.state
    if state.status == Status.EXPIRED:
        return AskPerson(e.RefundReason.CERTIFICATE_EXPIRED, line.refunded)
    if state.blocked:
        return AskPerson(e.RefundReason.CERTIFICATE_BLOCKED, line.refunded)
    if state.held > 0:
        return AskPerson(e.RefundReason.REDEMPTION_IN_PROGRESS, line.refunded)
    if _spent(decision):
        return AskPerson(e.RefundReason.CERTIFICATE_REDEEMED, line.refunded)
    if line.refunded + line.settled == line.price:
        return Complete(line.refunded, taken=state.balance)
    if line.refunded + line.settled > line.price:
        return AskPerson(e.RefundReason.AMOUNT_MISMATCH, line.refunded)
    return Wait(e.Awaited.REST, line.refunded)


def _spent(decision: Decision) -> bool:
    """Whether purchases took anything that was not given back; what refunds took is not spending."""
    return redemptions.spent(decision.state) > 0


# Cases --------------------------------------------------------------------------------------------


def _apply(decision: Decision, sale: Sale, line: Standing, verdict: Verdict, *, before_issue: bool) -> None:
    match verdict:
        case Nothing():
            close_open_case(decision, sale)
        case Wait():
            _wait(decision, sale, line, verdict)
        case AskPerson():
            _ask(decision, sale, line, verdict)
        case Complete():
            carry_out(decision, sale, line, verdict, before_issue=before_issue)
        case _:
            assert_never(verdict)


def carry_out(
    decision: Decision, sale: Sale, line: Standing, verdict: Complete, *, before_issue: bool
) -> None:
    """Count the money that is back, once, under the sale's open case or one of its own."""
    case = sale.open_case
    decision.record(
        e.RefundCompleted(
            refund_case_id=case.refund_case_id if case else decision.new_id(),
            refund_id=line.refund_id,
            order_id=sale.order_id,
            line_id=sale.line_id,
            amount=verdict.amount,
            taken=verdict.taken,
            uncovered=verdict.uncovered,
            before_issue=before_issue,
        )
    )


def _wait(decision: Decision, sale: Sale, line: Standing, verdict: Wait) -> None:
    """What was promised to be awaited stays promised, also after another reason stood before it for a while."""
    case = sale.open_case
    awaited = (verdict.awaiting, verdict.amount, line.refund_id)
    if case is None or (case.awaiting, case.amount, case.refund_id) != awaited:
        until = decision.now + _patience(decision.policy, sale, verdict.awaiting)
        decision.record(_requested(decision, sale, line, verdict, until))
    elif case.overdue:
        _ask(decision, sale, line, AskPerson(_OVERDUE_REASON[verdict.awaiting], verdict.amount))
    elif case.state == RefundState.PENDING_DETAILS and case.waits_until is not None:
        decision.record(_requested(decision, sale, line, verdict, case.waits_until))


def _requested(
    decision: Decision, sale: Sale, line: Standing, verdict: Wait, waits_until: datetime
) -> e.RefundRequested:
    return e.RefundRequested(
        refund_case_id=sale.open_case.refund_case_id if sale.open_case else decision.new_id(),
        refund_id=line.refund_id,
        amount=verdict.amount,
        order_id=sale.order_id,
        line_id=sale.line_id,
        awaiting=verdict.awaiting,
        waits_until=waits_until,
    )


def _patience(policy: Policy, sale: Sale, awaiting: e.Awaited) -> timedelta:
    if awaiting == e.Awaited.CAPTURE:
        return policy.refund_capture_wait
    if awaiting == e.Awaited.ALLOCATION:
        return policy.refund_allocation_wait
    if awaiting == e.Awaited.PAYMENT and sale.ended is not None:
        return policy.cancelled_without_refund_after
    return policy.refund_payment_wait


def _ask(decision: Decision, sale: Sale, line: Standing, verdict: AskPerson) -> None:
    case = sale.open_case
    asked = (
        case is not None
        and case.state == RefundState.PENDING_DETAILS
        and (case.reason, case.amount, case.refund_id) == (verdict.reason, verdict.amount, line.refund_id)
    )
    if asked:
        return
    decision.record(
        e.RefundPendingDetails(
            refund_case_id=case.refund_case_id if case else decision.new_id(),
            refund_id=line.refund_id,
            amount=verdict.amount,
            order_id=sale.order_id,
            line_id=sale.line_id,
            reason=verdict.reason,
            foreign_currency=verdict.foreign_currency,
            allowed_decisions=allowed_decisions(sale),
            web_url=decision.terms.web_url,
        )
    )


def allowed_decisions(sale: Sale) -> tuple[str, ...]:
    """Return what a person may decide: before issue there is nothing that could work again."""
    return (APPROVE,) if sale.issued_at is None else (APPROVE, REJECT)


def close_open_case(decision: Decision, sale: Sale) -> None:
    """Nothing is left to decide here: the line and its money have gone to another certificate."""
    if sale.open_case is not None:
        decision.record(_closed_by_itself(sale, sale.open_case))


def _closed_by_itself(sale: Sale, case: RefundCase) -> e.RefundResolved:
    return e.RefundResolved(
        refund_case_id=case.refund_case_id,
        order_id=sale.order_id,
        line_id=sale.line_id,
        decision=REJECT,
        amount=0,
        uncovered=0,
        resolved_by=BY_SYSTEM,
        note="the refund does not mean this line",
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
    decision.record(e.RefundOverdue(refund_case_id=case.refund_case_id))
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
