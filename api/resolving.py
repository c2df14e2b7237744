"""A person's decision about a refund case, between HTTP or the command line and the case."""

from pydantic import BaseModel

from api import problems
from api.act_schemas import AwaitingSecond, ResolutionView
from api.problems import InvalidFieldError
from api.repeats import Reply
from api.views import money
from giftcert.domain.resolution import ResolutionRefusal
from giftcert.people.resolving import Resolution

REFUSED_FIELDS = {
    ResolutionRefusal.DECISION_NOT_ALLOWED: ("decision", "is not among the decisions that the case allows"),
    ResolutionRefusal.AMOUNT_REQUIRED: ("amount", "must be given, as nobody knows what this refund is worth"),
    ResolutionRefusal.AMOUNT_TOO_HIGH: ("amount", "is more than the balance, or than the refund is worth"),
}
"""Which field of a decision does not fit, and why."""


def reply(done: Resolution) -> Reply:
    """Return the answer to a decision.

    Raises:
        ProblemError: 409 if the case is closed, 422 naming what does not fit it.
    """
    if done.refusal is ResolutionRefusal.NOTHING_PENDING:
        raise problems.ProblemError(problems.NOTHING_PENDING)
    if done.refusal is not None:
        raise InvalidFieldError(*REFUSED_FIELDS[done.refusal])
    return Reply(view(done), 202 if done.decided is None else 200)


def view(done: Resolution) -> BaseModel:
    """Return what came of a decision that was not refused."""
    case = {"refund_case_id": done.verdict.refund_case_id, "certificate_id": done.certificate_id}
    if done.decided is None:
        wanted = {"decision": done.verdict.decision, "amount": done.verdict.amount}
        return AwaitingSecond.model_validate(case | wanted)
    amounts = {
        "amount": done.decided.amount,
        "taken": done.decided.taken,
        "uncovered": done.decided.uncovered,
        "balance": done.answer.balance,
        "held": done.answer.held,
    }
    return ResolutionView.model_validate(
        {
            **case,
            "decision": done.decided.decision,
            "status": done.answer.status,
            "refund_state": done.answer.refund_state,
            **{name: money(amount, done.currency) for name, amount in amounts.items()},
        }
    )
