"""How each event changes the state: the one fold of decisions, the stream check and the tests.

A decision itself sets what no event carries; the events alone give status, balance, held and refund state.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import reduce
from typing import assert_never

from giftcert.domain.certificate import cases, lines, redemption_state
from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.state import (
    AwaitedFetch,
    CertificateState,
    LineRef,
    Reservation,
    Sale,
    Status,
)


def fold(state: CertificateState, events: Iterable[e.PublicEvent], at: datetime) -> CertificateState:
    """Return the state after all the events, in order."""
    return reduce(lambda known, event: evolve(known, event, at), events, state)


def evolve(state: CertificateState, event: e.PublicEvent, at: datetime) -> CertificateState:
    """Return the state after one event that was decided at ``at``; its line then shows its holder and status."""
    return lines.with_holder(_evolve(state, event, at))


def _evolve(state: CertificateState, event: e.PublicEvent, at: datetime) -> CertificateState:  # noqa: C901, PLR0911, PLR0912 - a table
    match event:
        case e.Reserved():
            reservation = Reservation(
                reservation_id=event.reservation_id, reserved_until=event.reserved_until
            )
            return replace(state, status=Status.RESERVED, reservation=reservation)
        case e.Released():
            return _released(state, event)
        case e.Ordered():
            return _ordered(state, event)
        case e.Issued():
            sale = state.sale and replace(state.sale, issued_at=at, valid_until=event.valid_until)
            return replace(state, sale=sale, status=Status.ISSUED, balance=state.nominal)
        case e.RedemptionAuthorized():
            return redemption_state.authorized(state, event)
        case e.RedemptionCaptured():
            return redemption_state.captured(state, event)
        case e.RedemptionVoided():
            return redemption_state.voided(state, event)
        case e.RedemptionRestored():
            return redemption_state.restored(state, event)
        case e.RefundRequested():
            return cases.requested(state, event, at)
        case e.RefundPendingDetails():
            return cases.pending(state, event, at)
        case e.RefundCompleted():
            return cases.completed(state, event)
        case e.RefundResolved():
            return cases.resolved(state, event)
        case e.RefundStuckAlerted():
            return cases.alerted(state, event, at)
        case e.UnpaidAlerted():
            sale = state.sale and replace(state.sale, unpaid_alerts=event.attempt, unpaid_alerted_at=at)
            return replace(state, sale=sale)
        case e.NotificationRequested():
            return _with_fetch(state, AwaitedFetch(event.notification_id, at))
        case e.CvcDisclosed() | e.NotificationUndeliverableAlerted():
            return _with_fetch(state, None)
        case e.Expired():
            return replace(state, status=Status.EXPIRED, balance=0)
        case e.Blocked():
            return replace(state, blocked=True)
        case e.Unblocked():
            return replace(state, blocked=False)
        case e.Retired():
            return replace(_end_reservation(state), status=Status.RETIRED)
        case (
            e.RedemptionRejected()
            | e.RedemptionUncoveredAlerted()
            | e.PaymentWithoutCertificateAlerted()
            | e.CancelledWithoutRefundAlerted()
            | e.CvcRefused()
            | e.VerificationLocked()
            | e.OperatorActed()
            | e.OrderConflicted()
            | e.UnexpectedMessage()
        ):
            return state
        case _:
            assert_never(event)


def _with_fetch(state: CertificateState, fetch: AwaitedFetch | None) -> CertificateState:
    if state.sale is None or state.sale.awaited_fetch == fetch:
        return state
    return replace(state, sale=replace(state.sale, awaited_fetch=fetch))


def _end_reservation(state: CertificateState) -> CertificateState:
    if state.reservation is None or state.reservation.ended:
        return state
    return replace(state, reservation=replace(state.reservation, ended=True))


def _released(state: CertificateState, event: e.Released) -> CertificateState:
    """An open case leaves the sale with its line, which goes to another certificate."""
    state = _end_reservation(state)
    sale = state.sale
    if sale is not None:
        line, left = state.line(sale.ref), sale.open_case
        state = lines.with_changed_line(
            state, sale.ref, lambda one: replace(one, holder=None, open_case=left or one.open_case)
        )
        past = replace(
            sale,
            cases=tuple(case for case in sale.cases if not case.is_open),
            ended=event.reason,
            released_terms=lines.terms_version(line.standing) if line else 0,
        )
        state = replace(state, past_sales=(*state.past_sales, past), sale=None)
    return replace(state, status=Status.AVAILABLE)


def _ordered(state: CertificateState, event: e.Ordered) -> CertificateState:
    """A sale that was released and comes back goes on with its own ledger and refund cases."""
    ref = LineRef(event.order_id, event.line_key)
    former = lines.find_past_sale(state, ref) or Sale(
        order_id=event.order_id, line_key=event.line_key, line_id=event.line_id, amount=event.amount
    )
    sale = replace(
        former,
        line_id=event.line_id,
        amount=event.amount,
        ended=None,
        unpaid_alerts=0,
        unpaid_alerted_at=None,
    )
    others = tuple(one for one in state.past_sales if one is not former)
    state = lines.given_up(_end_reservation(state), ref)
    return replace(state, status=Status.ORDERED, sale=sale, past_sales=others)
