"""Which lines does a refund mean? Rules 1 to 6, each by example."""

from giftcert.domain.line_money import captured_for_line
from giftcert.domain.messages import Line, Message, OrderStated
from giftcert.domain.orders import record_order, record_payment
from giftcert.domain.refund_lines import RefundShares, refund_shares
from giftcert.domain.state import OrderFacts
from tests.unit.domain import factories as make

A, B, TELEVISION = make.gift("2"), make.gift("3"), make.goods("1")
LATER = make.NOON + make.HOUR


def told(*messages: Message) -> OrderFacts:
    facts = OrderFacts(order_id=make.ORDER)
    for message in messages:
        if isinstance(message, OrderStated) or hasattr(message, "order_version"):
            facts = record_order(facts, message)  # type: ignore[arg-type]
        else:
            facts = record_payment(facts, message, None)  # type: ignore[arg-type]
    return facts


def shares(*messages: Message, lines: tuple[Line, ...] = (TELEVISION, A, B)) -> RefundShares:
    total = sum(line.amount for line in lines)
    return refund_shares(told(make.ordered(*lines), make.captured(total), *messages))


def test_rule_1_allocated_refunds_go_to_their_lines() -> None:
    found = shares(make.refunded(600_000, to={"1": 100_000, "3": 500_000}))
    assert (found.of("1"), found.of("2"), found.of("3")) == (100_000, 0, 500_000)
    assert found.goods == 100_000
    assert not found.of(None)


def test_rule_1_what_a_refund_leaves_unallocated_is_spread_on() -> None:
    found = shares(make.refunded(600_000, to={"3": 500_000}))
    assert (found.of("3"), found.goods) == (500_000, 100_000)


def test_rule_2_refunds_that_equal_all_captures_mean_every_line_whole() -> None:
    found = shares(make.refunded(250_000), make.refunded(1_000_000))
    assert found.of_whole_order
    assert [found.of(line) for line in ("1", "2", "3")] == [250_000, 500_000, 500_000]


def test_rule_2_an_allocation_says_more_than_the_total() -> None:
    found = shares(make.refunded(1_250_000, to={"2": 600_000}))
    assert [found.of(line) for line in ("1", "2", "3")] == [250_000, 600_000, 500_000]


def test_rule_2_a_line_that_got_no_money_gets_none_back() -> None:
    found = refund_shares(told(make.ordered(TELEVISION, A), make.captured(200_000), make.refunded(200_000)))
    assert (found.of_whole_order, found.of("2")) == (True, 0)


def test_rule_3_a_refund_before_any_withdrawal_that_fits_the_goods_stays_with_goods() -> None:
    early = make.refunded(250_000, at=make.NOON)
    found = shares(early, make.returned("2", at=LATER))
    assert (found.goods, found.of("2"), found.of(None)) == (250_000, 0, 0)


def test_rule_3_what_allocations_gave_back_of_the_goods_is_not_there_again() -> None:
    found = shares(make.refunded(200_000, to={"1": 200_000}), make.refunded(100_000))
    assert (found.goods, found.of(None)) == (200_000, 100_000)


def test_rule_4_later_refunds_fill_withdrawn_lines_in_lineid_order() -> None:
    found = shares(make.returned("3", "2", at=make.NOON), make.refunded(700_000, "both", at=LATER))
    assert (found.of("2"), found.of("3")) == (500_000, 200_000)
    assert found.refund_ids("3") == ("both",)


def test_rule_4_withdrawn_goods_lack_no_more_than_was_captured_for_them() -> None:
    facts = told(make.ordered(TELEVISION, A), make.cancelled("1"), make.captured(600_000))
    facts = record_payment(facts, make.refunded(150_000, at=LATER), None)
    found = refund_shares(facts)
    assert (found.of("1"), found.of(None)) == (100_000, 50_000)


def test_rule_4_withdrawn_goods_count_with_their_amount() -> None:
    found = shares(make.returned("1", "2"), make.refunded(600_000, at=LATER))
    assert (found.of("1"), found.of("2"), found.goods) == (250_000, 350_000, 250_000)


def test_rule_4_a_refund_stays_with_the_line_withdrawn_before_it() -> None:
    """Otherwise a later return of another line would take over a refund that was carried out."""
    refund = make.refunded(500_000, at=make.NOON + make.MINUTE)
    found = shares(make.returned("3"), refund, make.returned("2", version=3, at=LATER))
    assert (found.of("2"), found.of("3")) == (0, 500_000)


def test_rule_4_a_refund_that_is_certificate_money_means_a_line_returned_later() -> None:
    refund = make.refunded(500_000)
    assert shares(refund).unassigned_for("2") == 500_000
    found = shares(refund, make.returned("3", at=LATER))
    assert (found.of("3"), found.of(None)) == (500_000, 0)


def test_rule_4_a_refund_stays_with_a_line_that_was_out_of_the_order_then_and_is_put_into_it_again() -> None:
    """Otherwise the next line that is removed would be refunded by it once more."""
    without = (make.ordered(TELEVISION, B, version=2, at=make.NOON), make.refunded(500_000, at=LATER))
    again = make.ordered(TELEVISION, A, B, version=3, at=LATER + make.HOUR)
    then = make.ordered(TELEVISION, A, version=4, at=LATER + 2 * make.HOUR)
    for messages in ((*without,), (*without, again), (*without, again, then)):
        found = shares(*messages)
        assert (found.of("2"), found.of("3"), found.of(None)) == (500_000, 0, 0)
    early, late = (
        make.refunded(500_000, at=make.NOON - make.MINUTE),
        make.refunded(500_000, at=again.occurred_at),
    )
    for refund in (early, late):
        assert shares(without[0], again, refund).of("2") == 0


def test_rule_3_goods_give_back_what_they_cost_once() -> None:
    found = shares(make.refunded(150_000), make.refunded(100_000), make.refunded(1))
    assert (found.goods, found.of(None)) == (250_000, 1)
    allocated = make.refunded(150_000, to={"1": 150_000}), make.refunded(50_000, to={"1": 50_000})
    found = shares(*allocated, make.refunded(50_000), make.refunded(1))
    assert (found.goods, found.of(None)) == (250_000, 1)


def test_rule_4_a_withdrawal_at_the_instant_of_the_refund_comes_first() -> None:
    found = shares(make.returned("2", at=LATER), make.refunded(250_000, at=LATER))
    assert (found.of("2"), found.goods) == (250_000, 0)


def test_rule_4_a_withdrawn_line_gets_no_more_than_it_still_lacks() -> None:
    part = make.refunded(200_000, to={"3": 200_000})
    found = shares(make.cancelled("3", "2"), part, make.refunded(600_000, at=LATER))
    assert (found.of("2"), found.of("3"), found.goods) == (500_000, 300_000, 0)


def test_rule_6_a_line_that_was_given_more_than_its_price_may_lack_that_too() -> None:
    paid = make.captured(600_000, to={"2": 600_000}), make.captured(500_000, to={"3": 500_000})
    back = make.refunded(500_000, to={"2": 500_000}), make.refunded(150_000)
    assert refund_shares(told(make.ordered(A, B), *paid, *back)).candidates == ("2", "3")


def test_rule_5_what_withdrawn_lines_do_not_lack_is_for_goods() -> None:
    found = shares(make.cancelled("2"), make.refunded(600_000, at=LATER))
    assert (found.of("2"), found.goods, found.of(None)) == (500_000, 100_000, 0)


def test_rule_5_a_line_withdrawn_unpaid_has_no_money_in_the_captures() -> None:
    facts = told(make.ordered(TELEVISION, A), make.cancelled("2"), make.captured(250_000))
    facts = record_payment(facts, make.refunded(100_000, at=LATER), None)
    assert refund_shares(facts).goods == 100_000


def test_rule_6_the_rest_must_be_certificate_money_of_lines_that_lack_some() -> None:
    found = shares(make.refunded(500_000, "first", to={"2": 500_000}), make.refunded(300_000, "second"))
    assert found.of(None) == 300_000
    assert found.candidates == ("3",)
    assert (found.unassigned_for("2"), found.unassigned_for("3")) == (0, 300_000)
    assert (found.refund_ids("2"), found.refund_ids("3")) == (("first",), ("second",))


def test_refunds_in_another_currency_are_left_out() -> None:
    found = shares(make.refunded(1_250_000, currency="EUR"))
    assert found.shares == []


def test_every_certificate_of_the_order_gets_the_same_answer() -> None:
    messages = (make.captured(1_250_000), make.returned("3"), make.refunded(600_000, "r", at=LATER))
    answers = [
        refund_shares(told(make.ordered(TELEVISION, A, B, own=own), *messages)) for own in ("2", "3", None)
    ]
    assert answers[0] == answers[1] == answers[2]


def test_a_repeated_refund_is_counted_once_by_its_refund_id() -> None:
    found = shares(make.refunded(100_000, "same"), make.refunded(100_000, "same"))
    assert found.goods == 100_000


def test_what_a_removed_line_was_given_does_not_reach_the_total_of_a_cancelled_order() -> None:
    paid = make.captured(500_000, to={"2": 500_000}), make.captured(100_000, to={"3": 100_000})
    facts = told(make.ordered(A, B), *paid, make.ordered(B, own="3", version=2), make.cancelled(version=3))
    assert captured_for_line(facts, "3") == 100_000
    assert (
        captured_for_line(told(make.ordered(A, B), make.captured(1_000_000), make.cancelled()), "3")
        == 500_000
    )


def test_nothing_is_captured_for_a_line_that_the_order_never_had() -> None:
    assert captured_for_line(told(make.ordered(), make.captured(to={"9": 500_000})), "9") == 0
