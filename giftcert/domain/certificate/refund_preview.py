"""What each decision that a refund case allows would do as things stand: the decision itself, tried and not kept."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.cases import find_case
from giftcert.domain.certificate.decide import decide
from giftcert.domain.certificate.decision import Decision
from giftcert.domain.certificate.lines import with_changed_line
from giftcert.domain.certificate.messages import ResolveRefund
from giftcert.domain.certificate.refund_resolution import ResolutionRefusal, shares_decided
from giftcert.domain.certificate.refunds import allowed_decisions
from giftcert.domain.certificate.state import CertificateState, LineRef
from giftcert.domain.order.messages import RefundShareDecided
from giftcert.domain.order.standing import LineRefund
from giftcert.domain.policy import Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionPreview:
    """What a decision without an amount would do; amounts in nominal units, the rest as it would be afterwards."""

    decision: str
    needs_amount: bool  # only a person knows what the money is worth, so it does nothing without an amount
    is_carried_out: bool  # or the money is awaited first
    amount: int  # may leave the balance
    taken: int  # leaves it at once
    uncovered: int
    balance: int
    status: str


def preview(
    state: CertificateState, refund_case_id: str, now: datetime, terms: Terms
) -> Iterator[DecisionPreview]:
    """Yield what each allowed decision would do, on a state that was loaded with its lines."""
    found = find_case(state, refund_case_id)
    if found is None or state.line(found[0].ref) is None:
        return
    # A second person changes who decides, not what it does.
    alone = replace(terms, policy=replace(terms.policy, refund_four_eyes_over=None))
    for decision in allowed_decisions(found[0]):
        request = ResolveRefund(
            refund_case_id=refund_case_id, decision=decision, amount=None, resolved_by="", note=""
        )
        yield _of(_tried(state, request, now, alone), request)


def _tried(state: CertificateState, request: ResolveRefund, now: datetime, terms: Terms) -> Decision:
    """Decide on how the lines stand once the order knows what the decision says of them."""
    for share in shares_decided(state, request, terms.policy):
        state = _with_share(state, share)
    return decide(state, request, now, terms, lambda: f"after {request.refund_case_id}")


def _with_share(state: CertificateState, share: RefundShareDecided) -> CertificateState:
    """Fold what is said of a refund into this certificate's own line; the order does so for all of its lines."""

    def decided(known: LineRefund) -> LineRefund:
        if (known.refund_id, known.currency) != (share.refund_id, share.currency):
            return known
        part = share.amount - (known.decided or 0)
        rest = known.possible - part if known.last_candidate else 0
        return replace(known, certain=known.certain + part, possible=rest, decided=share.amount)

    return with_changed_line(
        state,
        LineRef(share.order_id, share.line_key),
        lambda line: replace(
            line,
            standing=replace(line.standing, refunds=tuple(map(decided, line.standing.refunds))),
        ),
    )


def _of(tried: Decision, request: ResolveRefund) -> DecisionPreview:
    amounts = {"amount": 0, "taken": 0, "uncovered": 0}
    for event in tried.public:
        match event:
            case e.RefundResolved(refund_case_id=request.refund_case_id):
                amounts |= {"amount": event.amount, "uncovered": event.uncovered}
            case e.RefundCompleted(refund_case_id=request.refund_case_id):
                amounts |= {"taken": event.taken, "uncovered": event.uncovered}
            case _:
                pass
    found = find_case(tried.state, request.refund_case_id)
    return DecisionPreview(
        decision=request.decision,
        needs_amount=tried.refusal == ResolutionRefusal.AMOUNT_REQUIRED,
        is_carried_out=found is None or not found[1].is_open,
        balance=tried.state.balance,
        status=tried.state.shown_status,
        **amounts,
    )
