"""What support, CRM and operations do with a certificate: "Time and people" in the lifecycle."""

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.decision import Decision
from giftcert.domain.certificate.notification import announce
from giftcert.domain.certificate.state import FOR_SALE


def record_act(decision: Decision, message: m.Message) -> None:
    """Publish who acted and why, where a person's request changed anything and no other event says so.

    A batch that is retired is published once as a whole, when that is ordered.
    """
    match message:
        case m.Block(reason=reason, by=who):
            what = f"blocked the certificate: {reason}"
        case m.Unblock(reason=reason, by=who):
            what = f"unblocked the certificate: {reason}"
        case m.ResolveRefund(resolved_by=who):
            what = f"decided to {message.decision} refund case {message.refund_case_id}: {message.note}"
        case _:
            return
    if decision.public and not any(isinstance(event, e.OperatorActed) for event in decision.public):
        decision.record(e.OperatorActed(who=who, what=what))


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
    """The client never got it: ask CRM to write again, and publish who asked."""
    acted = e.OperatorActed(who=message.requested_by, what="asked that the client is written to again")
    decision.record(acted)
    announce(decision)


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
