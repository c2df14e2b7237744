"""The refund table, first match wins, as far as nothing is spent."""

import pytest

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.state import RefundState, Status
from giftcert.domain.certificate.words import Awaited, RefundReason
from giftcert.domain.order import messages as o
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import (
    Certificate,
    issued,
    pending,
    reserved,
    sold,
    spendable,
    spent,
)

BOTH = (make.goods(), make.gift())
TO_THE_LINE = {"2": 500_000}


def test_the_whole_price_back_refunds_the_certificate() -> None:
    found = issued().tell(make.refunded(refund_id="refund-1"))
    assert (found.status, found.published) == (Status.REFUNDED, ["refund.completed"])
    event = found.only(e.RefundCompleted)
    assert (event.refund_id, event.amount, event.taken, event.uncovered) == ("refund-1", 500_000, 500_000, 0)
    assert not event.before_issue
    assert (found.state.balance, found.state.refund_state) == (0, RefundState.COMPLETED)


def test_a_discounted_certificate_is_refunded_at_its_price_and_loses_its_nominal() -> None:
    found = reserved().tell(make.ordered(make.gift(amount=400_000)), make.captured(400_000))
    event = found.tell(make.refunded(400_000)).only(e.RefundCompleted)
    assert (event.amount, event.taken) == (400_000, 500_000)


def test_several_refunds_reach_the_price_together() -> None:
    found = issued(*BOTH).tell(make.refunded(200_000, "r-1", to={"2": 200_000}))
    assert (found.published, found.status) == (["refund.requested"], Status.ISSUED)
    case = found.case.refund_case_id
    found.tell(make.refunded(300_000, "r-2", to={"2": 300_000}))
    event = found.only(e.RefundCompleted)
    assert (event.refund_case_id, event.refund_id, event.amount) == (case, "r-2", 500_000)


def test_a_repeated_refund_changes_nothing() -> None:
    found = issued().tell(make.refunded(refund_id="r-1"))
    assert found.tell(make.refunded(refund_id="r-1")).last == ()


def test_the_certificate_sold_in_another_currency_than_its_refund_asks_a_person() -> None:
    found = issued().tell(make.refunded(currency="EUR", refund_id="r-eur"))
    assert pending(found) == RefundReason.CURRENCY_MISMATCH
    event = found.only(e.RefundPendingDetails)
    assert (event.refund_id, event.allowed_decisions) == ("r-eur", ("approve", "reject"))
    assert event.web_url == "http://web/certificate"


def test_money_in_another_currency_is_not_added_to_the_order_s_own() -> None:
    found = issued().tell(make.refunded(100, currency="EUR", to={"2": 100}), make.refunded())
    assert (pending(found), found.case.amount) == (RefundReason.CURRENCY_MISMATCH, 500_000)


def test_a_refund_in_another_currency_allocated_elsewhere_does_not_mean_the_certificate() -> None:
    found = issued(*BOTH).tell(make.refunded(100, currency="EUR", to={"1": 100}))
    assert found.published == []


@pytest.mark.parametrize(
    "message", [make.cancelled(), make.returned(), make.ordered(make.goods(), own=None, version=2)]
)
def test_a_free_certificate_that_is_withdrawn_is_refunded_with_nothing(message: o.OrderVersion) -> None:
    found = reserved(terms=make.terms(make.FREE)).tell(
        make.ordered(make.gift(amount=0), make.goods()), message
    )
    assert found.status == Status.REFUNDED
    event = found.only(e.RefundCompleted)
    assert (event.amount, event.taken) == (0, 500_000)


def test_a_free_certificate_that_was_spent_asks_a_person() -> None:
    found = reserved(terms=make.terms(make.FREE)).tell(make.ordered(make.gift(amount=0)))
    found.tell(make.hold(), make.spending())
    assert pending(found.tell(make.returned())) == RefundReason.CERTIFICATE_REDEEMED


def test_a_free_certificate_that_expired_is_refunded_with_nothing() -> None:
    found = reserved(terms=make.terms(make.FREE)).tell(make.ordered(make.gift(amount=0))).wait(365 * make.DAY)
    found.tell(make.returned())
    assert (found.status, found.published) == (Status.REFUNDED, ["refund.completed"])
    assert (found.only(e.RefundCompleted).amount, found.only(e.RefundCompleted).taken) == (0, 0)


def test_money_back_that_was_never_captured_waits_a_day_for_its_capture() -> None:
    found = (
        reserved(terms=make.terms(make.FREE))
        .tell(make.ordered(make.gift(amount=0)))
        .tell(make.refunded(100, to={"2": 100}))
    )
    assert found.case.state == RefundState.AWAITING_CAPTURE
    assert pending(found.wait(make.DAY)) == RefundReason.NOT_CAPTURED


def test_more_back_than_was_captured_asks_a_person() -> None:
    found = issued().tell(make.refunded(600_000))
    assert found.case.state == RefundState.REQUESTED  # names no line
    found = issued().tell(make.refunded(600_000, to={"2": 600_000}))
    assert pending(found) == RefundReason.EXCEEDS_CAPTURED


def test_money_back_beyond_the_price_asks_a_person_as_more_than_captured() -> None:
    found = issued().tell(make.refunded(), make.refunded(100, to={"2": 100}))
    assert found.status == Status.REFUNDED
    assert found.only(e.RefundPendingDetails).reason == RefundReason.EXCEEDS_CAPTURED


def test_of_two_sales_that_came_to_nothing_a_late_refund_is_of_its_own() -> None:
    found = sold().wait(3 * make.DAY)
    found.tell(make.reserve("R-2"), make.ordered(order_id="IM-2", reservation_id="R-2")).wait(3 * make.DAY)
    found.tell(make.refunded(100, order_id="IM-2", to={"2": 100}))
    assert [len(sale.cases) for sale in found.state.past_sales] == [0, 1]


TWICE = make.captured(1_000_000, to={"2": 1_000_000})


def test_a_refund_of_what_was_captured_twice_gives_back_what_was_too_much_and_nothing_follows() -> None:
    found = sold().tell(TWICE)
    assert found.published == ["issue.completed", "notification.requested"]
    found.tell(make.refunded(to=TO_THE_LINE))
    assert (found.last, found.status, spendable(found)) == ((), Status.ISSUED, True)
    found = issued().tell(make.captured(payment_id="P-2"), make.refunded(payment_id="P-2"))
    assert (found.last, spendable(found)) == ((), True)


def test_captured_twice_and_refunded_before_it_was_looked_at_is_issued() -> None:
    found = reserved().hear(make.ordered(), TWICE, make.refunded(to=TO_THE_LINE))
    assert found.published == ["issue.ordered", "issue.completed", "notification.requested"]


def test_a_price_captured_twice_and_refunded_twice_is_refunded_once() -> None:
    found = sold().tell(TWICE, make.refunded(to=TO_THE_LINE), make.refunded(refund_id="r-2", to=TO_THE_LINE))
    event = found.only(e.RefundCompleted)
    assert (event.amount, event.excess, event.taken, event.refund_id) == (1_000_000, 500_000, 500_000, "r-2")
    assert found.status == Status.REFUNDED


def test_what_is_back_beyond_what_was_too_much_waits_for_the_rest_of_the_price() -> None:
    found = sold().tell(TWICE, make.refunded(700_000, to={"2": 700_000}))
    assert (found.published, found.case.amount) == (["refund.requested"], 700_000)
    assert pending(found.wait(7 * make.DAY)) == RefundReason.AMOUNT_MISMATCH


def test_what_was_too_much_counts_for_nothing_when_the_rest_of_the_price_comes_back() -> None:
    found = sold().tell(TWICE, make.refunded(700_000, "r-1", to={"2": 700_000}))
    found.tell(make.resolve(found.case.refund_case_id))
    event = found.only(e.RefundCompleted)
    assert (event.amount, event.excess, event.taken) == (700_000, 500_000, 200_000)
    found.tell(make.refunded(300_000, "r-2", to={"2": 300_000}))
    event = found.only(e.RefundCompleted)
    assert (event.amount, event.excess, event.taken, found.status) == (300_000, 0, 300_000, Status.REFUNDED)


def test_all_that_was_captured_for_a_withdrawn_line_is_owed() -> None:
    found = sold().tell(TWICE)
    assert found.tell(make.returned()).only(e.RefundRequested).amount == 1_000_000
    found.tell(make.refunded(to=TO_THE_LINE))
    event = found.only(e.RefundRequested)
    assert (event.amount, event.awaiting) == (500_000, Awaited.PAYMENT)
    assert found.tell(make.refunded(to=TO_THE_LINE)).only(e.RefundCompleted).excess == 500_000


def test_money_that_comes_for_a_refunded_certificate_is_told_once_for_each_rise() -> None:
    found = issued().tell(make.refunded(), make.captured(200_000, "P-2"))
    alert = found.only(e.PaymentWithoutCertificateAlerted)
    assert (alert.amount, alert.reason) == (200_000, "certificateRefunded")
    assert found.tell(make.ordered(version=2)).published == []
    found.tell(make.captured(300_000, "P-3"))
    assert found.only(e.PaymentWithoutCertificateAlerted).amount == 500_000


def test_money_that_comes_for_a_refunded_certificate_and_goes_back_asks_a_person() -> None:
    found = issued().tell(make.refunded(), make.captured(payment_id="P-2"))
    found.tell(make.refunded(payment_id="P-2", to=TO_THE_LINE))
    assert found.only(e.RefundPendingDetails).reason == RefundReason.ALREADY_REFUNDED
    found.tell(make.resolve(found.case.refund_case_id))
    event = found.only(e.RefundCompleted)
    assert (event.amount, event.excess, event.taken, event.uncovered) == (500_000, 500_000, 0, 0)
    again = found.tell(make.captured(payment_id="P-4")).only(e.PaymentWithoutCertificateAlerted)
    assert again.amount == 500_000


def test_money_that_comes_for_a_withdrawn_line_after_its_refund_has_to_go_back() -> None:
    found = issued().tell(make.returned(), make.refunded(), make.captured(200_000, "P-2"))
    assert found.published == ["refund.requested"]
    assert (found.case.amount, found.status) == (200_000, Status.REFUNDED)


def test_the_refund_of_an_expired_certificate_asks_a_person() -> None:
    found = issued().wait(365 * make.DAY)
    assert found.status == Status.EXPIRED
    found.tell(make.refunded())
    assert found.only(e.RefundPendingDetails).reason == RefundReason.CERTIFICATE_EXPIRED


def test_the_refund_of_a_blocked_certificate_waits_and_is_carried_out_when_unblocked() -> None:
    found = issued().tell(make.block(), make.refunded())
    assert pending(found) == RefundReason.CERTIFICATE_BLOCKED
    found.tell(make.unblock())
    assert (found.published, found.status) == (["audit.unblocked", "refund.completed"], Status.REFUNDED)


def test_the_refund_of_a_certificate_with_an_open_hold_asks_a_person() -> None:
    found = issued().tell(make.hold())
    assert pending(found.tell(make.refunded())) == RefundReason.REDEMPTION_IN_PROGRESS


def test_the_refund_of_a_spent_certificate_asks_a_person() -> None:
    found = spent(100_000)
    assert pending(found.tell(make.refunded())) == RefundReason.CERTIFICATE_REDEEMED


def test_less_than_the_price_back_asks_a_person_after_seven_days() -> None:
    found = issued(*BOTH).tell(make.refunded(200_000, to={"2": 200_000})).wait(7 * make.DAY - make.MINUTE)
    assert found.published == []
    assert pending(found.wait(make.MINUTE)) == RefundReason.AMOUNT_MISMATCH


def test_each_further_part_gives_the_rest_seven_days_again() -> None:
    found = issued(*BOTH).tell(make.refunded(200_000, to={"2": 200_000})).wait(6 * make.DAY)
    found.tell(make.refunded(100_000, to={"2": 100_000})).wait(6 * make.DAY)
    assert found.published == []
    assert pending(found.wait(make.DAY)) == RefundReason.AMOUNT_MISMATCH


def test_a_block_does_not_give_the_rest_more_time() -> None:
    part = make.refunded(200_000, to={"2": 200_000})
    found = issued(*BOTH).tell(part).wait(make.DAY).tell(make.block())
    assert pending(found) == RefundReason.CERTIFICATE_BLOCKED
    found.wait(4 * make.DAY).tell(make.unblock())
    assert found.published == ["audit.unblocked", "refund.requested"]
    assert pending(found.wait(2 * make.DAY)) == RefundReason.AMOUNT_MISMATCH


def test_what_waits_for_its_rest_asks_a_person_when_validity_ends() -> None:
    found = issued(*BOTH).wait(364 * make.DAY).tell(make.refunded(200_000, to={"2": 200_000}))
    assert found.case.state == RefundState.REQUESTED
    found.wait(make.DAY)
    assert found.published == ["audit.expired", "refund.pendingDetails"]
    assert found.case.reason == RefundReason.CERTIFICATE_EXPIRED


def test_a_rest_that_is_overdue_is_asked_about_again_when_unblocked() -> None:
    found = issued(*BOTH).tell(make.refunded(200_000, to={"2": 200_000})).wait(7 * make.DAY)
    found.tell(make.block(), make.unblock())
    assert pending(found) == RefundReason.AMOUNT_MISMATCH


def test_a_returned_line_without_refund_payment_asks_a_person_after_seven_days() -> None:
    found = issued(*BOTH).tell(make.returned()).wait(7 * make.DAY)
    assert pending(found) == RefundReason.REFUND_PAYMENT_MISSING
    found.tell(make.refunded(to=TO_THE_LINE))
    assert found.status == Status.REFUNDED


def test_a_refund_of_the_television_never_freezes_the_gift() -> None:
    found = issued(*BOTH).tell(make.refunded(250_000))
    assert found.published == []
    assert spendable(found)


def test_the_television_s_refund_is_not_named_as_that_of_the_gift_returned_later() -> None:
    found = issued(*BOTH).tell(make.refunded(250_000, "tv"))
    found.tell(make.returned(at=make.NOON + make.HOUR))
    assert found.only(e.RefundRequested).refund_id is None


def test_certificate_money_back_without_allocation_freezes_the_lines_it_may_mean() -> None:
    found = issued(make.gift("2"), make.gift("3")).tell(make.refunded())
    assert (found.published, spendable(found)) == (["refund.requested"], False)
    assert pending(found.wait(make.DAY)) == RefundReason.ALLOCATION_MISSING


def test_one_refund_of_two_returned_lines_is_carried_out_for_one_only() -> None:
    two = (make.gift("2"), make.gift("3"))
    messages: tuple[m.Message, ...] = (
        make.captured(1_000_000),
        make.returned("3"),
        make.refunded(500_000, at=make.NOON + make.MINUTE),
        make.returned("2", version=3, at=make.NOON + make.HOUR),
    )
    second = sold(*two).tell(*messages)
    third = reserved().tell(make.ordered(*two, own="3"), *messages)
    assert (second.status, third.status) == (Status.ISSUED, Status.REFUNDED)
    assert second.case.state == RefundState.REQUESTED


def test_a_later_refund_of_the_whole_order_leaves_what_is_refunded_as_it_is() -> None:
    found = issued(make.gift("2"), make.gift("3")).tell(make.returned(), make.refunded(500_000))
    assert found.status == Status.REFUNDED
    assert found.tell(make.refunded(500_000)).published == []


# In parts -----------------------------------------------------------------------------------------


def test_one_refund_over_two_payments_is_one_sum_whichever_part_comes_first() -> None:
    parts = [
        make.refunded(amount, "r-1", to={"2": amount}, payment_id=payment_id)
        for amount, payment_id in ((300_000, "P-1"), (200_000, "P-2"))
    ]
    for first, second in (parts, parts[::-1]):
        found = sold().tell(make.captured(300_000, "P-1"), make.captured(200_000, "P-2"))
        assert found.status == Status.ISSUED
        found.tell(first)
        assert (found.published, found.case.amount) == (["refund.requested"], first.amount)
        found.tell(second)
        event = found.only(e.RefundCompleted)
        assert (event.refund_id, event.amount, found.status) == ("r-1", 500_000, Status.REFUNDED)
        assert len(found.sale.cases) == 1


def test_a_part_of_a_refund_in_another_currency_asks_a_person_whichever_part_comes_first() -> None:
    own = make.refunded(300_000, "r-1", to={"2": 300_000})
    foreign = make.refunded(2_000, "r-1", to={"2": 2_000}, payment_id="P-2", currency="EUR")
    for first, second in ((own, foreign), (foreign, own)):
        found = issued().tell(first, second)
        assert pending(found) == RefundReason.CURRENCY_MISMATCH
        assert (found.case.refund_id, found.case.amount, found.case.foreign_currency) == (
            "r-1",
            300_000,
            None,
        )


def test_capture_refund_and_return_looked_at_once_refund_it() -> None:
    found = sold().hear(make.captured(), make.refunded(to=TO_THE_LINE))
    assert found.published == ["refund.completed", "issue.released"]
    assert found.all(e.NotificationRequested) == []


def test_a_case_knows_since_when_it_is_open_whatever_became_of_it() -> None:
    found = issued().tell(make.block(), make.refunded(100_000, to={"2": 100_000}))
    assert found.case.state == RefundState.PENDING_DETAILS
    found.clock += make.HOUR
    found.tell(make.unblock())
    assert (found.case.state, found.case.opened_at) == (RefundState.REQUESTED, make.NOON)


def of_price(price: int) -> Certificate:
    return reserved(terms=make.terms(make.FREE)).tell(make.ordered(make.gift(amount=price)))


def test_the_smallest_money_back_after_issue_is_judged_like_any() -> None:
    one, again = make.refunded(1, to={"2": 1}), make.refunded(1, payment_id="P-2", to={"2": 1})
    waits = of_price(0).tell(one).only(e.RefundRequested)
    assert (waits.awaiting, waits.amount) == (Awaited.CAPTURE, 1)
    asks = issued().tell(again).only(e.RefundPendingDetails)
    assert (asks.reason, asks.amount) == (RefundReason.EXCEEDS_CAPTURED, 1)
    found = of_price(1).tell(make.captured(1), make.refunded(1))
    assert found.status == Status.REFUNDED
    asks = found.tell(make.captured(1, "P-2"), again).only(e.RefundPendingDetails)
    assert (asks.reason, asks.amount) == (RefundReason.ALREADY_REFUNDED, 1)


def test_the_smallest_money_of_a_return_is_awaited_like_any() -> None:
    assert of_price(1).tell(make.captured(1), make.returned()).only(e.RefundRequested).amount == 1
    found = issued().tell(make.refunded(), make.captured(1, "P-2", to={"2": 1}))
    assert found.only(e.PaymentWithoutCertificateAlerted).amount == 1
    assert found.tell(make.returned()).only(e.RefundRequested).amount == 1


def test_money_back_of_what_a_free_line_was_charged_is_no_refund_of_it() -> None:
    found = of_price(0).tell(make.captured(1, to={"2": 1}), make.refunded(1, to={"2": 1}))
    assert (found.published, found.status) == ([], Status.ISSUED)


def test_a_return_of_a_line_whose_money_is_all_back_awaits_nothing() -> None:
    found = issued().tell(make.block(), make.refunded())
    found.tell(make.resolve(found.case.refund_case_id, "reject"), make.returned())
    assert (found.published, found.status) == ([], Status.ISSUED)
