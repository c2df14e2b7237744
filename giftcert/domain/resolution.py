"""A person decides a refund case. "A person decides" in the lifecycle.

Amounts of a decision are in nominal units; money is in minor units of the order's currency.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from giftcert.domain import events as e
from giftcert.domain import orders, refunds, sale
from giftcert.domain.decision import Decision
from giftcert.domain.evolve import APPROVE, REJECT, find_case
from giftcert.domain.messages import RefundAssigned, ResolveRefund
from giftcert.domain.money import worth_of_refund
from giftcert.domain.policy import Policy
from giftcert.domain.refund_lines import Share, refund_shares
from giftcert.domain.refunds import Standing
from giftcert.domain.state import (
    Agreement,
    AssignedShare,
    CertificateState,
    RefundCase,
    RefundState,
    Sale,
)


class ResolutionRefusal(StrEnum):
    """Why a decision is not carried out."""

    NOTHING_PENDING = "nothing-pending"
    DECISION_NOT_ALLOWED = "decision-not-allowed"
    AMOUNT_REQUIRED = "amount-required"
    AMOUNT_TOO_HIGH = "amount-too-high"


@dataclass(frozen=True, slots=True)
class _Case:
    """A case with all that its decision rests on."""

    sale: Sale
    case: RefundCase
    line: Standing
    balance: int
    has_goods: bool

    @property
    def before_issue(self) -> bool:
        return self.sale.issued_at is None

    @property
    def asks_which_line(self) -> bool:
        """Whether money is back of which nobody knows the line, and none of which the line is known."""
        return self.line.refunded == 0 and self.line.unassigned > 0

    @property
    def is_in_doubt(self) -> bool:
        """Whether a decision says, too, which line some money means."""
        return self.asks_which_line or (self.line.foreign is not None and not self.line.foreign.is_of_line)

    @property
    def money_is_back(self) -> bool:
        return self.line.refunded > 0 or self.line.foreign is not None

    @property
    def is_counted_at_once(self) -> bool:
        """Whether an approval takes from the balance now; what cost nothing has no money that could come."""
        return not self.before_issue and (self.money_is_back or self.sale.amount == 0)

    @property
    def worth(self) -> int:
        """What is back, may be back, or is awaited, in nominal units; of another currency nobody knows it."""
        if self.sale.amount == 0:
            return self.balance
        money = self.line.refunded
        if self.line.foreign is None:
            money = money or min(self.line.unassigned, self.lacking) or self.case.amount
        return worth_of_refund(self.sale.nominal, money, self.sale.amount)

    @property
    def most_worth(self) -> int:
        """What money in another currency may be worth at most: what the line's price lacks, in nominal units."""
        if self.sale.amount == 0:
            return self.balance
        return worth_of_refund(self.sale.nominal, self.lacking, self.sale.amount)

    def money_worth(self, amount: int) -> int:
        """Return the money that counts as back where it is worth so much of the nominal; of another currency by that.

        So that the price, once it went back in any currency, does not go back again unseen.
        """
        if self.line.foreign is None:
            return self.line.refunded
        cost = amount * self.sale.amount // self.sale.nominal
        return max(self.line.refunded, min(cost, self.lacking))

    @property
    def lacking(self) -> int:
        """What of the line's price has not gone back yet."""
        return max(0, self.line.price - self.line.settled)

    @property
    def at_stake(self) -> int:
        """The money that a decision is about; of a foreign refund nobody knows what it is here."""
        return self.case.amount if self.line.foreign is None else self.sale.amount


def _case_of(state: CertificateState, refund_case_id: str) -> _Case | None:
    found = find_case(state, refund_case_id)
    if found is None or not found[1].is_open:
        return None
    of, case = found
    facts = state.order(of.order_id)
    has_goods = any(not line.is_certificate for line in orders.all_lines(facts))
    return _Case(of, case, refunds.standing(facts, of), state.balance, has_goods)


def refuse_resolution(state: CertificateState, message: ResolveRefund) -> ResolutionRefusal | None:
    """Return why a decision cannot be carried out, or ``None`` if it can."""
    found = _case_of(state, message.refund_case_id)
    if found is None:
        return ResolutionRefusal.NOTHING_PENDING
    if message.decision not in refunds.allowed_decisions(found.sale):
        return ResolutionRefusal.DECISION_NOT_ALLOWED
    return None if found.before_issue else _refuse_amount(found, message)


def _refuse_amount(found: _Case, message: ResolveRefund) -> ResolutionRefusal | None:
    """Return why the amount does not fit; a rejection names one only for money in another currency."""
    foreign = found.line.foreign is not None
    if message.decision == REJECT:
        limit = found.most_worth if foreign else message.amount or 0
    else:
        unsaid = foreign and message.amount is None
        # Where the line is in doubt a part of the refund is to be its own.
        if unsaid or (found.is_in_doubt and message.amount == 0):
            return ResolutionRefusal.AMOUNT_REQUIRED
        limit = found.balance if foreign else min(found.balance, found.worth)
    return ResolutionRefusal.AMOUNT_TOO_HIGH if (message.amount or 0) > limit else None


def resolve_refund(decision: Decision, message: ResolveRefund) -> None:
    """Carry out what a person decides; what takes two persons waits for the second."""
    found = _case_of(decision.state, message.refund_case_id)
    if found is None or refuse_resolution(decision.state, message) is not None:
        return
    if _stands(found, message):
        return
    if _needs_second(found, message, decision.policy):
        _agree(decision, found.case, message)
        return
    if message.decision == APPROVE:
        _approve(decision, found, message)
    else:
        _reject(decision, found, message)
    sale.settle(decision)


def _stands(found: _Case, message: ResolveRefund) -> bool:
    """Whether the same is approved already, as after a lost answer: what was promised then stays.

    Who repeats it makes no difference: it may be the first of two persons, who did not hear of the second.
    """
    case = found.case
    return (
        message.decision == APPROVE
        and case.state != RefundState.PENDING_DETAILS
        and case.approved == _amount_of(found, message)
    )


def _amount_of(found: _Case, message: ResolveRefund) -> int:
    """What an approval takes: as named, else as much as the refund is worth and there is; nothing before issue."""
    if found.before_issue:
        return 0
    return min(found.balance, found.worth) if message.amount is None else message.amount


# Two persons --------------------------------------------------------------------------------------


def _needs_second(found: _Case, message: ResolveRefund, policy: Policy) -> bool:
    """Whether another person has yet to repeat decision and amount."""
    limit, first = policy.refund_four_eyes_over, found.case.agreement
    if limit is None or found.at_stake <= limit:
        return False
    wanted = (message.decision, message.amount)
    return first is None or first.by == message.resolved_by or (first.decision, first.amount) != wanted


def _agree(decision: Decision, case: RefundCase, message: ResolveRefund) -> None:
    if case.agreement == Agreement(message.decision, message.amount, message.resolved_by):
        return
    what = f"agreed to {message.decision} refund case {case.refund_case_id}; a second person has to repeat it"
    decision.record(
        e.RefundAgreed(
            refund_case_id=case.refund_case_id,
            decision=message.decision,
            amount=message.amount,
            by=message.resolved_by,
        ),
        e.OperatorActed(who=message.resolved_by, what=what),
    )


# Approve ------------------------------------------------------------------------------------------


def _approve(decision: Decision, found: _Case, message: ResolveRefund) -> None:
    """Money that is back is counted; else the case stays open for it. Before issue nothing is taken."""
    if found.asks_which_line:
        named = None if found.before_issue else message.amount
        found = _give_to_line(decision, found, _cost_of(found, named))
    if not (found.before_issue and found.has_goods):
        found = _say_of_foreign(decision, found, is_ours=True)
    amount = _amount_of(found, message)
    if found.is_counted_at_once:
        uncovered = 0 if found.before_issue else max(0, found.worth - amount)
        decision.record(_resolved(found, message, amount, uncovered))
        _carry_out(decision, found, taken=amount, uncovered=uncovered)
        return
    approved = e.RefundApproved(
        refund_case_id=found.case.refund_case_id,
        amount=amount,
        waits_until=decision.now + decision.policy.refund_payment_wait,
    )
    decision.record(_resolved(found, message, amount, 0), approved)


# Reject -------------------------------------------------------------------------------------------


def _reject(decision: Decision, found: _Case, message: ResolveRefund) -> None:
    if found.asks_which_line:
        found = _disown(decision, found)
    found = _say_of_foreign(decision, found, is_ours=bool(message.amount))
    uncovered = _uncovered_if_rejected(found, message)
    decision.record(_resolved(found, message, 0, uncovered))
    if found.money_is_back:
        _carry_out(decision, found, taken=0, uncovered=uncovered)


def _uncovered_if_rejected(found: _Case, message: ResolveRefund) -> int:
    """Return the worth of what is back; of another currency what the person says, else the most it may be worth."""
    foreign = found.line.foreign
    if not found.money_is_back:
        return 0
    if foreign is None:
        return found.worth
    if message.amount is not None:
        return message.amount
    return found.most_worth


# Which line does the money mean? ------------------------------------------------------------------


def _cost_of(found: _Case, amount: int | None) -> int:
    """Return the money that a person gives to the line: what it lacks, or what so much of the nominal had cost."""
    most = min(found.line.unassigned, found.lacking)
    return most if amount is None else min(most, -(-amount * found.sale.amount // found.sale.nominal))


def _give_to_line(decision: Decision, found: _Case, money: int) -> _Case:
    """Say that so much of the unassigned money is this line's, and all that can be no other's."""
    for share in _unassigned(decision, found):
        part = share.amount if _is_last(decision, found, share) else min(money, share.amount)
        money = max(0, money - part)
        if part:
            _assign(decision, found, share.refund_id, part)
    return _as_it_is_now(decision, found)


def _disown(decision: Decision, found: _Case) -> _Case:
    """Say that the unassigned money is not this line's; the last line that it may mean carries what is left of it."""
    for share in _unassigned(decision, found):
        rest = share.amount if _is_last(decision, found, share) else 0
        _assign(decision, found, share.refund_id, rest)
    return _as_it_is_now(decision, found)


def _say_of_foreign(decision: Decision, found: _Case, *, is_ours: bool) -> _Case:
    """Say whether money in another currency that named no line is this line's, whole; then it is no other's."""
    for share in found.line.foreign.doubtful if found.line.foreign else ():
        _assign(decision, found, share.refund_id, share.amount if is_ours else 0)
    return _as_it_is_now(decision, found)


def _unassigned(decision: Decision, found: _Case) -> tuple[Share, ...]:
    return refund_shares(decision.state.order(found.sale.order_id)).unassigned(found.sale.line_id)


def _is_last(decision: Decision, found: _Case, share: Share) -> bool:
    """Whether a person has spoken of every other line that the refund may mean."""
    shares = refund_shares(decision.state.order(found.sale.order_id))
    others = (line_id for line_id in shares.candidates if line_id != found.sale.line_id)
    return not any(
        one.refund_id == share.refund_id for line_id in others for one in shares.unassigned(line_id)
    )


def _as_it_is_now(decision: Decision, found: _Case) -> _Case:
    line = refunds.standing(decision.state.order(found.sale.order_id), found.sale)
    return replace(found, line=line)


def _assign(decision: Decision, found: _Case, refund_id: str, amount: int) -> None:
    decision.record(
        e.ShareAssigned(
            order_id=found.sale.order_id,
            refund_id=refund_id,
            line_id=found.sale.line_id,
            amount=amount,
            here=True,
        )
    )


def refund_assigned(decision: Decision, message: RefundAssigned) -> None:
    """A person said of another certificate of the order what a refund means; judge again what is left of it."""
    facts = decision.state.order(message.order_id)
    share = AssignedShare(message.refund_id, message.line_id, message.amount)
    if orders.record_share(facts, share) == facts:
        return
    decision.record(
        e.ShareAssigned(
            order_id=message.order_id,
            refund_id=message.refund_id,
            line_id=message.line_id,
            amount=message.amount,
            here=False,
        )
    )
    sale.settle(decision)


# Events -------------------------------------------------------------------------------------------


def _resolved(found: _Case, message: ResolveRefund, amount: int, uncovered: int) -> e.RefundResolved:
    return e.RefundResolved(
        refund_case_id=found.case.refund_case_id,
        order_id=found.sale.order_id,
        line_id=found.sale.line_id,
        decision=message.decision,
        amount=amount,
        uncovered=uncovered,
        resolved_by=message.resolved_by,
        note=message.note,
    )


def _carry_out(decision: Decision, found: _Case, *, taken: int, uncovered: int) -> None:
    money = found.money_worth(taken + uncovered)
    verdict = refunds.Complete(money, taken=taken, uncovered=uncovered)
    refunds.carry_out(decision, found.sale, found.line, verdict, before_issue=found.before_issue)
