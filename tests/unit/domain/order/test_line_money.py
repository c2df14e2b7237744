"""Price of a line, and what is captured for it.

Lines: the television "1" for 250, the certificates "2" and "3" for 500 each.
"""

from datetime import datetime

import pytest

from giftcert.domain.order import messages as m
from giftcert.domain.order.lines import prices
from tests.unit.domain.order import orders as o
from tests.unit.domain.order.orders import standing_of_a as a

# Price --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "total", "expected"),
    [
        ((o.TELEVISION, o.A), 750, {"1": 250, "2": 500}),
        ((o.TELEVISION, o.A), 800, {"1": 250, "2": 500}),  # what is listed nowhere is no line's
        ((o.TELEVISION, o.A), 675, {"1": 225, "2": 450}),
        ((o.TELEVISION, o.A), 0, {"1": 0, "2": 0}),
        ((o.gift("3"), o.gift("2"), o.gift("1")), 1_400, {"3": 467, "2": 467, "1": 466}),
        ((o.gift("a", 1), o.gift("b", 1), o.gift("c", 1)), 1, {"a": 0, "b": 0, "c": 1}),
        ((o.gift("a", 3), o.goods("b", 2), o.goods("c", 2)), 6, {"a": 2, "b": 2, "c": 2}),  # 3 of 7 is most
        ((o.gift("a", 5), o.goods("b", 3), o.goods("c", 2)), 6, {"a": 3, "b": 2, "c": 1}),  # 0.8 is most
        ((o.goods("d", -50, "discount"), o.TELEVISION, o.A), 700, {"d": -50, "1": 250, "2": 500}),
        ((o.goods("d", -50, "discount"), o.TELEVISION, o.A), 625, {"d": -50, "1": 225, "2": 450}),
        ((o.gift("2", 0),), 0, {"2": 0}),
        ((o.gift("2", 1),), 0, {"2": 0}),
    ],
)
def test_a_discount_of_the_whole_order_is_shared_by_amount(
    lines: tuple[m.OrderLine, ...], total: int, expected: dict[str, int]
) -> None:
    assert prices(lines, total) == expected
    assert prices(lines[::-1], total) == expected


def test_amount_and_price_are_told_apart() -> None:
    found = a(o.stated(o.TELEVISION, o.A, total=675), o.captured(675))
    assert (found.amount, found.price, found.captured, found.is_paid) == (500, 450, 450, True)


# Captured -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("captures", "captured"),
    [
        ([o.captured(250)], 0),  # goods first
        ([o.captured(400)], 150),
        ([o.captured(100, to={"1": 100}), o.captured(300)], 150),
        ([o.captured(250, to={"1": 250}), o.captured(300)], 300),
        ([o.captured(100, to={"2": 100})], 100),
        ([o.captured(100, to={"2": 100}), o.captured(250)], 100),
        ([o.captured(750)], 500),
        ([o.captured(600, to={"2": 600})], 600),  # charged more than it costs
        ([o.captured(400, to={"1": 400})], 0),
        ([o.captured(400, to={"1": 400}), o.captured(500)], 500),
        ([o.captured(300, to={"9": 300})], 0),  # of a line that the order never had
    ],
)
def test_what_is_captured_for_a_line(captures: list[m.OrderMessage], captured: int) -> None:
    for messages in ((o.TWO, *captures), (*captures, o.TWO)):
        assert a(*messages).captured == captured


def test_a_television_s_money_is_never_the_certificate_s_whatever_the_order_of_arrival() -> None:
    twice = o.captured(250, to={"1": 250}), o.captured(500, "P-2", to={"1": 500})
    for messages in ((o.TWO, *twice), (*twice, o.TWO), (twice[0], o.TWO, twice[1])):
        found = a(*messages)
        assert (found.captured, found.is_paid, found.missing) == (0, False, 500)


def test_what_another_certificate_was_charged_twice_does_not_pay_this_one() -> None:
    found = o.standings(o.BOTH, o.captured(to={"2": 500}), o.captured(500, "P-2", to={"2": 500}))
    assert (found["2"].captured, o.excess(found["2"]), found["2"].is_paid) == (1_000, 500, True)
    assert (found["3"].captured, found["3"].is_paid) == (0, False)


def test_a_part_captured_for_certificates_alone_belongs_to_the_lines() -> None:
    found = o.standings(o.BOTH, o.captured(600))
    assert [(one.captured, one.is_paid) for one in found.values()] == [(500, False), (100, False)]
    assert [one.missing for one in found.values()] == [400, 400]


def test_lines_take_unallocated_money_by_their_numbers_not_as_they_are_listed() -> None:
    found = o.standings(o.stated(o.B, o.A), o.captured(600))
    assert (found["2"].captured, found["3"].captured) == (500, 100)


def test_a_certificate_is_paid_by_what_is_left_of_the_order() -> None:
    found = a(o.TWO, o.captured(500), o.cancelled("1"))
    assert (found.captured, found.is_paid) == (500, True)


def test_lines_that_left_the_order_come_after_those_in_it() -> None:
    found = o.standings(o.BOTH, o.cancelled("2"), o.captured(600))
    assert (found["2"].captured, found["3"].captured) == (100, 500)
    found = o.standings(o.BOTH, o.stated(o.B, version=2), o.captured(600))
    assert (found["2"].captured, found["3"].captured) == (100, 500)


def test_goods_listed_anew_under_a_cancelled_number_ask_for_their_price_once() -> None:
    again = o.stated(o.goods("4", 500), o.A, version=3)
    found = a(o.stated(o.TELEVISION, o.goods("4", 500), o.A), o.cancelled(), again, o.captured(1_250))
    assert found.captured == 500


ALL = o.TELEVISION, o.A, o.B
LISTED_ANEW = o.stated(*ALL), o.cancelled(), o.stated(*ALL, version=3, at=o.LATER)
GONE_AGAIN = o.cancelled(version=4, at=o.LATER)


def captured_for_lines(*messages: m.OrderMessage) -> list[int]:
    return [one.captured for one in o.standings(*messages).values()]


@pytest.mark.parametrize("at", [o.NOON, o.LATER + o.HOUR])
def test_what_paid_goods_before_they_were_listed_anew_pays_their_price(at: datetime) -> None:
    """The number is paid, whichever of its two lines the allocation means: what is left only certificates can have."""
    capture = o.captured(450, to={"1": 250}, at=at)
    for versions in (LISTED_ANEW, (*LISTED_ANEW, GONE_AGAIN)):
        assert captured_for_lines(*versions, capture) == [200, 0]
        assert captured_for_lines(capture, *versions) == [200, 0]


def test_goods_that_left_twice_under_one_number_ask_for_their_price_once() -> None:
    for versions in (LISTED_ANEW, (*LISTED_ANEW, GONE_AGAIN)):
        assert captured_for_lines(*versions, o.captured(700)) == [450, 0]


def test_goods_listed_anew_at_a_higher_price_ask_for_the_difference() -> None:
    dearer = o.stated(o.goods("1", 300), o.A, o.B, version=3, at=o.LATER)
    for versions in ((*LISTED_ANEW[:2], dearer), (*LISTED_ANEW[:2], dearer, GONE_AGAIN)):
        assert captured_for_lines(*versions, o.captured(450, to={"1": 250})) == [150, 0]


def test_goods_listed_anew_at_a_lower_price_leave_other_goods_what_those_cost() -> None:
    radio = o.goods("4", 300)
    dear = o.stated(o.TELEVISION, o.A, radio), o.captured(250, to={"1": 250}), o.cancelled("1")
    cheap = o.stated(o.goods("1", 100), o.A, radio, version=3, at=o.LATER)
    assert captured_for_lines(*dear, cheap, o.captured(600, "P-2")) == [300]


def test_goods_whose_number_a_certificate_got_ask_for_nothing_also_when_that_left() -> None:
    replaced = o.stated(o.TELEVISION, o.B), o.stated(o.gift("1"), o.B, version=2), o.cancelled("3", version=3)
    for versions in (replaced, (*replaced, o.cancelled("1", version=4))):
        found = o.standings(*versions, o.captured(600))
        assert (found["1"].captured, found["3"].captured) == (500, 100)


def test_what_went_back_of_goods_that_left_is_not_theirs_twice() -> None:
    lines = o.stated(o.TELEVISION, o.goods("4", 500), o.A)
    published = lines, o.captured(1_000), o.cancelled("2", "4")
    for messages in (published, (*published, o.refunded(500, to={"4": 500}))):
        found = a(*messages)
        assert (found.captured, o.back(found), o.possible(found)) == (250, 0, 0)


@pytest.mark.parametrize("to", [None, {"1": 250}])
def test_goods_listed_anew_ask_again_for_what_was_given_back(to: dict[str, int] | None) -> None:
    first, back = o.captured(250, to={"1": 250}), o.refunded(250, to=to, at=o.NOON)
    for versions in (LISTED_ANEW, (*LISTED_ANEW, GONE_AGAIN)):
        assert captured_for_lines(*versions, first, back, o.captured(250, "P-2", at=o.LATER)) == [0, 0]


def test_a_refund_that_only_the_rules_give_to_goods_leaves_earlier_money_to_the_certificates() -> None:
    published = *LISTED_ANEW, GONE_AGAIN, o.captured(450, to={"1": 250}), o.refunded(200, at=o.NOON)
    for messages in (published, (*published, o.captured(50, "P-2", at=o.LATER))):
        found = a(*messages)
        assert (found.captured, o.back(found), o.possible(found)) == (200, 0, 0)


def test_a_discount_in_a_line_of_its_own_is_goods_also_when_all_left() -> None:
    lines = o.stated(o.goods("0", -50, "discount"), o.TELEVISION, o.A)
    for versions in ((lines,), (lines, o.cancelled())):
        assert a(*versions, o.captured(450)).captured == 250


def test_certificates_alone_charged_twice_have_each_its_price_twice() -> None:
    found = o.standings(o.BOTH, o.captured(1_000), o.captured(1_000, "P-2"))
    assert [(one.captured, o.excess(one)) for one in found.values()] == [(1_000, 500), (1_000, 500)]
    found = o.standings(o.BOTH, o.captured(1_000), o.captured(700, "P-2"))
    assert [one.captured for one in found.values()] == [1_000, 700]


def test_goods_that_cost_nothing_leave_a_second_charge_to_certificates_and_the_cheapest_do_not() -> None:
    twice = o.captured(501), o.captured(501, "P-2")
    free, cheap = o.stated(o.goods("1", 0), o.A), o.stated(o.goods("1", 1), o.A)
    assert a(free, *twice).captured == 1_002
    for versions in ((cheap,), (cheap, o.cancelled("1"))):
        assert a(*versions, *twice).captured == 500


def test_certificates_alone_charged_three_times_have_each_its_price_three_times() -> None:
    found = o.standings(o.BOTH, *(o.captured(1_000, f"P-{nth}") for nth in range(3)))
    assert [one.captured for one in found.values()] == [1_500, 1_500]


def test_what_is_left_beside_goods_is_theirs() -> None:
    assert a(o.TWO, o.captured(750), o.captured(750, "P-2")).captured == 500


def test_what_is_listed_nowhere_is_paid_before_certificates() -> None:
    found = a(o.stated(o.A, total=600), o.captured(300))
    assert (found.captured, found.is_paid) == (200, False)
    assert a(o.stated(o.A, total=600), o.captured(500)).is_paid is False
    assert a(o.stated(o.A, total=600), o.captured(600)).is_paid is True


def test_what_is_allocated_beyond_what_paid_a_line_is_excess() -> None:
    """The first capture paid it out of unallocated money; the second is too much."""
    two = o.captured(750), o.captured(300, "P-2", to={"2": 300})
    for messages in ((o.TWO, *two), (*two, o.TWO)):
        found = a(*messages)
        assert (found.captured, o.excess(found), found.paying) == (800, 300, ("P-1",))


def test_when_captured_money_last_grew() -> None:
    first, second = o.captured(400, at=o.LATER), o.captured(350, "P-2", at=o.LATER + o.HOUR)
    third = o.captured(50, "P-3", at=o.LATER + 2 * o.HOUR)
    assert a(o.TWO).captured_cause is None
    assert a(o.TWO, o.captured(250)).captured_cause is None
    assert a(o.TWO, first).captured_cause == first.cause
    assert a(o.TWO, first, second, third).captured_cause == second.cause
    part = o.captured(300, "P-2", at=o.LATER)
    assert a(o.TWO, o.captured(250), part).captured_cause == part.cause
    own = o.captured(10, "P-4", to={"2": 10})
    assert a(o.TWO, first, second, third, own).captured_cause == own.cause
