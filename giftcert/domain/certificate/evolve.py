"""How each event changes the state. Decisions, projections, the stream check and the tests fold this same function.

Private events carry facts that the stream does not tell; folding the public ones alone still gives status, balance,
held and refund state.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from functools import reduce
from typing import assert_never

from giftcert.domain.certificate import cases, lines, redemptions
from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.state import CertificateState, Reservation, Sale, Status


def fold(state: CertificateState, events: Iterable[e.Event], at: datetime) -> CertificateState:
    """Return the state after all the events, in order."""
    return reduce(lambda known, event: evolve(known, event, at), events, state)


def evolve(state: CertificateState, event: e.Event, at: datetime) -> CertificateState:
    """Return the state after one event that was decided at ``at``; its line says who holds it, and how far that is."""
    changed = _evolve(state, event, at)
    return lines.with_holder(changed) if changed.lines else changed


def _evolve(state: CertificateState, event: e.Event, at: datetime) -> CertificateState:  # noqa: C901, PLR0911, PLR0912 - a table
    match event:
        case e.LineObserved():
            return lines.observed(state, event)
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
        case e.SaleFollowed():
            return _followed(state, event)
        case e.Issued():
            return _issued(state, event, at)
        case e.LineRefused():
            return lines.refused(state, event)
        case e.LineAwaited():
            return lines.awaited(state, event)
        case e.LineGivenUp():
            return lines.given_up(state, event)
        case e.LateMoneyReported():
            return lines.late_money_reported(state, event)
        case e.ForeignCaptureReported():
            return lines.foreign_capture_reported(state, event)
        case e.MoneyCounted():
            return lines.money_counted(state, event)
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
        case e.RedemptionIdentified():
            return redemptions.identified(state, event)
        case e.RefundRequested():
            return cases.requested(state, event, at)
        case e.RefundPendingDetails():
            return cases.pending(state, event, at)
        case e.RefundOverdue():
            return cases.overdue(state, event)
        case e.RefundCompleted():
            return cases.completed(state, event)
        case e.RefundResolved():
            return cases.resolved(state, event)
        case e.RefundApproved():
            return cases.approved(state, event)
        case e.RefundAgreed():
            return cases.agreed(state, event)
        case e.WithdrawalDecided():
            return _with_sale(state, lambda sale: replace(sale, withdrawal_decided=event.version))
        case e.RefundStuckAlerted():
            return cases.alerted(state, event, at)
        case e.UnpaidAlerted():
            return _unpaid_alerted(state, event, at)
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
            | e.PaymentWithoutCertificateAlerted()
            | e.CancelledWithoutRefundAlerted()
            | e.CvcDisclosed()
            | e.CvcRefused()
            | e.VerificationLocked()
            | e.OperatorActed()
            | e.OrderConflicted()
            | e.UnexpectedMessage()
        ):
            return state
        case _:
            assert_never(event)


# Pool ---------------------------------------------------------------------------------------------


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
    """An open case leaves the sale with its line, which goes to another certificate."""
    state = _end_reservation(state)
    sale = state.sale
    if sale is not None:
        line = state.line(sale.ref)
        closed = tuple(case for case in sale.cases if not case.is_open)
        past = replace(
            sale,
            cases=closed,
            ended=event.reason,
            released_terms=lines.terms_version(line.standing) if line else 0,
        )
        state = lines.let_go(state, sale)
        state = replace(state, past_sales=(*state.past_sales, past), sale=None)
    return replace(state, status=Status.AVAILABLE)


# Sale ---------------------------------------------------------------------------------------------


def _ordered(state: CertificateState, event: e.Ordered) -> CertificateState:
    """A sale that was released and comes back goes on with its own ledger and refund cases."""
    ref = (event.order_id, event.line_key)
    former = next(
        (sale for sale in state.past_sales if sale.ref == ref),
        Sale(order_id=event.order_id, line_key=event.line_key, line_id=event.line_id, amount=event.amount),
    )
    sale = replace(
        former,
        line_id=event.line_id,
        amount=event.amount,
        ended=None,
        unpaid_alerts=0,
        unpaid_alerted_at=None,
    )
    return replace(
        _end_reservation(state),
        status=Status.ORDERED,
        sale=sale,
        past_sales=tuple(one for one in state.past_sales if one is not former),
        refusals=tuple(one for one in state.refusals if one.ref != ref),
        waits_for=tuple(one for one in state.waits_for if one != ref),
    )


def _sale_opened(state: CertificateState, event: e.SaleOpened) -> CertificateState:
    state = _with_sale(
        state,
        lambda sale: replace(
            sale,
            channel=event.channel,
            customer_id=event.customer_id,
            listed_amount=event.listed_amount,
            nominal=event.nominal,
            opened_at=event.opened_at,
            unpaid_until=event.unpaid_until,
        ),
    )
    return replace(state, nominal=event.nominal)


def _repriced(state: CertificateState, event: e.SaleRepriced) -> CertificateState:
    state = _with_sale(
        state,
        lambda sale: replace(
            sale, amount=event.amount, listed_amount=event.listed_amount, nominal=event.nominal
        ),
    )
    return replace(state, nominal=event.nominal)


def _followed(state: CertificateState, event: e.SaleFollowed) -> CertificateState:
    return _with_sale(state, lambda sale: replace(sale, line_id=event.line_id, customer_id=event.customer_id))


def _unpaid_alerted(state: CertificateState, event: e.UnpaidAlerted, at: datetime) -> CertificateState:
    return _with_sale(state, lambda sale: replace(sale, unpaid_alerts=event.attempt, unpaid_alerted_at=at))


def _issued(state: CertificateState, event: e.Issued, at: datetime) -> CertificateState:
    state = _with_sale(state, lambda sale: replace(sale, issued_at=at, valid_until=event.valid_until))
    return replace(state, status=Status.ISSUED, balance=state.nominal)


def _with_sale(state: CertificateState, change: Callable[[Sale], Sale]) -> CertificateState:
    return replace(state, sale=change(state.sale)) if state.sale else state
