"""What a person decides about a refund case; decisions are in nominal units, money in the order's currency."""

from dataclasses import dataclass, replace
from enum import StrEnum

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate import refunds
from giftcert.domain.certificate.cases import APPROVE, REJECT, find_case
from giftcert.domain.certificate.decision import Decision
from giftcert.domain.certificate.messages import ResolveRefund
from giftcert.domain.certificate.sale_money import SaleMoney, sale_money
from giftcert.domain.certificate.state import Agreement, CertificateState, RefundCase, RefundState, Sale
from giftcert.domain.certificate.words import RefundDecision, RefundReason
from giftcert.domain.order.messages import RefundShareDecided
from giftcert.domain.order.standing import LineRefund
from giftcert.domain.policy import Policy


class ResolutionRefusal(StrEnum):
    """Why a decision is not carried out."""

    NOTHING_PENDING = "nothing-pending"
    DECISION_NOT_ALLOWED = "decision-not-allowed"
    AMOUNT_REQUIRED = "amount-required"
    AMOUNT_TOO_HIGH = "amount-too-high"
    AMOUNT_NEEDLESS = "amount-needless"


@dataclass(frozen=True, slots=True)
class _Case:
    case: RefundCase
    money: SaleMoney
    balance: int

    @property
    def sale(self) -> Sale:
        return self.money.sale

    @property
    def before_issue(self) -> bool:
        return self.sale.issued_at is None

    @property
    def asks_which_line(self) -> bool:
        """Whether money is back of which nobody knows the line, and none that is known to be this line's."""
        return self.money.back == 0 and self.money.unassigned + self.money.leftover > 0

    @property
    def money_is_back(self) -> bool:
        return self.money.back > 0 or bool(self.money.foreign)

    @property
    def worth(self) -> int:
        """What is back, may be back, or is awaited, in nominal units; 0 if that is foreign money alone."""
        if self.sale.amount == 0:
            return self.balance
        if self.money_is_back:
            return self.money.worth(self.money.due)
        if self.asks_which_line:
            return self.money.worth(sum(part for _, part in self.parts(None)))
        return self.money.worth(self.case.amount)

    @property
    def most_worth(self) -> int:
        """What foreign money may be worth at most, in nominal units: what the line's price lacks."""
        return self.balance if self.sale.amount == 0 else self.money.worth(self.money.lacking)

    def money_worth(self, amount: int) -> int:
        """The money that counts as back; foreign money by its worth, so that the price is not refunded twice."""
        if not self.money.foreign:
            return self.money.back
        cost = amount * self.sale.amount // self.sale.nominal
        return max(self.money.back, min(cost, self.money.lacking))

    def parts(self, amount: int | None) -> list[tuple[LineRefund, int]]:
        """How much of each refund that named no line an approval of ``amount`` gives to this line."""
        found: list[tuple[LineRefund, int]] = []
        owed = budget = max(0, self.money.owed)
        if amount is not None and not self.before_issue:  # what so much of the nominal had cost
            budget = -(-amount * self.sale.amount // self.sale.nominal)
        for refund in self._unassigned():
            most = min(refund.possible, owed)
            # The last candidate takes all that was captured for it; what no line can take stays uncovered.
            part = most if refund.last_candidate else min(most, budget)
            if refund.decided is not None:
                part = refund.possible
            budget, owed = max(0, budget - part), max(0, owed - part)
            found.append((refund, part))
        return found

    def _unassigned(self) -> list[LineRefund]:
        """Refunds in the order's currency that named no line, where no other money is to be decided first."""
        currency = self.money.line.standing.currency
        unassigned = [one for one in self.money.refunds if one.currency == currency]
        return unassigned if self.asks_which_line else []


def _case_of(state: CertificateState, refund_case_id: str) -> _Case | None:
    found = find_case(state, refund_case_id)
    line = state.line(found[0].ref) if found else None
    if found is None or line is None or not found[1].is_open:
        return None
    sale, case = found
    return _Case(case, sale_money(sale, line), state.balance)


def _refusal(found: _Case | None, message: ResolveRefund) -> ResolutionRefusal | None:
    if found is None:
        return ResolutionRefusal.NOTHING_PENDING
    if message.decision not in refunds.allowed_decisions(found.sale):
        return ResolutionRefusal.DECISION_NOT_ALLOWED
    return _refuse_amount(found, message)


def _refuse_amount(found: _Case, message: ResolveRefund) -> ResolutionRefusal | None:
    """A rejection names an amount only for foreign money; before issue nothing is taken, so nobody names one."""
    foreign, amount = bool(found.money.foreign), message.amount or 0
    # The case's own currency stays when a share that this very decision said has left the line none of the money.
    takes_amount = message.decision == APPROVE or foreign or found.case.foreign_currency is not None
    if found.before_issue or not takes_amount:
        return None if message.amount is None else ResolutionRefusal.AMOUNT_NEEDLESS
    if message.decision == REJECT:
        return ResolutionRefusal.AMOUNT_TOO_HIGH if foreign and amount > found.most_worth else None
    # A decision that also says which line some money means has to give this line a part of it.
    in_doubt = found.asks_which_line or bool(found.money.doubtful)
    if (foreign and message.amount is None) or (in_doubt and message.amount == 0):
        return ResolutionRefusal.AMOUNT_REQUIRED
    limit = found.balance if foreign else min(found.balance, found.worth)
    return ResolutionRefusal.AMOUNT_TOO_HIGH if amount > limit else None


def _stands(found: _Case, message: ResolveRefund) -> bool:
    """Whether the same is approved already, as after a lost answer: what was promised then stays."""
    case = found.case
    return (
        message.decision == APPROVE
        and case.state != RefundState.PENDING_DETAILS
        # Whoever repeats it: it may be the first of two persons, who did not hear of the second.
        and case.approved == _amount_of(found, message)
    )


def _amount_of(found: _Case, message: ResolveRefund) -> int:
    """What an approval takes: as named, else the lesser of worth and balance; nothing before issue."""
    if found.before_issue:
        return 0
    return min(found.balance, found.worth) if message.amount is None else message.amount


def _needs_second(found: _Case, message: ResolveRefund, policy: Policy) -> bool:
    """Whether another person has yet to repeat decision and amount; foreign money counts as the whole price."""
    limit, first = policy.refund_four_eyes_over, found.case.agreement
    foreign = found.case.reason == RefundReason.CURRENCY_MISMATCH
    if limit is None or (found.sale.amount if foreign else found.case.amount) <= limit:
        return False
    wanted = (message.decision, message.amount)
    return first is None or first.by == message.resolved_by or (first.decision, first.amount) != wanted


def shares_decided(
    state: CertificateState, message: ResolveRefund, policy: Policy
) -> tuple[RefundShareDecided, ...]:
    """Return how much of each refund that named no line is this line's money, as a decision says.

    The order takes it in first, and the decision is carried out on how its lines stand then.
    """
    found = _case_of(state, message.refund_case_id)
    if found is None or _refusal(found, message) is not None:
        return ()
    if _stands(found, message) or _needs_second(found, message, policy):  # nothing new is said, or not yet
        return ()
    approves = message.decision == APPROVE
    said = [
        (refund, part if approves or refund.last_candidate else 0)
        for refund, part in found.parts(message.amount if approves else None)
        if part > 0 or refund.last_candidate or not approves
    ]
    said += [
        (refund, refund.possible if _is_ours(found, refund, message) else 0)
        for refund in found.money.doubtful
    ]
    return tuple(
        RefundShareDecided(
            order_id=found.sale.order_id,
            refund_id=refund.refund_id,
            currency=refund.currency,
            line_key=found.sale.line_key,
            amount=(refund.decided or 0) + part,
        )
        for refund, part in said
    )


def _is_ours(found: _Case, refund: LineRefund, message: ResolveRefund) -> bool:
    """Whether a decision says that foreign money is this line's, not the goods'."""
    # An approval before issue only lets the sale go on; a rejection says so by naming a worth.
    may_be_goods = found.money.line.standing.other_lines_money
    if message.decision == REJECT:
        return bool(message.amount) or (refund.last_candidate and not may_be_goods)
    return not (found.before_issue and may_be_goods)


def resolve_refund(decision: Decision, message: ResolveRefund) -> None:
    """Carry out what a person, or both of two, decide, on how the line stands after ``shares_decided``."""
    found = _case_of(decision.state, message.refund_case_id)
    decision.refusal = _refusal(found, message)
    if found is None or decision.refusal is not None or _stands(found, message):
        return
    if _needs_second(found, message, decision.policy):
        _agree(decision, found.case, message)
        return
    if message.decision == APPROVE:
        _approve(decision, found, message)
    else:
        _reject(decision, found, message)


def _agree(decision: Decision, case: RefundCase, message: ResolveRefund) -> None:
    agreement = Agreement(message.decision, message.amount, message.resolved_by)
    if case.agreement == agreement:
        return
    what = f"agreed to {message.decision} refund case {case.refund_case_id}; a second person has to repeat it"
    decision.record(e.OperatorActed(who=message.resolved_by, what=what))
    decision.change_case(case.refund_case_id, lambda known: replace(known, agreement=agreement))


def _approve(decision: Decision, found: _Case, message: ResolveRefund) -> None:
    """Count money that is back, else keep the case open for it. Before issue nothing is taken."""
    amount = _amount_of(found, message)
    # A free certificate has no money to wait for.
    if not found.before_issue and (found.money_is_back or found.sale.amount == 0):
        uncovered = max(0, found.worth - amount)
        _resolve(decision, found, message, amount, uncovered)
        _carry_out(decision, found, taken=amount, uncovered=uncovered)
        return
    _resolve(decision, found, message, amount, 0)
    if found.before_issue and found.case.reason == RefundReason.CURRENCY_MISMATCH and not found.money_is_back:
        _carry_out(decision, found, taken=0, uncovered=0)  # it meant other lines
        return
    waits_until = decision.now + decision.policy.refund_payment_wait
    decision.change_case(
        found.case.refund_case_id,
        lambda case: replace(
            case,
            approved=amount,
            waits_until=waits_until,
            overdue=False,
            pending_since=None,
            alerts=0,
            alerted_at=None,
        ),
    )


def _reject(decision: Decision, found: _Case, message: ResolveRefund) -> None:
    """What is back is uncovered; foreign money as the person says, else the most it may be worth."""
    uncovered = 0
    if found.money.foreign:
        uncovered = found.most_worth if message.amount is None else message.amount
    elif found.money_is_back:
        uncovered = found.worth
    _resolve(decision, found, message, 0, uncovered)
    if found.money_is_back:
        _carry_out(decision, found, taken=0, uncovered=uncovered)


def _resolve(decision: Decision, found: _Case, message: ResolveRefund, amount: int, uncovered: int) -> None:
    decision.record(
        e.RefundResolved(
            refund_case_id=found.case.refund_case_id,
            order_id=found.sale.order_id,
            line_id=found.money.line.standing.line_id,
            decision=RefundDecision(message.decision),
            amount=amount,
            uncovered=uncovered,
            resolved_by=message.resolved_by,
            note=message.note,
        )
    )
    withdrawal = found.money.line.standing.withdrawal
    if withdrawal is not None and not found.before_issue and not _only_said_which_line(found):
        version = max(withdrawal.said_in, found.sale.withdrawal_decided)
        decision.change_sale(lambda sale: replace(sale, withdrawal_decided=version))


def _only_said_which_line(found: _Case) -> bool:
    """Whether the decision only said that a refund does not mean this line."""
    disowned = any(
        one.refund_id == found.case.refund_id and one.decided == 0
        for one in found.money.line.standing.refunds
    )
    return found.case.asks_which_line or disowned


def _carry_out(decision: Decision, found: _Case, *, taken: int, uncovered: int) -> None:
    verdict = refunds.Complete(found.money_worth(taken + uncovered), taken=taken, uncovered=uncovered)
    refunds.carry_out(decision, found.money, verdict)
