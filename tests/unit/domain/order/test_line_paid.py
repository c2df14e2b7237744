"""By what a line is paid, and what of that stays when money goes back.

Lines: the television "1" for 250, the certificates "2" and "3" for 500 each.
"""

import pytest

from giftcert.domain.order import messages as m
from giftcert.domain.order.line_standings import line_standings
from tests.unit.domain.order import orders as o
from tests.unit.domain.order.orders import standing_of_a as a

# Paid ---------------------------------------------------------------------------------------------


def test_allocated_captures_pay_a_line_before_the_order_is_paid() -> None:
    parts = (
        o.captured(300, "P-1", to={"2": 300}),
        o.captured(250, "P-2", to={"1": 250}),
        o.captured(200, "P-3", to={"2": 200}),
    )
    found = a(o.TWO, *parts[:2])
    assert (found.is_paid, found.missing) == (False, 200)
    found = a(o.TWO, *parts)
    assert (found.is_paid, found.paying) == (True, ("P-1", "P-3"))


def test_a_capture_that_allocates_nothing_to_a_line_is_not_among_those_that_pay_it() -> None:
    found = a(o.TWO, o.captured(250, "P-1", to={"1": 250, "2": 0}), o.captured(500, "P-2", to={"2": 500}))
    assert found.paying == ("P-2",)


def test_the_smallest_capture_counts_like_any() -> None:
    first, rest = o.captured(499, "P-1", to={"2": 499}), o.captured(1, "P-2", to={"2": 1})
    alone = o.stated(o.A)
    assert a(alone, first, rest).paying == ("P-1", "P-2")
    assert a(alone, first, o.captured(1, "P-2")).paying == ("P-1", "P-2")
    assert a(alone, rest).captured_cause == rest.cause
    by_certificate = o.captured(500, "P-9", to={"2": 500}, tender=m.GIFT_CERTIFICATE)
    found = a(alone, by_certificate, first)
    assert (found.is_paid, found.is_paid_by_any_tender) == (False, True)


def test_a_line_that_is_paid_lacks_nothing_though_its_order_does() -> None:
    found = a(o.TWO, o.captured(500, to={"2": 500}))
    assert (found.is_paid, found.missing) == (True, 0)
    back = a(o.TWO, o.captured(500, to={"2": 500}), o.refunded(200, to={"2": 200}))
    assert (back.is_paid, back.is_paid_by_any_tender, back.missing) == (False, False, 200)


def test_what_is_allocated_to_no_line_of_the_order_pays_none() -> None:
    found = a(o.TWO, o.captured(500, "P-9", to={"9": 500}), o.captured(750, "P-1"))
    assert (found.captured, found.is_paid, found.paying) == (500, True, ("P-9", "P-1"))
    assert not a(o.TWO, o.captured(500, "P-9", to={"9": 500}), o.captured(250, "P-1")).is_paid


def test_several_captures_reach_the_total_together_and_later_ones_are_not_named() -> None:
    parts = [o.captured(amount, f"P-{nth}") for nth, amount in enumerate((250, 499, 1, 100), start=1)]
    assert not a(o.TWO, *parts[:2]).is_paid
    for messages in ((o.TWO, *parts), (*parts, o.TWO), (*parts[:3], o.TWO, parts[3])):
        assert a(*messages).paying == ("P-1", "P-2", "P-3")


@pytest.mark.parametrize(
    "first",
    [
        [o.captured(250, "P-1", to={"1": 250}), o.captured(250, "P-2", to={"1": 250})],  # charged twice
        [o.captured(250, "P-1"), o.captured(1, "P-2", to={"0": 1})],  # a discount costs nothing
        [o.captured(100, "P-1", to={"9": 100}), o.captured(350, "P-2", to={"9": 100, "1": 250})],
    ],
)
def test_what_pays_for_no_line_of_the_order_leaves_the_rest_to_later_captures(
    first: list[m.OrderMessage],
) -> None:
    lines = o.stated(o.goods("0", -50, "discount"), o.TELEVISION, o.A, o.goods("4", 100))
    rest = o.captured(549, "P-3"), o.captured(1, "P-4")
    assert not a(lines, *first, rest[0]).is_paid
    assert a(lines, *first, *rest).paying == ("P-1", "P-2", "P-3", "P-4")


def test_what_is_allocated_to_a_discount_is_still_lacking() -> None:
    lines = o.stated(o.goods("0", -50, "discount"), o.A, o.B)
    for first in ([], [o.captured(1, to={"0": 1})]):
        found = o.standings(lines, *first, o.captured(600))
        assert [one.missing for one in found.values()] == [350, 400]


def test_of_two_certificates_each_keeps_what_its_allocations_lack() -> None:
    found = o.standings(o.BOTH, o.captured(300, "P-1", to={"2": 300}), o.captured(700, "P-2"))
    assert [(one.captured, one.is_paid, one.paying) for one in found.values()] == [
        (500, True, ("P-1", "P-2"))
    ] * 2


def test_what_went_back_must_come_again_before_a_line_is_paid() -> None:
    part = o.stated(o.A), o.captured(300, "P-1", to={"2": 300}), o.refunded(100, to={"2": 100})
    again = o.captured(200, "P-2", to={"2": 200}), o.captured(100, "P-3", to={"2": 100})
    assert not a(*part, again[0]).is_paid
    assert a(*part, *again).paying == ("P-1", "P-2", "P-3")
    part = o.stated(o.A), o.captured(300, "P-1"), o.refunded(100)
    found = a(*part, o.captured(200, "P-2"), o.captured(100, "P-3"))
    assert found.paying == found.paying_by_any_tender == ("P-1", "P-2", "P-3")
    bought = o.stated(o.A), o.captured(300, "P-1", tender="giftCertificate"), o.refunded(100)
    found = a(*bought, o.captured(400, "P-2"))
    assert (found.is_paid, found.paying_by_any_tender) == (False, ("P-1", "P-2"))
    assert a(*bought, o.captured(400, "P-2"), o.captured(200, "P-3")).paying == ("P-1", "P-2", "P-3")


def test_an_order_is_paid_by_its_sum_where_a_discount_stands_in_a_line_of_its_own() -> None:
    lines = o.stated(o.goods("0", -50, "discount"), o.TELEVISION, o.A)
    for capture in (o.captured(700), o.captured(700, to={"1": 250, "2": 450})):
        found = a(lines, capture)
        assert (found.price, found.captured, found.is_paid) == (500, 500, True)


def test_a_certificate_does_not_buy_a_certificate() -> None:
    found = a(o.stated(o.A), o.captured(tender="giftCertificate"))
    assert (found.captured, found.is_paid, found.is_paid_by_any_tender) == (500, False, True)
    assert (found.paying, found.paying_by_any_tender, found.missing) == ((), ("P-1",), 0)
    found = a(o.stated(o.A), o.captured(to={"2": 500}, tender="giftCertificate"))
    assert (found.is_paid, found.is_paid_by_any_tender) == (False, True)


def test_a_certificate_may_buy_the_goods_beside_a_certificate() -> None:
    found = a(o.TWO, o.captured(250, "P-1", tender="giftCertificate"), o.captured(500, "P-2"))
    assert (found.is_paid, found.paying) == (True, ("P-1", "P-2"))
    found = a(o.TWO, o.captured(250, "P-1", to={"1": 250}), o.captured(500, "P-2", tender="giftCertificate"))
    assert (found.is_paid, found.is_paid_by_any_tender) == (False, True)


def test_a_certificate_buys_not_the_smallest_part_of_a_certificate() -> None:
    lines = o.stated(o.goods("1", 500), o.A)
    by_certificate = o.captured(1, "P-2", tender="giftCertificate")
    found = a(lines, o.captured(999, "P-1", to={"1": 500}), by_certificate)
    assert (found.captured, found.is_paid, found.is_paid_by_any_tender) == (500, False, True)


def test_a_line_that_a_certificate_bought_keeps_nothing_of_the_money_that_pays_the_order_after_it() -> None:
    by_certificate = o.captured(500, "P-1", to={"2": 500}, tender="giftCertificate")
    found = a(o.TWO, by_certificate, o.captured(750, "P-2"))
    assert (found.captured, found.is_paid, found.paying) == (500, True, ("P-1", "P-2"))


def test_other_tenders_cover_all_certificate_lines_together() -> None:
    by_certificate = o.captured(300, "P-1", tender="giftCertificate")
    assert not any(
        one.is_paid for one in o.standings(o.BOTH, by_certificate, o.captured(700, "P-2")).values()
    )
    found = o.standings(o.BOTH, by_certificate, o.captured(1_000, "P-2"))
    assert all(one.is_paid for one in found.values())
    assert found["2"].paying_by_any_tender == ("P-1", "P-2")


def test_paid_first_by_a_certificate_and_then_by_money_names_each_run() -> None:
    found = a(o.stated(o.A), o.captured(500, "P-1", tender="giftCertificate"), o.captured(500, "P-2"))
    assert (found.paying_by_any_tender, found.paying) == (("P-1",), ("P-1", "P-2"))


def test_how_a_line_was_first_paid_by_any_tender_is_remembered_once() -> None:
    by_certificate = o.captured(500, "P-1", tender="giftCertificate")
    order = o.fold(o.stated(o.A), by_certificate, o.stated(o.A, version=2), o.captured(500, "P-2"))
    assert [(one.captures, one.any_tender) for one in order.lines[0].paid] == [(1, True), (2, False)]


def test_amount_0_is_paid_when_ordered_and_1_is_not() -> None:
    found = a(o.stated(o.gift("2", 0)))
    assert (found.is_paid, found.paying, found.missing) == (True, (), 0)
    assert a(o.stated(o.gift("2", 0)), o.captured(1, to={"2": 1})).paying == ()
    assert not a(o.stated(o.gift("2", 1))).is_paid


def test_money_in_another_currency_pays_nothing() -> None:
    found = a(o.stated(o.A), o.captured(currency="EUR"))
    assert (found.captured, found.is_paid) == (0, False)


def test_a_line_once_paid_keeps_its_price_and_money_when_the_order_grows() -> None:
    more = o.stated(o.goods("0", 300), o.TELEVISION, o.A, version=2)
    for messages in ((o.TWO, o.captured(750), more), (o.captured(750), o.TWO, more)):
        found = a(*messages)
        assert (found.captured, found.is_paid, found.paying) == (500, True, ("P-1",))
    assert not a(o.TWO, more, o.captured(750)).is_paid


def test_a_line_paid_beside_a_discount_stays_paid_when_the_order_grows() -> None:
    lines = o.goods("0", -50, "discount"), o.TELEVISION, o.A
    more = o.stated(*lines, o.goods("4", 300), version=2)
    for capture in (o.captured(700), o.captured(700, to={"1": 250, "2": 450})):
        found = a(o.stated(*lines), capture, more)
        assert (found.captured, found.is_paid) == (500, True)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (o.BOTH, (o.gift("2", 600), o.gift("3", 600))),
        (o.stated(o.A), (o.A, o.gift("3", 100), o.gift("4", 100))),
    ],
)
def test_certificates_paid_by_several_captures_keep_each_its_price_when_the_order_grows(
    first: m.OrderStated, then: tuple[m.OrderLine, ...]
) -> None:
    changed, grown = o.stated(*then, version=2), o.stated(*then, o.goods("5", 300), version=3)
    more = o.captured(changed.total - first.total, "P-2")
    found = o.standings(first, o.captured(first.total), changed, more, grown)
    assert [(one.captured, one.is_paid) for one in found.values()] == [(line.amount, True) for line in then]


def test_unallocated_money_that_two_lines_may_keep_is_kept_by_one_alone() -> None:
    """Of the first capture 500 stay with the certificate that it paid; the other two have their own allocations."""
    paid = o.stated(o.gift("4")), o.captured(750)
    own = o.captured(250, "P-2", to={"2": 250}), o.captured(250, "P-3", to={"3": 250})
    found = o.standings(*paid, *own, o.stated(o.gift("2", 250), o.gift("3", 250), version=2))
    assert {number: one.captured for number, one in found.items()} == {"4": 500, "2": 500, "3": 250}


def test_a_line_once_paid_keeps_the_price_that_was_paid() -> None:
    dearer = o.stated(o.gift("2", 600), version=2)
    found = a(o.stated(o.A), o.captured(), dearer)
    assert (found.amount, found.price, found.is_paid) == (600, 500, True)
    found = a(o.stated(o.A), o.captured(), dearer, o.captured(100, "P-2"))
    assert (found.price, found.is_paid, found.paying) == (600, True, ("P-1", "P-2"))


def test_a_price_that_fell_is_paid_by_less() -> None:
    cheaper = o.stated(o.gift("2", 450), version=2)
    found = a(o.stated(o.A), o.captured(450), cheaper)
    assert (found.price, found.is_paid) == (450, True)
    found = a(o.stated(o.A), o.captured(450), cheaper, o.stated(o.A, version=3))
    assert (found.amount, found.price, found.is_paid) == (500, 450, True)


def test_a_price_paid_under_another_certificate_is_not_this_one_s() -> None:
    found = a(o.stated(o.A), o.captured(), o.stated(o.gift("2", 1_000, "new"), version=2))
    assert (found.price, found.captured, found.is_paid, found.missing) == (1_000, 500, False, 500)


def test_a_certificate_added_after_payment_waits_for_its_own_money() -> None:
    messages = (o.TWO, o.captured(750), o.stated(o.TELEVISION, o.A, o.B, version=2))
    found = o.standings(*messages)
    assert (found["2"].is_paid, found["3"].is_paid, found["3"].captured) == (True, False, 0)
    found = o.standings(*messages, o.captured(500, "P-2"))
    assert (found["2"].is_paid, found["3"].is_paid) == (True, True)
    assert (found["2"].paying, found["3"].paying) == (("P-1",), ("P-1", "P-2"))


def test_captures_told_in_one_go_are_looked_at_as_one_by_one() -> None:
    order = o.fold(o.TWO)
    messages = [o.captured(amount, f"P-{amount}") for amount in (100, 650, 5)]
    for message in messages:
        order = o.fold(message, order=order)
        line_standings(order, {})
    assert line_standings(order, {}) == line_standings(o.fold(o.TWO, *messages), {})


# What went back ------------------------------------------------------------------------------------


def test_money_that_is_back_pays_for_nothing() -> None:
    for messages in (
        (o.stated(o.A), o.captured(), o.refunded()),
        (o.captured(), o.refunded(), o.stated(o.A)),
        (o.refunded(), o.captured(), o.stated(o.A)),
        (o.refunded(to={"2": 500}), o.stated(o.A), o.captured(to={"2": 500})),
    ):
        found = a(*messages)
        assert (found.captured, o.back(found), found.is_paid) == (500, 500, False)


def test_a_part_paid_again_after_a_refund_is_not_mistaken_for_it() -> None:
    part = (o.stated(o.A), o.captured(300, "P-1"), o.refunded(300))
    counted = {1: o.counted_whole(a(*part))}
    found = o.standings(*part, o.captured(200, "P-2"), counted=counted)["2"]
    assert (found.captured, o.back(found), found.is_paid, found.missing) == (500, 300, False, 300)
    found = o.standings(*part, o.captured(500, "P-2"), counted=counted)["2"]
    assert (found.captured, o.back(found), found.is_paid, found.paying) == (800, 300, True, ("P-1", "P-2"))


def test_what_went_back_of_a_certificate_was_its_own_though_goods_lack_theirs() -> None:
    paid = o.captured(500, to={"1": 250})
    found = a(o.stated(o.goods("1", 500), o.A), paid, o.refunded(250, to={"2": 250}))
    assert (found.captured, o.back(found)) == (250, 250)


def test_what_went_back_of_goods_that_left_was_theirs_though_certificates_lack_theirs() -> None:
    found = a(o.TWO, o.captured(300), o.cancelled("1"), o.refunded(250, to={"1": 250}))
    assert (found.captured, o.back(found)) == (50, 0)


def test_money_that_went_back_and_came_again_pays_again() -> None:
    for to in (None, {"2": 500}):
        gone = (o.TWO, o.captured(750), o.refunded(500, to={"2": 500}))
        assert not a(*gone).is_paid
        found = a(*gone, o.captured(500, "P-2", to=to))
        assert (found.captured, o.back(found), found.is_paid) == (1_000, 500, True)


def test_money_given_to_a_line_that_was_cancelled_pays_for_no_other() -> None:
    for left in (o.cancelled("3"), o.stated(o.A, version=2)):
        found = a(o.BOTH, o.captured(500, to={"3": 500}), left)
        assert (found.captured, found.is_paid) == (0, False)


def test_money_that_went_back_for_a_cancelled_line_pays_for_no_other() -> None:
    order = o.stated(o.goods("1", 500), o.A)
    assert a(order, o.captured(800), o.cancelled("1")).is_paid
    found = a(order, o.captured(800), o.refunded(400), o.cancelled("1", at=o.LATER))
    assert (found.captured, found.is_paid, o.possible(found)) == (500, False, 100)


def test_a_refund_of_the_goods_takes_nothing_of_a_paid_certificate() -> None:
    for messages in ((o.TWO, o.captured(750), o.refunded(250)), (o.captured(750), o.refunded(250), o.TWO)):
        found = a(*messages)
        assert (found.captured, found.is_paid, o.back(found), o.possible(found)) == (500, True, 0, 0)


def test_a_line_charged_twice_stays_paid_when_that_is_given_back() -> None:
    for to in (None, {"2": 500}):
        twice = (o.TWO, o.captured(750), o.captured(500, "P-2", to={"2": 500}))
        found = a(*twice, o.refunded(500, "r-1", to=to, payment_id="P-2"))
        assert (found.captured, o.excess(found), o.back(found), found.is_paid) == (1_000, 500, 500, True)


def test_a_whole_order_charged_twice_and_given_back_with_allocations_stays_paid() -> None:
    twice = (o.TWO, o.captured(750), o.captured(750, "P-2"))
    assert (a(*twice).captured, a(*twice).is_paid) == (500, True)
    found = a(*twice, o.refunded(750, to={"1": 250, "2": 500}, payment_id="P-2"))
    assert (found.captured, o.excess(found), o.back(found), found.is_paid) == (1_000, 500, 500, True)
    found = a(*twice, o.refunded(750, payment_id="P-2"))
    assert (found.captured, o.back(found), found.is_paid) == (500, 0, True)
