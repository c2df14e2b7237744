"""Products, amounts, numbers, identifiers, intervals."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn

from giftcert.domain.identifiers import uuid7
from giftcert.domain.money import worth_of_refund
from giftcert.domain.numbers import mask, number_from_digits
from giftcert.domain.policy import Policy
from giftcert.domain.products import Product
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.profiles import searched


@given(st.text("0123456789", min_size=15, max_size=15))
@searched(50)
def test_a_made_number_has_its_check_digit(digits: str) -> None:
    number = number_from_digits(digits)
    assert luhn.is_valid(number)
    assert number[:-1] == digits


def test_the_check_digit_is_that_of_the_standard_s_example() -> None:
    assert number_from_digits("7992739871") == "79927398713"


def test_only_the_last_four_digits_are_shown() -> None:
    assert mask("1234") == "************1234"
    assert mask("1234", length=10) == "******1234"


def test_an_identifier_is_that_of_the_standard_s_example() -> None:
    moment = datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)
    assert uuid7(moment, 0xCC3 << 62 | 0x18C4DC0C0C07398F) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
    assert uuid7(moment, (0xFCC3 << 62) | 0x18C4DC0C0C07398F) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_identifiers_sort_by_the_instant_at_which_they_were_made() -> None:
    first, second = uuid7(make.NOON, (1 << 74) - 1), uuid7(make.NOON + timedelta(milliseconds=1), 0)
    assert first < second
    assert (UUID(first).version, UUID(first).variant) == (7, "specified in RFC 4122")


@pytest.mark.parametrize(
    ("nominal", "refunded", "price", "worth"),
    [(500, 400, 400, 500), (500, 1, 400, 2), (500, 200, 400, 250), (500, 0, 0, 500)],
)
def test_a_refund_is_worth_its_part_of_the_nominal_rounded_up(
    nominal: int, refunded: int, price: int, worth: int
) -> None:
    assert worth_of_refund(nominal, refunded, price) == worth


def test_bounds_of_an_open_value_product_may_be_open() -> None:
    product = Product(id="ANY", currency="RUB")
    assert product.allows_nominal(1)
    assert not product.allows_nominal(0)


def test_alerts_come_ever_less_often_up_to_the_longest_wait() -> None:
    policy = Policy()
    waits = [policy.escalation(sent) for sent in range(100)]
    assert waits[:3] == [timedelta(hours=24), timedelta(hours=48), timedelta(hours=96)]
    assert waits == sorted(waits)
    assert waits[-1] == policy.escalation_longest


@pytest.mark.parametrize(
    ("percent", "price", "allowed"),
    [(20, 400, True), (20, 399, False), (20, 500, True), (20, 501, False), (20, 0, False), (100, 0, True)],
)
def test_a_price_is_within_the_greatest_discount(percent: int, price: int, allowed: bool) -> None:
    product = Product(id="ANY", currency="RUB", nominal=500, greatest_discount_percent=percent)
    assert product.allows_price(price, 500) == allowed
