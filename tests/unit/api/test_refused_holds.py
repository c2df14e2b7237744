from enum import StrEnum

import pytest

from api.problems import Problem, ProblemError, refused
from giftcert.domain.certificate.state import CertificateState, RefundCase, RefundState, Sale
from giftcert.domain.certificate.words import RejectionReason
from giftcert.domain.products import Product
from giftcert.lifecycle.requests import Outcome

PROBLEMS = {
    RejectionReason.NOT_ACTIVE: "not-active",
    RejectionReason.BLOCKED: "not-active",
    RejectionReason.EXPIRED: "not-active",
    RejectionReason.REFUND_IN_PROGRESS: "refund-in-progress",
    RejectionReason.CURRENCY_MISMATCH: "currency-mismatch",
    RejectionReason.INSUFFICIENT_BALANCE: "insufficient-balance",
}
CASE = RefundCase(refund_case_id="R", state=RefundState.REQUESTED, amount=1_000)
STATE = CertificateState(
    certificate_id="C",
    product="GC-5000",
    currency="RUB",
    nominal=500_000,
    blocked=True,
    balance=1_200,
    sale=Sale(order_id="IM-1", line_key=1, line_id="1", amount=500_000, cases=(CASE,)),
)


def problem_of(reason: StrEnum) -> ProblemError:
    outcome = Outcome(state=STATE, product=Product("GC-5000", "RUB", nominal=500_000), refusal=reason)
    return refused(outcome, Problem.NOT_ACTIVE)


@pytest.mark.parametrize(("reason", "name"), PROBLEMS.items(), ids=str)
def test_each_reason_of_a_refused_hold_is_a_problem_of_its_own_name(reason: StrEnum, name: str) -> None:
    assert problem_of(reason).problem.slug == name


@pytest.mark.parametrize("reason", [RejectionReason.BLOCKED, RejectionReason.REFUND_IN_PROGRESS])
def test_a_certificate_that_pays_for_nothing_is_shown_as_it_stands(reason: StrEnum) -> None:
    assert problem_of(reason).members == {"certificateStatus": "blocked", "refundState": "requested"}


def test_a_balance_that_is_too_low_is_told_so_that_the_till_can_ask_for_less() -> None:
    members = problem_of(RejectionReason.INSUFFICIENT_BALANCE).members
    assert members == {"balance": {"amount": 1_200, "currency": "RUB"}}
