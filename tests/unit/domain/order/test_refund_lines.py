"""Which lines does a refund mean? The rules, each by example.

Lines: the television "1" for 250, the certificates "2" and "3" for 500 each, all captured at once.
"""

import pytest

from giftcert.domain.order import messages as m
from giftcert.domain.order.standing import LineStanding
from tests.unit.domain.order import orders as o

LATER = o.NOON + o.HOUR
EARLIER = o.NOON - o.HOUR
Standings = dict[str, LineStanding]


def published(*messages: m.OrderMessage) -> Standings:
    """The whole order, paid, and these messages."""
    return o.standings(o.stated(o.TELEVISION, o.A, o.B), o.captured(1_250), *messages)


def alone(*messages: m.OrderMessage) -> Standings:
    """The two certificates, paid, and these messages."""
    return o.standings(o.stated(o.A, o.B), o.captured(1_000), *messages)


def sums(found: Standings) -> dict[str, tuple[int, int]]:
    """What is certainly back of a line, and what may be."""
    return {line_id: (o.back(one), o.possible(one)) for line_id, one in found.items()}


def certain(found: Standings) -> list[int]:
    return [o.back(one) for one in found.values()]


# All is back --------------------------------------------------------------------------------------


def test_refunds_that_equal_all_captures_mean_every_line_whole() -> None:
    found = published(o.refunded(250), o.refunded(1_000))
    assert certain(found) == [500, 500]


def test_when_all_is_back_allocations_say_no_more_than_what_was_captured() -> None:
    assert certain(published(o.refunded(1_250, to={"2": 600}))) == [500, 500]
    assert certain(published(o.refunded(1_250, to={"1": 1_250}))) == [500, 500]


def test_two_refunds_allocated_to_one_line_when_all_is_back_mean_both_lines() -> None:
    found = alone(o.refunded(500, "r-1", to={"2": 500}), o.refunded(500, "r-2", to={"2": 500}))
    assert certain(found) == [500, 500]
    assert [one.refund_id for one in found["3"].refunds] == ["r-2"]


def test_a_refund_that_one_line_cannot_take_whole_when_all_is_back() -> None:
    found = alone(o.refunded(700, "r-1", to={"2": 700}), o.refunded(300, "r-2", to={"3": 300}))
    assert certain(found) == [500, 500]
    assert [(one.refund_id, one.certain) for one in found["3"].refunds] == [("r-1", 200), ("r-2", 300)]


def test_a_line_that_got_no_money_gets_none_back_when_all_is_back() -> None:
    found = o.standings(o.stated(o.TELEVISION, o.A), o.captured(200), o.refunded(200))["2"]
    assert (o.back(found), o.possible(found)) == (0, 0)


def test_no_unit_counts_twice_when_lines_left_and_all_is_back() -> None:
    found = published(
        o.refunded(250, to={"1": 250}), o.cancelled("2"), o.refunded(500, at=LATER), o.refunded(500, at=LATER)
    )
    assert certain(found) == [500, 500]


def test_parts_of_a_double_charge_that_is_all_back() -> None:
    found = alone(o.captured(1_000, "P-2"), o.refunded(1_000, "r-1"), o.refunded(1_000, "r-2"))
    assert [(one.captured, o.back(one)) for one in found.values()] == [(1_000, 1_000), (1_000, 1_000)]


# Allocated ----------------------------------------------------------------------------------------


def test_allocated_refunds_go_to_their_lines() -> None:
    assert sums(published(o.refunded(600, to={"1": 100, "3": 500}))) == {"2": (0, 0), "3": (500, 0)}


def test_what_a_refund_leaves_unallocated_is_spread_on() -> None:
    assert sums(published(o.refunded(600, to={"3": 500}))) == {"2": (0, 0), "3": (500, 0)}
    assert sums(published(o.refunded(800, to={"3": 500}))) == {"2": (0, 50), "3": (500, 0)}


def test_more_than_was_captured_may_be_allocated_and_is_told_as_it_is() -> None:
    assert certain(published(o.refunded(700, to={"2": 700}))) == [700, 0]


def test_a_refund_allocated_to_a_line_that_nobody_knows_means_none() -> None:
    assert sums(published(o.refunded(300, to={"9": 300}))) == {"2": (0, 0), "3": (0, 0)}


def test_a_refund_that_follows_a_renumbered_line() -> None:
    moved = o.stated(o.TELEVISION, o.gift("7", certificate="certificate-2"), o.B, version=2, at=o.NOON)
    found = o.standings(
        o.stated(o.TELEVISION, o.A, o.B, at=EARLIER),
        o.captured(1_250, at=EARLIER),
        moved,
        o.refunded(200, to={"2": 200}, at=EARLIER),
        o.refunded(300, to={"7": 300}, at=LATER),
    )
    assert o.back(found["7"]) == 500


# Goods --------------------------------------------------------------------------------------------


def test_a_refund_before_any_withdrawal_that_fits_the_goods_stays_with_goods() -> None:
    found = published(o.refunded(250), o.returned("2", at=LATER))
    assert sums(found) == {"2": (0, 0), "3": (0, 0)}


def test_what_allocations_gave_back_of_the_goods_is_not_there_again() -> None:
    found = published(o.refunded(200, to={"1": 200}), o.refunded(100))
    assert sums(found) == {"2": (0, 50), "3": (0, 50)}


def test_what_was_captured_for_a_line_that_nobody_knows_is_not_there_for_goods() -> None:
    nobodys = o.captured(300, "P-2", to={"9": 300})
    assert sums(published(nobodys, o.refunded(300))) == {"2": (0, 50), "3": (0, 50)}


def test_goods_give_back_what_they_cost_once() -> None:
    found = published(o.refunded(150), o.refunded(100), o.refunded(1))
    assert sums(found) == {"2": (0, 1), "3": (0, 1)}
    allocated = o.refunded(150, to={"1": 150}), o.refunded(50, to={"1": 50})
    assert sums(published(*allocated, o.refunded(50), o.refunded(1)))["2"] == (0, 1)


def test_a_refund_of_the_television_does_not_freeze_a_gift_that_is_paid_in_part() -> None:
    found = o.standings(o.stated(o.goods("1", 400), o.A), o.captured(450), o.refunded(100))["2"]
    assert (found.captured, o.back(found), o.possible(found)) == (50, 0, 0)


def test_as_much_as_there_is_goods_money_is_for_goods_and_the_rest_must_be_certificate_money() -> None:
    found = published(o.refunded(400, "r-1"))
    assert sums(found) == {"2": (0, 150), "3": (0, 150)}
    assert o.refund(found["2"]).decided is None


# Lines that left ----------------------------------------------------------------------------------


def test_later_refunds_fill_lines_that_left_in_lineid_order() -> None:
    found = published(o.returned("3", "2"), o.refunded(700, "both", at=LATER))
    assert sums(found) == {"2": (500, 0), "3": (200, 0)}
    found = o.standings(
        o.stated(o.B, o.TELEVISION, o.A), o.captured(1_250), o.returned("3", "2"), o.refunded(700, at=LATER)
    )
    assert sums(found) == {"2": (500, 0), "3": (200, 0)}


@pytest.mark.parametrize("left", [o.returned("1", "2"), o.cancelled("1", "2")])
def test_goods_that_left_count_with_what_was_captured_for_them(left: m.OrderMessage) -> None:
    assert sums(published(left, o.refunded(600, at=LATER))) == {"2": (350, 0), "3": (0, 0)}


def test_goods_that_left_lack_no_more_than_was_captured_for_them() -> None:
    found = o.standings(
        o.stated(o.TELEVISION, o.A), o.cancelled("1"), o.captured(600), o.refunded(150, at=LATER)
    )["2"]
    assert (o.back(found), o.possible(found)) == (0, 50)


def test_goods_that_left_have_unallocated_money_in_lineid_order() -> None:
    order = o.stated(o.goods("0", 100), o.goods("1", 200), o.goods("4", 300), o.A), o.captured(1_100)
    left = o.cancelled("0"), o.returned("4", version=3)
    assert o.possible(o.standings(*order, *left, o.refunded(600, at=LATER))["2"]) == 0
    found = o.standings(*order, *left, o.refunded(601, at=LATER))["2"]
    assert (o.back(found), o.possible(found)) == (0, 1)


def test_goods_listed_anew_lack_what_their_number_was_not_paid() -> None:
    """Of the 300 back only the television's 250 are goods: the unallocated 500 of goods are those of "4"."""
    lines = o.TELEVISION, o.A, o.goods("4", 500)
    anew = o.stated(*lines), o.cancelled("1"), o.stated(*lines, version=3, at=LATER)
    captures = o.captured(250, to={"1": 250}), o.captured(1_000, "P-2")
    left = o.returned("1", "2", version=4, at=LATER)
    found = o.standings(*anew, *captures, left, o.refunded(300, at=LATER + o.HOUR))
    assert sums(found) == {"2": (50, 0)}


def test_goods_that_left_have_no_money_of_those_that_stay_nor_of_those_before_them() -> None:
    """Goods have 650: "0" needs 250, "1" 300, what is left for "2" is 100; the certificate's 500 are allocated."""
    goods = o.goods("0", 250), o.goods("1", 300), o.goods("2", 200)
    order = o.stated(*goods, o.gift("3")), o.captured(500, to={"3": 500}), o.captured(650, "P-2")
    left = o.cancelled("1", "2", "3")
    assert sums(o.standings(*order, left, o.refunded(500, at=LATER))) == {"3": (100, 0)}


def test_goods_that_left_lack_only_what_went_back_of_no_goods_before() -> None:
    order = o.stated(o.goods("1", 300), o.A), o.captured(800)
    unsaid = o.refunded(250, "r-1", at=o.NOON - o.MINUTE)
    found = o.standings(*order, unsaid, o.cancelled(), o.refunded(350, "r-2", at=LATER))
    assert sums(found) == {"2": (300, 0)}
    order = o.stated(o.goods("0", 250), o.goods("1", 300), o.A), o.captured(1_050)
    said = o.refunded(250, "r-1", to={"1": 250}, at=o.NOON - o.MINUTE)
    found = o.standings(*order, said, o.cancelled("1", "2"), o.refunded(350, "r-2", at=LATER))
    assert sums(found) == {"2": (300, 0)}


@pytest.mark.parametrize("left", [o.returned("0", "1", "2"), o.cancelled()])
def test_goods_that_left_have_their_own_money_beside_goods_that_got_theirs_back(left: m.OrderMessage) -> None:
    order = o.stated(o.goods("0", 100), o.TELEVISION, o.A), o.captured(850)
    said = o.refunded(100, "r-1", to={"0": 100})
    assert sums(o.standings(*order, said, left, o.refunded(300, at=LATER))) == {"2": (50, 0)}


def test_what_went_back_beyond_all_prices_is_not_there_for_goods_that_left() -> None:
    order = o.stated(o.goods("1", 300), o.A), o.captured(1_000)
    unsaid = o.refunded(350, "r-1", at=o.NOON - o.MINUTE)
    found = o.standings(*order, unsaid, o.cancelled(), o.refunded(400, "r-2", at=LATER))
    assert sums(found) == {"2": (250, 0)}


def test_the_smallest_refund_fills_a_line_that_left() -> None:
    assert sums(published(o.returned("2"), o.refunded(1, at=LATER))) == {"2": (1, 0), "3": (0, 0)}


def test_a_refund_stays_with_the_line_that_left_before_it() -> None:
    """Otherwise a later return of another line would take over a refund that was carried out."""
    refund = o.refunded(500, at=o.NOON + o.MINUTE)
    found = published(o.returned("3"), refund, o.returned("2", version=3, at=LATER))
    assert sums(found) == {"2": (0, 0), "3": (500, 0)}


def test_a_refund_that_is_certificate_money_means_a_line_returned_later() -> None:
    refund = o.refunded(750)
    assert sums(published(refund)) == {"2": (0, 500), "3": (0, 500)}
    assert sums(published(refund, o.returned("3", at=LATER))) == {"2": (0, 0), "3": (500, 0)}


def test_a_refund_stays_with_a_line_that_was_out_of_the_order_then_and_was_put_back() -> None:
    """Otherwise the next line that is removed would be refunded by it once more."""
    without = o.stated(o.TELEVISION, o.B, version=2)
    refund = o.refunded(500, at=LATER)
    again = o.stated(o.TELEVISION, o.A, o.B, version=3, at=LATER + o.HOUR)
    then = o.stated(o.TELEVISION, o.A, version=4, at=LATER + 2 * o.HOUR)
    for messages in ((without, refund), (without, refund, again), (without, refund, again, then)):
        assert sums(published(*messages)) == {"2": (500, 0), "3": (0, 0)}
    for at in (EARLIER, again.cause.occurred_at):
        assert certain(published(without, again, o.refunded(500, at=at)))[0] == 0


def test_a_withdrawal_at_the_instant_of_the_refund_comes_first() -> None:
    found = published(o.returned("2", at=LATER), o.refunded(250, at=LATER))
    assert sums(found) == {"2": (250, 0), "3": (0, 0)}
    without, again = (
        o.stated(o.TELEVISION, o.B, version=2, at=LATER),
        o.stated(o.TELEVISION, o.A, o.B, version=3, at=LATER + o.HOUR),
    )
    assert certain(published(without, again, o.refunded(250, at=LATER))) == [250, 0]


def test_a_line_that_left_gets_no_more_than_it_still_lacks() -> None:
    part = o.refunded(200, to={"3": 200})
    found = published(o.cancelled("3", "2"), part, o.refunded(600, at=LATER))
    assert sums(found) == {"2": (500, 0), "3": (300, 0)}


def test_what_lines_that_left_do_not_lack_is_for_goods() -> None:
    assert sums(published(o.cancelled("2"), o.refunded(600, at=LATER))) == {"2": (500, 0), "3": (0, 0)}


def test_a_line_that_left_unpaid_has_no_money_in_the_captures() -> None:
    found = o.standings(
        o.stated(o.TELEVISION, o.A), o.cancelled("2"), o.captured(250), o.refunded(100, at=LATER)
    )["2"]
    assert (o.back(found), o.possible(found)) == (0, 0)


def test_all_that_refunds_say_is_back_of_a_line_may_have_come_again() -> None:
    """The smallest refund that only the rules give it, told last, changes nothing of that."""
    named = o.refunded(300, to={"2": 300}), o.refunded(200, to={"2": 200})
    again = o.captured(500, "P-2"), o.cancelled("2"), o.refunded(1, at=LATER)
    found = o.standings(o.stated(o.TELEVISION, o.A), o.captured(750), *named, *again)["2"]
    assert (found.captured, o.back(found)) == (1_000, 501)


def test_money_between_a_refund_that_names_a_line_and_one_that_only_the_rules_give_it_is_not_the_line_s() -> (
    None
):
    """That money came before the second refund, and in place of what the first gave back only 100 can have come."""
    order = o.stated(o.TELEVISION, o.A), o.captured(750), o.refunded(100, to={"2": 100})
    left = o.captured(400, "P-2"), o.cancelled("2"), o.refunded(400, at=LATER)
    found = o.standings(*order, *left)["2"]
    assert (found.captured, o.back(found)) == (600, 500)


def test_money_captured_again_for_a_line_that_left_is_owed_again() -> None:
    messages = (
        o.stated(o.TELEVISION, o.A),
        o.captured(750),
        o.cancelled("2"),
        o.refunded(500, "r-1", at=LATER),
        o.captured(500, "P-2", at=LATER),
    )
    found = o.standings(*messages)["2"]
    assert (found.captured, o.back(found)) == (1_000, 500)
    found = o.standings(*messages, o.refunded(500, "r-2", at=LATER))["2"]
    assert (found.captured, o.back(found)) == (1_000, 1_000)


# Beyond the price ---------------------------------------------------------------------------------


def test_what_a_line_was_charged_beyond_its_price_goes_back_first() -> None:
    twice = (o.captured(500, "P-2", to={"3": 500}), o.refunded(500, "r-1"))
    found = published(*twice)
    assert sums(found) == {"2": (0, 0), "3": (500, 0)}
    assert (o.excess(found["3"]), found["3"].is_paid) == (500, True)


def test_the_smallest_excess_of_a_line_goes_back_first() -> None:
    order = o.stated(o.TELEVISION, o.A), o.captured(501, to={"2": 501}), o.captured(250, "P-2")
    assert sums(o.standings(*order, o.refunded(1))) == {"2": (1, 0)}


def test_what_went_back_beyond_all_prices_is_no_goods_money_again() -> None:
    order = o.stated(o.goods("1", 300), o.A), o.captured(1_000)
    beyond = o.refunded(100, "r-1"), o.refunded(100, "r-2")
    assert sums(o.standings(*order, *beyond, o.refunded(500, "r-3"))) == {"2": (0, 200)}


def test_what_went_back_beyond_all_prices_leaves_what_a_line_was_paid_again() -> None:
    """Of 151 that no price lacks 150 went back in two refunds, and 500 are the second payment of "2"."""
    order = o.stated(o.goods("1", 300), o.A, o.B), o.captured(1_300)
    again = o.refunded(500, to={"2": 500}), o.captured(650, "P-2")
    beyond = o.refunded(100), o.refunded(100)
    left = o.cancelled("3", at=o.NOON + o.MINUTE), o.refunded(500, at=LATER), o.captured(1, "P-3", at=LATER)
    found = o.standings(*order, *again, *beyond, *left)
    assert [(one.captured, o.back(one)) for one in found.values()] == [(1_000, 500), (500, 500)]


def test_the_excess_of_certificates_alone_goes_back_by_their_numbers() -> None:
    found = alone(o.captured(1_000, "P-2"), o.refunded(700))
    assert [(o.excess(one), o.back(one), one.is_paid) for one in found.values()] == [
        (500, 500, True),
        (500, 200, True),
    ]


def test_all_that_was_captured_for_a_line_that_left_is_owed() -> None:
    found = alone(o.captured(500, "P-2", to={"2": 500}), o.returned("2"), o.refunded(700, at=LATER))
    assert (found["2"].captured, o.back(found["2"]), o.back(found["3"])) == (1_000, 700, 0)


# The rest -----------------------------------------------------------------------------------------


def test_the_rest_may_mean_the_lines_that_lack_some() -> None:
    found = published(o.refunded(500, "first", to={"2": 500}), o.refunded(300, "second"))
    assert sums(found) == {"2": (500, 0), "3": (0, 50)}
    assert [[one.refund_id for one in found[line].refunds] for line in ("2", "3")] == [["first"], ["second"]]


def test_a_line_that_was_given_more_than_its_price_may_lack_that_too() -> None:
    paid = o.captured(600, to={"2": 600}), o.captured(500, to={"3": 500})
    found = o.standings(o.stated(o.A, o.B), *paid, o.refunded(500, to={"2": 500}), o.refunded(150))
    assert sums(found) == {"2": (500, 150), "3": (0, 150)}


def test_a_refund_known_before_its_capture_may_mean_every_line_that_has_a_price() -> None:
    found = o.standings(o.stated(o.A, o.B), o.refunded(300))
    assert sums(found) == {"2": (0, 300), "3": (0, 300)}


def test_the_only_line_that_a_rest_may_mean_is_the_last() -> None:
    found = o.standings(o.stated(o.TELEVISION, o.A), o.captured(750), o.refunded(400, "r-1"))["2"]
    assert (o.refund(found).possible, o.refund(found).last_candidate) == (150, True)
    assert not o.refund(published(o.refunded(400, "r-1"))["2"]).last_candidate


def test_what_no_line_lacks_is_back_of_the_last_which_then_has_more_back_than_was_captured() -> None:
    whole = o.refunded(500, to={"2": 500}), o.refunded(500, to={"3": 500})
    assert sums(alone(*whole[:1], whole[1], o.refunded(100))) == {"2": (500, 0), "3": (600, 0)}


def test_what_a_later_refund_leaves_no_line_to_lack_is_back_of_the_last_too() -> None:
    found = o.standings(
        o.stated(o.A, at=EARLIER),
        o.captured(500),
        o.refunded(300, "r-1"),
        o.stated(o.TELEVISION, version=2, at=o.NOON + o.MINUTE),
        o.refunded(500, "r-2", at=o.NOON + 2 * o.MINUTE),
        o.stated(o.A, version=3, at=LATER),
    )["2"]
    assert [(one.refund_id, one.certain, one.possible) for one in found.refunds] == [
        ("r-1", 300, 0),
        ("r-2", 500, 0),
    ]


# Parts --------------------------------------------------------------------------------------------


def test_parts_of_one_refund_over_two_payments_are_one_refund_whichever_comes_first() -> None:
    parts = [o.refunded(300, "r-1", payment_id="P-1"), o.refunded(200, "r-1", payment_id="P-2")]
    paid = o.stated(o.A, o.B), o.captured(600, "P-1"), o.captured(400, "P-2")
    for order in (parts, parts[::-1]):
        found = o.standings(*paid, *order)["2"]
        assert [(one.refund_id, one.possible) for one in found.refunds] == [("r-1", 500)]
    to = [o.refunded(300, "r-1", payment_id="P-1", to={"2": 300}), parts[1]]
    for order in (to, to[::-1]):
        found = o.standings(*paid, *order)["2"]
        assert [(one.certain, one.possible) for one in found.refunds] == [(300, 200)]


def test_allocations_of_a_part_count_up_to_that_part() -> None:
    parts = (
        o.refunded(500, "r-1", to={"2": 300, "3": 300}),
        o.refunded(100, "r-1", payment_id="P-2"),
    )
    assert sums(alone(*parts)) == {"2": (300, 100), "3": (200, 100)}
    nobodys = o.refunded(300, "r-1", to={"9": 100}), o.refunded(200, "r-1", to={"9": 50}, payment_id="P-2")
    assert sums(alone(*nobodys)) == {"2": (0, 350), "3": (0, 350)}


def test_the_smallest_refund_that_no_line_lacks_is_back_of_the_last_once() -> None:
    both = o.refunded(500, "r-1", to={"2": 500}), o.refunded(500, "r-2", to={"3": 500})
    assert certain(alone(*both, o.refunded(1, "r-3"))) == [500, 501]


def test_a_refund_in_parts_stays_with_goods_only_as_a_whole() -> None:
    whole = published(o.refunded(300, "r-1"))
    parts = published(o.refunded(100, "r-1", payment_id="P-1"), o.refunded(200, "r-1", payment_id="P-2"))
    assert sums(parts) == sums(whole) == {"2": (0, 50), "3": (0, 50)}


def test_refunds_stand_in_the_order_of_their_topic_by_their_newest_part() -> None:
    found = published(
        o.refunded(100, "r-1", to={"2": 100}),
        o.refunded(100, "r-2", to={"2": 100}),
        o.refunded(50, "r-1", to={"2": 50}, payment_id="P-2"),
    )["2"]
    assert [one.refund_id for one in found.refunds] == ["r-2", "r-1"]


def test_when_and_by_what_a_refund_last_grew() -> None:
    first = o.refunded(100, "r-1", to={"2": 100})
    second = o.refunded(50, "r-1", to={"2": 50}, payment_id="P-2")
    order = o.fold(o.stated(o.A), o.captured(), first)
    order = o.fold(second, order=order, now=LATER)
    found = o.refund(o.by_number(o.line_standings(order, {}))["2"])
    assert (found.certain, found.added_at, found.cause) == (150, LATER, second.cause)


def test_a_payment_that_gives_back_more_than_it_brought_is_overdrawn() -> None:
    paid = o.stated(o.A, o.B), o.captured(500, "P-1", to={"2": 500}), o.captured(500, "P-2", to={"3": 500})
    found = o.standings(*paid, o.refunded(600, "r-1", payment_id="P-1", to={"2": 500, "3": 100}))
    assert o.refund(found["2"]).overdrawn
    assert o.refund(found["3"]).overdrawn
    found = o.standings(*paid, o.refunded(500, "r-1", payment_id="P-1", to={"2": 500}))
    assert not o.refund(found["2"]).overdrawn


def test_a_payment_is_overdrawn_by_what_it_brought_and_gave_back_in_the_order_s_currency() -> None:
    other = o.captured(1, "P-2", currency="EUR"), o.refunded(1, "r-1", to={"2": 1}, payment_id="P-2")
    assert o.refund(alone(*other)["2"], "r-1").overdrawn
    back = o.refunded(500, "r-1", to={"2": 500}), o.refunded(60, "r-2", to={"2": 60}, currency="EUR")
    assert not o.refund(o.standings(o.stated(o.A), o.captured(), *back)["2"], "r-1").overdrawn


def test_what_a_cancelled_line_was_charged_twice_is_its_own_and_no_goods_money() -> None:
    sale = o.stated(o.TELEVISION, o.A), o.captured(250, to={"1": 250}), o.captured(700, "P-2", to={"2": 700})
    left = o.cancelled("2", version=2, at=o.NOON + o.HOUR)
    found = o.standings(*sale, left, o.refunded(400, payment_id="P-2"))["2"]
    assert o.back(found) == 400


def test_refunds_in_another_currency_are_settled_by_a_capture_of_their_payment_once() -> None:
    paid = o.stated(o.A), o.captured(450, "P-9", currency="EUR")
    back = [o.refunded(300, name, payment_id="P-9", currency="EUR") for name in ("r-1", "r-2")]
    found = o.standings(*paid, *back)["2"]
    assert [(one.refund_id, one.certain) for one in found.refunds] == [("r-2", 150)]
