"""Rules of time and people: validity, block, unblock, retire, writing to the client again."""

from giftcert.domain import events as e
from giftcert.domain import sale
from giftcert.domain.decision import Decision
from giftcert.domain.messages import Block, RequestNotification, Retire, Unblock, ValidityEnded


def validity_ended(decision: Decision, _: ValidityEnded) -> None:
    """The rest of the balance is breakage; a refund that was waiting is now one of an expired certificate."""
    if not decision.state.is_past_validity(decision.now):
        return
    decision.record(e.Expired(reason="validityEnded", by="system", breakage=decision.state.balance))
    sale.settle(decision)


def block(decision: Decision, message: Block) -> None:
    """Spending and disclosure stop, and a refund that waits asks a person; facts are recorded and clocks run."""
    if not decision.state.blocked:
        decision.record(e.Blocked(reason=message.reason, by=message.by))
        sale.settle(decision)


def unblock(decision: Decision, message: Unblock) -> None:
    """All as it was, and what waited for it is judged again."""
    if decision.state.blocked:
        decision.record(e.Unblocked(reason=message.reason, by=message.by))
        sale.settle(decision)


def notify_again(decision: Decision, message: RequestNotification) -> None:
    """The client never got it: ask CRM to write again, and tell who asked."""
    acted = e.OperatorActed(who=message.requested_by, what="asked that the client is written to again")
    decision.record(acted, sale.notification(decision))


def retire(decision: Decision, message: Retire) -> None:
    """Operations withdraw what has not been sold."""
    decision.record(e.Retired(reason=message.reason, by=message.by))
