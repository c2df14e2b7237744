"""What support, CRM and operations do with a certificate, and the end of its validity: "Time and people"."""

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.decision import Decision
from giftcert.domain.certificate.messages import (
    Block,
    LockVerification,
    RequestNotification,
    Retire,
    Unblock,
    UnlockVerification,
    ValidityEnded,
)
from giftcert.domain.certificate.sale import notification
from giftcert.domain.certificate.state import FOR_SALE


def validity_ended(decision: Decision, _: ValidityEnded) -> None:
    """The rest of the balance is breakage; a refund that was waiting is now one of an expired certificate."""
    if not decision.state.is_past_validity(decision.now):
        return
    decision.record(e.Expired(reason="validityEnded", by="system", breakage=decision.state.balance))


def block(decision: Decision, message: Block) -> None:
    """Spending and disclosure stop, and a refund that waits asks a person; facts are recorded and clocks run."""
    if not decision.state.blocked:
        decision.record(e.Blocked(reason=message.reason, by=message.by))


def unblock(decision: Decision, message: Unblock) -> None:
    """All as it was, and what waited for it is judged again."""
    if decision.state.blocked:
        decision.record(e.Unblocked(reason=message.reason, by=message.by))


def retire(decision: Decision, message: Retire) -> None:
    """Operations withdraw what has not been sold; what has been is blocked, as if a person had blocked it alone."""
    if decision.state.status in FOR_SALE:
        decision.record(e.Retired(reason=message.reason, by=message.by))
    else:
        block(decision, Block(reason=message.reason, by=message.by))


def notify_again(decision: Decision, message: RequestNotification) -> None:
    """The client never got it: ask CRM to write again, and tell who asked."""
    acted = e.OperatorActed(who=message.requested_by, what="asked that the client is written to again")
    decision.record(acted, notification(decision))


def lock_verification(decision: Decision, message: LockVerification) -> None:
    """Somebody guesses at the CVC: a person has to know."""
    decision.record(
        e.VerificationLocked(
            attempts=message.attempts,
            since=message.since,
            channel=message.channel,
            web_url=decision.terms.web_url,
        )
    )


def unlock_verification(decision: Decision, message: UnlockVerification) -> None:
    """Support lets the number be checked again; where it is not locked nothing changes."""
    if message.is_locked:
        decision.record(e.OperatorActed(who=message.by, what=f"unlocked the number: {message.reason}"))
