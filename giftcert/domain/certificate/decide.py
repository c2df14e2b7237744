"""The decision: what follows when a certificate of this state gets this message now."""

from datetime import datetime
from enum import StrEnum
from typing import assert_never

from giftcert.domain.certificate import (
    disclosure,
    notification,
    redemptions,
    refund_resolution,
    reservation,
    sale,
    support_requests,
    validity,
)
from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.deadlines import deadlines
from giftcert.domain.certificate.decision import Decision
from giftcert.domain.certificate.matrix import Answer, cell
from giftcert.domain.certificate.refunds import refund_deadline_passed
from giftcert.domain.certificate.settlement import settle
from giftcert.domain.certificate.state import CertificateState
from giftcert.domain.identifiers import NewId
from giftcert.domain.policy import Terms


class StatusRefusal(StrEnum):
    """Why a request is refused whatever it says."""

    STATUS_DOES_NOT_ALLOW = "statusDoesNotAllow"


def decide(
    state: CertificateState, message: m.Message, now: datetime, terms: Terms, new_id: NewId
) -> Decision:
    """Return what follows, in order; a request that is refused says why. Nothing is raised for any message."""
    cause = message.cause if isinstance(message, m.SpendingReported) else None
    judges_line = isinstance(message, m.LineChanged)
    decision = Decision(state, now, terms, new_id, cause=cause, judges_line=judges_line)
    answer = cell(state.status, message).answer
    if answer is Answer.REFUSED:
        decision.refusal = StatusRefusal.STATUS_DOES_NOT_ALLOW
    elif answer is Answer.APPLIED and _still_counts(decision, message):
        _apply(decision, message)
        settle(decision)
    return decision


def _still_counts(decision: Decision, message: m.Message) -> bool:
    """A deadline counts only while it is due: what it was for may be over, or it may have moved."""
    if not isinstance(message, m.DeadlinePassed):
        return True
    due = deadlines(decision.state, decision.policy)
    return any(one.message == message and one.at <= decision.now for one in due)


def _apply(decision: Decision, message: m.Message) -> None:  # noqa: C901, PLR0912 - a table
    match message:
        case m.LineChanged():
            pass  # all lines are looked at after any message
        case m.SpendingReported():
            redemptions.spending_reported(decision, message)
        case m.ReservationLapsed():
            reservation.lapsed(decision, message)
        case m.UnpaidDeadlinePassed():
            sale.unpaid_deadline_passed(decision)
        case m.RefundDeadlinePassed():
            refund_deadline_passed(decision, message)
        case m.HoldLapsed():
            redemptions.hold_lapsed(decision, message)
        case m.NotificationOverdue():
            notification.overdue(decision, message)
        case m.ValidityEnded():
            validity.ended(decision)
        case m.Reserve():
            reservation.reserve(decision, message)
        case m.ExtendReservation():
            reservation.extend(decision, message)
        case m.ReleaseReservation():
            reservation.give_back(decision, message)
        case m.AuthorizeRedemption():
            redemptions.authorize(decision, message)
        case m.VoidRedemption():
            redemptions.void(decision, message)
        case m.ResolveRefund():
            refund_resolution.resolve_refund(decision, message)
        case m.RequestNotification():
            support_requests.notify_again(decision, message)
        case m.Block():
            support_requests.block(decision, message)
        case m.Unblock():
            support_requests.unblock(decision, message)
        case m.Retire():
            support_requests.retire(decision, message)
        case m.DiscloseCvc():
            disclosure.disclose(decision, message)
        case m.LockVerification():
            support_requests.lock_verification(decision, message)
        case m.UnlockVerification():
            support_requests.unlock_verification(decision, message)
        case _:
            assert_never(message)
