"""How each event changes the state. The workflow, projections, the stream check and the tests fold this same function.

Private events carry facts that the stream does not tell; folding the public ones alone still gives status, balance,
held and refund state.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import reduce
from typing import assert_never

from giftcert.domain import clients, orders, redemptions, refund_lines
from giftcert.domain import events as e
from giftcert.domain.state import (
    Agreement,
    AssignedShare,
    CertificateState,
    OrderFacts,
    RefundCase,
    RefundState,
    Refusal,
    Reservation,
    Sale,
    Status,
)

APPROVE, REJECT = "approve", "reject"
BY_SYSTEM = "system"
"""Who resolves a case that has nothing left to decide."""

_REQUESTED_STATE = {
    e.Awaited.PAYMENT: RefundState.REQUESTED,
    e.Awaited.REST: RefundState.REQUESTED,
    e.Awaited.ALLOCATION: RefundState.REQUESTED,
    e.Awaited.CAPTURE: RefundState.AWAITING_CAPTURE,
}


def fold(state: CertificateState, events: Iterable[e.Event], at: datetime) -> CertificateState:
    """Return the state after all the events, in order."""
    return reduce(lambda known, event: evolve(known, event, at), events, state)


def evolve(state: CertificateState, event: e.Event, at: datetime) -> CertificateState:  # noqa: C901, PLR0911, PLR0912
    """Return the state after one event that was decided at ``at``."""
    match event:
        case e.Reserved():
            return _reserved(state, event)
        case e.ReservationOpened():
            return _reservation_opened(state, event)
        case e.ReservationExtended():
            return _extended(state, event)
        case e.Released():
            return _released(state, event)
        case e.Ordered():
            return _ordered(state, event)
        case e.SaleOpened():
            return _sale_opened(state, event)
        case e.SaleRepriced():
            return _repriced(state, event)
        case e.Issued():
            return _issued(state, event, at)
        case e.RedemptionAuthorized():
            return redemptions.authorized(state, event)
        case e.RedemptionCaptured():
            return redemptions.captured(state, event)
        case e.RedemptionVoided():
            return redemptions.voided(state, event)
        case e.RedemptionRestored():
            return redemptions.restored(state, event)
        case e.HoldOpened():
            return redemptions.hold_opened(state, event)
        case e.SpendingRecorded():
            return redemptions.spending_recorded(state, event)
        case e.RefundRequested():
            return _with_case(state, _requested(state, event, at), event.order_id, event.line_id)
        case e.RefundPendingDetails():
            return _with_case(state, _pending(state, event, at), event.order_id, event.line_id)
        case e.RefundOverdue():
            return _change_case(state, event.refund_case_id, overdue=True)
        case e.RefundCompleted():
            return _completed(state, event)
        case e.RefundResolved():
            return _resolved(state, event)
        case e.RefundApproved():
            return _approved(state, event)
        case e.RefundAgreed():
            agreement = Agreement(event.decision, event.amount, event.by)
            return _change_case(state, event.refund_case_id, agreement=agreement)
        case e.ShareAssigned():
            share = AssignedShare(event.refund_id, event.line_id, event.amount)
            return _with_order(state, orders.record_share(state.order(event.order_id), share))
        case e.RefundStuckAlerted():
            return _change_case(state, event.refund_case_id, alerts=event.attempt, alerted_at=at)
        case e.UnpaidAlerted():
            return _unpaid_alerted(state, event, at)
        case e.PaymentWithoutCertificateAlerted():
            return _payment_alerted(state, event)
        case e.OrderRecorded():
            return _with_order(state, orders.record_order(state.order(event.message.order_id), event.message))
        case e.PaymentRecorded():
            facts = state.order(event.message.order_id)
            return _with_order(state, orders.record_payment(facts, event.message, event.extends_until))
        case e.LineRefused():
            return _refused(state, event)
        case e.ClientRecorded():
            return _client_recorded(state, event)
        case e.Expired():
            return replace(state, status=Status.EXPIRED, balance=0)
        case e.Blocked():
            return replace(state, blocked=True)
        case e.Unblocked():
            return replace(state, blocked=False)
        case e.Retired():
            return replace(_end_reservation(state), status=Status.RETIRED, balance=0)
        case (
            e.NotificationRequested()
            | e.RedemptionRejected()
            | e.RedemptionUncoveredAlerted()
            | e.OperatorActed()
            | e.CancelledWithoutRefundAlerted()
            | e.OrderConflicted()
            | e.UnexpectedMessage()
        ):
            return state
        case _:
            assert_never(event)


# Pool and sale ------------------------------------------------------------------------------------


def _reserved(state: CertificateState, event: e.Reserved) -> CertificateState:
    reservation = Reservation(reservation_id=event.reservation_id, reserved_until=event.reserved_until)
    return replace(state, status=Status.RESERVED, reservation=reservation)


def _reservation_opened(state: CertificateState, event: e.ReservationOpened) -> CertificateState:
    if state.reservation is None:
        return state
    reservation = replace(state.reservation, channel=event.channel, reserved_at=event.reserved_at)
    nominal = state.nominal if event.nominal is None else event.nominal
    return replace(state, reservation=reservation, nominal=nominal)


def _extended(state: CertificateState, event: e.ReservationExtended) -> CertificateState:
    if state.reservation is None:
        return state
    return replace(state, reservation=replace(state.reservation, reserved_until=event.reserved_until))


def _end_reservation(state: CertificateState) -> CertificateState:
    if state.reservation is None or state.reservation.ended:
        return state
    return replace(state, reservation=replace(state.reservation, ended=True))


def _released(state: CertificateState, event: e.Released) -> CertificateState:
    state = _end_reservation(state)
    if state.sale is not None:
        past = replace(state.sale, ended=event.reason)
        state = replace(state, past_sales=(*state.past_sales, past), sale=None)
    return replace(state, status=Status.AVAILABLE, balance=0, held=0)


def _ordered(state: CertificateState, event: e.Ordered) -> CertificateState:
    """A sale that was released and comes back goes on with its own ledger and refund cases."""
    past = [sale for sale in state.past_sales if sale.is_for(event.order_id, event.line_id)]
    former = past[-1] if past else Sale(order_id=event.order_id, line_id=event.line_id, amount=event.amount)
    sale = replace(former, amount=event.amount, ended=None, unpaid_alerts=0, unpaid_alerted_at=None)
    return replace(
        _end_reservation(state),
        status=Status.ORDERED,
        sale=sale,
        past_sales=tuple(one for one in state.past_sales if one is not former),
        refusals=tuple(
            one for one in state.refusals if (one.order_id, one.line_id) != (event.order_id, event.line_id)
        ),
    )


def _sale_opened(state: CertificateState, event: e.SaleOpened) -> CertificateState:
    if state.sale is None:
        return state
    sale = replace(
        state.sale,
        channel=event.channel,
        customer_id=event.customer_id,
        nominal=event.nominal,
        opened_at=event.opened_at,
        unpaid_until=event.unpaid_until,
    )
    return replace(state, sale=sale, nominal=event.nominal)


def _repriced(state: CertificateState, event: e.SaleRepriced) -> CertificateState:
    if state.sale is None:
        return state
    sale = replace(state.sale, amount=event.amount, nominal=event.nominal)
    return replace(state, sale=sale, nominal=event.nominal)


def _issued(state: CertificateState, event: e.Issued, at: datetime) -> CertificateState:
    sale = state.sale or Sale(order_id=event.order_id, line_id=event.line_id, amount=event.amount)
    sale = replace(sale, issued_at=at, valid_until=event.valid_until)
    return replace(state, status=Status.ISSUED, sale=sale, balance=state.nominal, held=0)


def _refused(state: CertificateState, event: e.LineRefused) -> CertificateState:
    line = (event.order_id, event.line_id)
    known = next((one for one in state.refusals if (one.order_id, one.line_id) == line), None)
    refusal = Refusal(
        order_id=event.order_id,
        line_id=event.line_id,
        reason=event.reason,
        alerted_amount=known.alerted_amount if known else 0,
    )
    return replace(state, refusals=(*(one for one in state.refusals if one is not known), refusal))


def _with_order(state: CertificateState, facts: OrderFacts) -> CertificateState:
    others = (order for order in state.orders if order.order_id != facts.order_id)
    kept = tuple(sorted((*others, facts), key=lambda order: order.order_id))
    state = replace(state, orders=kept)
    if state.sale is not None and state.sale.order_id == facts.order_id and facts.customer_id is not None:
        state = replace(state, sale=replace(state.sale, customer_id=facts.customer_id))
    return state


def _client_recorded(state: CertificateState, event: e.ClientRecorded) -> CertificateState:
    """An erased client's recipients are forgotten in its orders too; ids remain."""
    message = event.message
    known = tuple(
        orders.without_recipient(facts)
        if message.erased and facts.customer_id == message.client_id
        else facts
        for facts in state.orders
    )
    return replace(state, clients=clients.record_client(state.clients, message), orders=known)


def _unpaid_alerted(state: CertificateState, event: e.UnpaidAlerted, at: datetime) -> CertificateState:
    if state.sale is None:
        return state
    return replace(state, sale=replace(state.sale, unpaid_alerts=event.attempt, unpaid_alerted_at=at))


def _payment_alerted(state: CertificateState, event: e.PaymentWithoutCertificateAlerted) -> CertificateState:
    past = tuple(
        replace(sale, alerted_amount=event.amount) if sale.is_for(event.order_id, event.line_id) else sale
        for sale in state.past_sales
    )
    refusals = tuple(
        replace(one, alerted_amount=event.amount)
        if (one.order_id, one.line_id) == (event.order_id, event.line_id)
        else one
        for one in state.refusals
    )
    return replace(state, past_sales=past, refusals=refusals)


# Refund cases -------------------------------------------------------------------------------------


def find_case(state: CertificateState, refund_case_id: str) -> tuple[Sale, RefundCase] | None:
    """Return a refund case and its sale, current or past."""
    sales = (*state.past_sales, state.sale) if state.sale else state.past_sales
    found = ((sale, case) for sale in sales for case in sale.cases if case.refund_case_id == refund_case_id)
    return next(found, None)


def _requested(state: CertificateState, event: e.RefundRequested, at: datetime) -> RefundCase:
    found = find_case(state, event.refund_case_id)
    known = found[1] if found else None
    return RefundCase(
        refund_case_id=event.refund_case_id,
        state=_REQUESTED_STATE[event.awaiting],
        amount=event.amount,
        refund_id=event.refund_id,
        awaiting=event.awaiting,
        waits_until=event.waits_until,
        opened_at=known.opened_at if known else at,
        approved=known.approved if known else None,
    )


def _pending(state: CertificateState, event: e.RefundPendingDetails, at: datetime) -> RefundCase:
    found = find_case(state, event.refund_case_id)
    known = (
        found[1]
        if found
        else RefundCase(
            refund_case_id=event.refund_case_id,
            state=RefundState.PENDING_DETAILS,
            amount=event.amount,
            opened_at=at,
        )
    )
    return replace(
        known,
        state=RefundState.PENDING_DETAILS,
        amount=event.amount,
        refund_id=event.refund_id,
        reason=event.reason,
        foreign_currency=event.foreign_currency,
        pending_since=known.pending_since or at,
        agreement=None,
    )


def _with_case(state: CertificateState, case: RefundCase, order_id: str, line_id: str) -> CertificateState:
    def put(sale: Sale) -> Sale:
        others = tuple(one for one in sale.cases if one.refund_case_id != case.refund_case_id)
        return replace(sale, cases=(*others, case))

    if state.sale is not None and state.sale.is_for(order_id, line_id):
        return replace(state, sale=put(state.sale))
    past = tuple(put(sale) if sale.is_for(order_id, line_id) else sale for sale in state.past_sales)
    return replace(state, past_sales=past)


def _change_case(known: CertificateState, refund_case_id: str, **changes: object) -> CertificateState:
    found = find_case(known, refund_case_id)
    if found is None:
        return known
    sale, case = found
    changed = replace(case, **changes)  # type: ignore[arg-type] # dataclass fields by name
    return _with_case(known, changed, sale.order_id, sale.line_id)


def _completed(state: CertificateState, event: e.RefundCompleted) -> CertificateState:
    found = find_case(state, event.refund_case_id)
    known = (
        found[1]
        if found
        else RefundCase(refund_case_id=event.refund_case_id, state=RefundState.COMPLETED, amount=event.amount)
    )
    facts = state.order(event.order_id)
    refund_ids = refund_lines.refund_shares(facts).refund_ids(event.line_id, known=True)
    case = replace(
        known,
        state=known.state if known.state == RefundState.REJECTED else RefundState.COMPLETED,
        refund_id=event.refund_id,
        reason=None,
        counted=event.amount,
        counted_refunds=(*refund_ids, *refund_lines.foreign_refund_ids(facts, event.line_id)),
        before_issue=event.before_issue,
        taken=event.taken,
    )
    state = _with_case(state, case, event.order_id, event.line_id)
    if event.before_issue or case.state == RefundState.REJECTED:
        return state
    balance = state.balance - event.taken
    gone = balance == 0 and state.held == 0
    return replace(state, balance=balance, status=Status.REFUNDED if gone else state.status)


def _resolved(state: CertificateState, event: e.RefundResolved) -> CertificateState:
    """An approved case goes on until its money is counted; a rejected one is over."""
    found = find_case(state, event.refund_case_id)
    if found is None:
        return state
    sale, case = found
    if event.resolved_by != BY_SYSTEM:
        state = _withdrawal_decided(state, sale, case)
    decided = RefundState.REJECTED if event.decision == REJECT else RefundState.REQUESTED
    return _change_case(state, event.refund_case_id, state=decided, reason=None, agreement=None)


def _withdrawal_decided(state: CertificateState, sale: Sale, case: RefundCase) -> CertificateState:
    """A person spoke of a line that had left the order; not where the question was which line a refund means."""
    if sale.issued_at is None or case.asks_which_line or state.sale is not sale:
        return state
    facts = state.order(sale.order_id)
    if AssignedShare(case.refund_id or "", sale.line_id, 0) in facts.assigned:
        return state
    version = orders.withdrawn_in(facts, sale.line_id)
    return replace(state, sale=replace(sale, withdrawal_decided=max(version, sale.withdrawal_decided)))


def _approved(state: CertificateState, event: e.RefundApproved) -> CertificateState:
    return _change_case(
        state,
        event.refund_case_id,
        approved=event.amount,
        waits_until=event.waits_until,
        overdue=False,
        pending_since=None,
        alerts=0,
        alerted_at=None,
    )
