"""What a request comes to, read off the decision on it. Pure."""

from collections.abc import Sequence

from giftcert.domain import events as e
from giftcert.domain.evolve import find_case
from giftcert.domain.lifecycle import Rule, cell
from giftcert.domain.messages import AuthorizeRedemption, ResolveRefund, VoidRedemption
from giftcert.domain.redemptions import find_redemption
from giftcert.domain.resolution import refuse_resolution
from giftcert.domain.state import CertificateState, Redemption
from workflows.requests import Answer, Refusal, Request


def answer(
    request: Request, before: CertificateState, events: Sequence[e.Event], after: CertificateState
) -> Answer:
    """Return the answer to a request that was decided on ``before`` and led to ``after``."""
    found = find_case(after, request.refund_case_id) if isinstance(request, ResolveRefund) else None
    return Answer(
        status=after.shown_status,
        balance=after.balance,
        held=after.held,
        refund_state=after.refund_state.value,
        refusal=_refusal(request, before, events, after),
        awaiting_second=any(isinstance(event, e.RefundAgreed) for event in events) or _waits(request, after),
        redemption=_redemption(request, after),
        case=found[1] if found else None,
    )


def too_late(state: CertificateState) -> Answer:
    """Return the answer to a request whose caller has given up waiting; nothing was done."""
    return Answer(
        status=state.shown_status,
        balance=state.balance,
        held=state.held,
        refund_state=state.refund_state.value,
        refusal=Refusal.TOO_LATE.value,
    )


def _refusal(
    request: Request, before: CertificateState, events: Sequence[e.Event], after: CertificateState
) -> str | None:
    if isinstance(request, AuthorizeRedemption) and _redemption(request, after) is None:
        rejected = (event.reason.value for event in events if isinstance(event, e.RedemptionRejected))
        return next(rejected, Refusal.NOT_ALLOWED.value)
    if isinstance(request, ResolveRefund):
        refused = refuse_resolution(before, request)
        return refused.value if refused else None
    not_allowed = cell(before.status, request).rule is Rule.UNEXPECTED
    return Refusal.NOT_ALLOWED.value if not_allowed else None


def _waits(request: Request, after: CertificateState) -> bool:
    """Whether the same person repeats what only another can carry out."""
    if not isinstance(request, ResolveRefund):
        return False
    found = find_case(after, request.refund_case_id)
    agreement = found[1].agreement if found else None
    return agreement is not None and agreement.by == request.resolved_by


def _redemption(request: Request, state: CertificateState) -> Redemption | None:
    if isinstance(request, AuthorizeRedemption | VoidRedemption):
        return find_redemption(state, request.redemption_id)
    return None
