"""What is captured for a line, and whether it is paid, when money went back, belongs elsewhere or came again.

Lines: the television "1" for 250,000, the certificates "2" and "3" for 500,000 each.
"""

import pytest

from giftcert.domain.line_money import PaymentTest, captured_for_line, is_paid, paying_ids
from giftcert.domain.messages import Message
from giftcert.domain.state import OrderFacts
from tests.unit.domain import factories as make
from tests.unit.domain.test_refund_lines import TELEVISION, A, B, told

TWO = (TELEVISION, A)


def order(*messages: Message) -> OrderFacts:
    return told(make.ordered(*TWO), *messages)


# Captured -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("captures", "returned", "captured"),
    [
        # under the total: goods first, less what is theirs already
        ([make.captured(100_000, to={"1": 100_000}), make.captured(300_000)], 0, 150_000),
        ([make.captured(250_000, to={"1": 250_000}), make.captured(300_000)], 0, 300_000),
        # the total is reached, so each line has its price, whatever the allocations say
        ([make.captured(750_000, to={"1": 400_000, "2": 350_000})], 0, 500_000),
        # what went back of the line was its own allocation first, then of what is free
        ([make.captured(100_000, to={"2": 100_000}), make.captured(600_000)], 300_000, 150_000),
        ([make.captured(750_000)], 500_000, 0),
        ([make.captured(750_000), make.captured(500_000)], 500_000, 500_000),
    ],
)
def test_what_is_captured_for_a_line(captures: list[Message], returned: int, captured: int) -> None:
    assert captured_for_line(order(*captures), "2", returned) == captured


def test_a_cancelled_line_whose_money_went_back_has_none_any_more() -> None:
    facts = order(make.captured(750_000), make.cancelled("2"))
    assert captured_for_line(facts, "2") == 500_000
    assert captured_for_line(facts, "2", returned=500_000) == 0


# Paid ---------------------------------------------------------------------------------------------


def paid(facts: OrderFacts, amount: int = 500_000, *, returned: int = 0, elsewhere: int = 0) -> bool:
    return is_paid(facts, PaymentTest("2", amount, returned=returned, returned_elsewhere=elsewhere))


def test_an_allocation_that_went_back_does_not_pay_again() -> None:
    facts = order(make.captured(500_000, to={"2": 500_000}))
    assert paid(facts)
    assert not paid(facts, returned=500_000)
    twice = make.captured(500_000, to={"2": 500_000}), make.captured(500_000, "P-2", to={"2": 500_000})
    assert paid(order(*twice), returned=500_000)


def test_money_that_is_back_pays_for_nothing() -> None:
    assert not paid(told(make.ordered(A), make.captured(500_000), make.refunded(500_000)))


def test_what_went_back_of_the_line_or_of_lines_that_are_gone_does_not_reach_the_total() -> None:
    assert paid(order(make.captured(750_000)))
    assert not paid(order(make.captured(750_000)), returned=100_000)
    only = told(make.ordered(A), make.captured(750_000))
    assert paid(only, elsewhere=250_000)
    assert not paid(only, elsewhere=300_000)


def test_certificates_as_tender_leave_the_rest_to_pay_for_all_certificate_lines() -> None:
    tender = make.captured(300_000, "P-1", tender="giftCertificate")
    facts = order(tender, make.captured(550_000, "P-2"))
    assert paid(facts)
    assert not paid(facts, returned=100_000)
    both = told(make.ordered(A, B), tender, make.captured(700_000, "P-2"))
    assert not paid(both), "700,000 do not pay for two"


def test_a_line_that_costs_nothing_is_paid_and_one_that_costs_the_least_is_not() -> None:
    assert paid(order(), 0)
    assert not paid(order(), 1)


def test_captures_beyond_those_that_pay_are_not_named() -> None:
    captures = [
        make.captured(amount, name) for amount, name in ((700_000, "P-1"), (50_000, "P-2"), (5, "P-3"))
    ]
    assert paying_ids(order(*captures), PaymentTest("2", 500_000)) == ("P-1", "P-2")
