"""What support, CRM and operations do with a certificate: "Time and people" in the lifecycle."""

from typing import assert_never

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.decision import Decision
from giftcert.domain.certificate.sale import notification
from giftcert.domain.certificate.state import FOR_SALE


def record_act(decision: Decision, request: m.Request) -> None:
    """Tell who acted and why, where a person's request did anything and that is not told yet."""
    act = _act_of(request)
    if act is None or not decision.public:
        return
    if not any(isinstance(event, e.OperatorActed) for event in decision.public):
        decision.record(act)


def _act_of(request: m.Request) -> e.OperatorActed | None:  # noqa: PLR0911 - a table
    """Return what a person did by a request; ``None`` where no person asked, or what follows from it tells."""
    match request:
        case m.Block(reason=reason, by=by):
            return e.OperatorActed(who=by, what=f"blocked the certificate: {reason}")
        case m.Unblock(reason=reason, by=by):
            return e.OperatorActed(who=by, what=f"unblocked the certificate: {reason}")
        case m.ResolveRefund():
            what = f"decided to {request.decision} refund case {request.refund_case_id}: {request.note}"
            return e.OperatorActed(who=request.resolved_by, what=what)
        case m.Retire():
            return None  # told once, when the operation is started, of all its certificates
        case m.RequestNotification() | m.UnlockVerification():
            return None  # record it themselves
        case m.DiscloseCvc() | m.LockVerification():
            return None
        case m.Reserve() | m.ExtendReservation() | m.ReleaseReservation():
            return None
        case m.AuthorizeRedemption() | m.VoidRedemption():
            return None
        case _:
            assert_never(request)


def retire(decision: Decision, message: m.Retire) -> None:
    """Withdraw what has not been sold; block what has, as if a person had blocked it alone."""
    if decision.state.status in FOR_SALE:
        decision.record(e.Retired(reason=message.reason, by=message.by))
    else:
        block(decision, message)


def block(decision: Decision, message: m.Block | m.Retire) -> None:
    """Stop spending and disclosure; facts are recorded, clocks run, and a refund that waits asks a person."""
    if not decision.state.blocked:
        decision.record(e.Blocked(reason=message.reason, by=message.by))


def unblock(decision: Decision, message: m.Unblock) -> None:
    """Lift the block: all is as it was."""
    if decision.state.blocked:
        decision.record(e.Unblocked(reason=message.reason, by=message.by))


def notify_again(decision: Decision, message: m.RequestNotification) -> None:
    """The client never got it: ask CRM to write again, and tell who asked."""
    acted = e.OperatorActed(who=message.requested_by, what="asked that the client is written to again")
    decision.record(acted, notification(decision))


def lock_verification(decision: Decision, message: m.LockVerification) -> None:
    """Somebody guesses at the CVC: a person has to know."""
    decision.record(
        e.VerificationLocked(
            attempts=message.attempts,
            since=message.since,
            channel=message.channel,
            web_url=decision.terms.web_url,
        )
    )


def unlock_verification(decision: Decision, message: m.UnlockVerification) -> None:
    """Let the number be checked again; where it is not locked nothing changes."""
    if message.is_locked:
        decision.record(e.OperatorActed(who=message.by, what=f"unlocked the number: {message.reason}"))
