"""The refund cases of a certificate's sales: which there are, and how events change them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.lines import map_sales, without_case
from giftcert.domain.certificate.state import CertificateState, LineRef, RefundCase, RefundState, Sale, Status
from giftcert.domain.certificate.words import Awaited, RefundDecision, ReleaseReason

APPROVE, REJECT = RefundDecision.APPROVE, RefundDecision.REJECT
BY_SYSTEM = "system"  # resolves a case that has nothing left to decide

_Told = e.RefundRequested | e.RefundPendingDetails | e.RefundCompleted


def find_case(state: CertificateState, refund_case_id: str) -> tuple[Sale, RefundCase] | None:
    """Return a refund case and its sale, current or past."""
    found = (
        (sale, case) for sale in state.sales for case in sale.cases if case.refund_case_id == refund_case_id
    )
    return next(found, None)


def requested(state: CertificateState, event: e.RefundRequested, at: datetime) -> CertificateState:
    """A case waits for something; what was promised to be taken stays promised."""
    known = _known(state, event, at)
    awaits_capture = event.awaiting == Awaited.CAPTURE
    case = RefundCase(
        refund_case_id=event.refund_case_id,
        state=RefundState.AWAITING_CAPTURE if awaits_capture else RefundState.REQUESTED,
        amount=event.amount,
        refund_id=event.refund_id,
        awaiting=event.awaiting,
        waits_until=event.waits_until,
        opened_at=known.opened_at,
        approved=known.approved,
    )
    return _with_case(state, event, case)


def pending(state: CertificateState, event: e.RefundPendingDetails, at: datetime) -> CertificateState:
    """A person has to decide the case."""
    known = _known(state, event, at)
    case = replace(
        known,
        state=RefundState.PENDING_DETAILS,
        amount=event.amount,
        refund_id=event.refund_id,
        reason=event.reason,
        foreign_currency=event.foreign_currency,
        pending_since=known.pending_since or at,
        agreement=None,
    )
    return _with_case(state, event, case)


def completed(state: CertificateState, event: e.RefundCompleted) -> CertificateState:
    """Count the case's money and take what it takes off the balance; with nothing left it is refunded."""
    known = _known(state, event)
    case = replace(
        known,
        state=known.state if known.state == RefundState.REJECTED else RefundState.COMPLETED,
        amount=event.amount,
        refund_id=event.refund_id,
        reason=None,
        counted=event.amount,
        excess=event.excess,
        before_issue=event.before_issue,
        taken=event.taken,
    )
    state = _with_case(state, event, case)
    if event.before_issue or case.state == RefundState.REJECTED:
        return state
    balance = state.balance - event.taken
    gone = balance == 0 and state.held == 0
    return replace(state, balance=balance, status=Status.REFUNDED if gone else state.status)


def resolved(state: CertificateState, event: e.RefundResolved) -> CertificateState:
    """A decision was taken; an approved case goes on until its money is counted."""
    decided = RefundState.REJECTED if event.decision == REJECT else RefundState.REQUESTED
    state = with_changed_case(
        state, event.refund_case_id, lambda case: replace(case, state=decided, reason=None, agreement=None)
    )
    return without_case(state, event.refund_case_id)


def alerted(state: CertificateState, event: e.RefundStuckAlerted, at: datetime) -> CertificateState:
    """Remember how often, and when last, it was published that a case waits for a person."""
    return with_changed_case(
        state, event.refund_case_id, lambda case: replace(case, alerts=event.attempt, alerted_at=at)
    )


def _known(state: CertificateState, event: _Told, at: datetime | None = None) -> RefundCase:
    """The case as it was, here or as the line's last holder left it, or a new one."""
    cases = [case for sale in state.sales for case in sale.cases]
    cases += [line.open_case for line in state.lines if line.open_case]
    new = RefundCase(
        refund_case_id=event.refund_case_id, state=RefundState.REQUESTED, amount=event.amount, opened_at=at
    )
    return next((case for case in cases if case.refund_case_id == new.refund_case_id), new)


def _with_case(state: CertificateState, event: _Told, case: RefundCase) -> CertificateState:
    """Put a case into the sale of its line; a line withdrawn before it was taken gets a past sale for it."""
    ref = LineRef(event.order_id, event.line_key)
    state = without_case(state, case.refund_case_id)
    if ref not in {sale.ref for sale in state.sales}:
        never_taken = Sale(
            order_id=event.order_id,
            line_key=event.line_key,
            line_id=event.line_id,
            amount=0,
            ended=ReleaseReason.ORDER_CANCELLED,
        )
        state = replace(state, past_sales=(*state.past_sales, never_taken))

    def put(sale: Sale) -> Sale:
        others = (one for one in sale.cases if one.refund_case_id != case.refund_case_id)
        return replace(sale, cases=(*others, case)) if sale.ref == ref else sale

    return map_sales(state, put)


def with_changed_case(
    state: CertificateState, refund_case_id: str, change: Callable[[RefundCase], RefundCase]
) -> CertificateState:
    """Change a refund case, of whichever sale."""

    def changed(sale: Sale) -> Sale:
        cases = (change(case) if case.refund_case_id == refund_case_id else case for case in sale.cases)
        return replace(sale, cases=tuple(cases))

    return map_sales(state, changed)
