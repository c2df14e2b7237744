import pytest

from api.problems import ProblemError
from api.redeeming import refusal
from giftcert.domain.events import RejectionReason
from workflows.requests import Answer, Refusal

PROBLEMS = {
    RejectionReason.NOT_ACTIVE: "not-active",
    RejectionReason.BLOCKED: "not-active",
    RejectionReason.EXPIRED: "not-active",
    RejectionReason.REFUND_IN_PROGRESS: "refund-in-progress",
    RejectionReason.CURRENCY_MISMATCH: "currency-mismatch",
    RejectionReason.INSUFFICIENT_BALANCE: "insufficient-balance",
    Refusal.NOT_ALLOWED: "not-active",
}
STANDING = {"certificateStatus": "blocked", "refundState": "requested"}


def problem_of(reason: str) -> ProblemError:
    answer = Answer(status="blocked", balance=1_200, held=0, refund_state="requested", refusal=reason)
    return refusal(answer, "RUB")


@pytest.mark.parametrize(("reason", "name"), PROBLEMS.items(), ids=str)
def test_each_reason_of_a_refused_hold_is_a_problem_of_its_own_name(reason: str, name: str) -> None:
    assert problem_of(reason).problem.name == name


@pytest.mark.parametrize("reason", [RejectionReason.BLOCKED, RejectionReason.REFUND_IN_PROGRESS])
def test_a_certificate_that_pays_for_nothing_is_shown_as_it_stands(reason: str) -> None:
    assert problem_of(reason).members == STANDING


def test_a_balance_that_is_too_low_is_told_so_that_the_till_can_ask_for_less() -> None:
    members = problem_of(RejectionReason.INSUFFICIENT_BALANCE).members
    assert members == {"balance": {"amount": 1_200, "currency": "RUB"}}
