"""Rows of the Sale table in which the own order changes: repriced, replaced, cancelled, removed, returned."""

import pytest

from giftcert.domain import events as e
from giftcert.domain import messages as m
from giftcert.domain.state import RefundState, Status
from tests.unit.domain import factories as make
from tests.unit.domain.certificates import issued, reserved, sold, spendable

BOTH = (make.goods(), make.gift())


def test_a_price_changed_before_issue_is_judged_anew() -> None:
    found = sold().tell(make.captured(450_000))
    assert found.status == Status.ORDERED
    found.tell(make.ordered(make.gift(amount=450_000), version=2))
    assert found.status == Status.ISSUED
    assert found.only(e.Issued).amount == 450_000


def test_a_nominal_changed_before_issue_is_what_the_certificate_is_worth() -> None:
    found = reserved(state=make.certificate(make.OPEN_VALUE), terms=make.terms(make.OPEN_VALUE))
    found.tell(make.ordered(make.gift(amount=300_000), nominal=300_000))
    found.tell(make.ordered(make.gift(amount=300_000), nominal=350_000, version=2), make.captured(300_000))
    assert found.state.balance == 350_000


def test_a_price_out_of_bounds_is_refused_and_the_old_one_stands() -> None:
    found = sold().tell(make.ordered(make.gift(amount=100), version=2))
    assert found.only(e.OrderConflicted).reason == "amountOutOfBounds"
    assert found.sale.amount == 500_000
    assert found.tell(make.captured(100)).status == Status.ORDERED
    assert found.tell(make.captured(500_000, to={"2": 500_000})).only(e.Issued).amount == 500_000


def test_price_and_nominal_stand_once_issued() -> None:
    found = issued().tell(make.ordered(make.gift(amount=450_000), version=2))
    assert found.told == ["error.orderConflict"]
    assert found.only(e.OrderConflicted).reason == "alreadyIssued"
    assert (found.status, found.sale.amount) == (Status.ISSUED, 500_000)


def test_a_line_that_names_another_certificate_lets_the_old_one_go() -> None:
    found = sold().tell(make.captured(100_000), make.ordered(own=None, version=2))
    assert found.status == Status.AVAILABLE
    assert found.told == ["issue.released"]
    assert found.only(e.Released).reason == e.ReleaseReason.LINE_REMOVED
    assert found.tell(make.captured(400_000)).told == []  # its money is the new certificate's


def test_the_replacing_certificate_finds_the_money_of_the_line() -> None:
    new = reserved().tell(make.ordered(own=None), make.captured(), make.ordered(version=2, replaces="old"))
    assert new.status == Status.ISSUED
    assert new.all(e.Ordered)[0].replaces == "old"


def test_a_refund_case_goes_with_the_line_to_the_replacing_certificate() -> None:
    found = sold().tell(make.captured(300_000), make.refunded(100_000, to={"2": 100_000}))
    assert found.case.is_open
    found.tell(make.ordered(own=None, version=2))
    assert found.told == ["refund.resolved", "issue.released"]
    assert found.only(e.RefundResolved).resolved_by == "system"
    assert not found.case.is_open
    new = reserved().tell(make.ordered(own=None), make.captured(300_000))
    new.tell(make.refunded(100_000, to={"2": 100_000}), make.ordered(version=2))
    assert new.case.is_open


def test_a_late_refund_case_of_a_past_sale_ends_when_the_line_names_another_certificate() -> None:
    found = sold().wait(3 * make.DAY)
    assert found.status == Status.AVAILABLE
    found.tell(make.refunded(500_000))
    assert found.case.state == RefundState.AWAITING_CAPTURE
    found.tell(make.ordered(own=None, version=2))
    assert found.told == ["refund.resolved"]


def test_an_issued_certificate_stays_when_its_line_names_another() -> None:
    found = issued().tell(make.ordered(own=None, version=2))
    assert (found.told, found.status) == ([], Status.ISSUED)


def test_a_line_that_becomes_goods_lets_the_certificate_go() -> None:
    found = sold().tell(make.ordered(make.goods("2", 500_000), own=None, version=2))
    assert found.only(e.Released).reason == e.ReleaseReason.LINE_REMOVED


CANCELLATIONS = [
    (make.cancelled(), e.ReleaseReason.ORDER_CANCELLED),
    (make.cancelled("2"), e.ReleaseReason.ORDER_CANCELLED),
    (make.returned("2"), e.ReleaseReason.ORDER_CANCELLED),
    (make.ordered(make.goods(), own=None, version=2), e.ReleaseReason.LINE_REMOVED),
]
WITHDRAWALS = [message for message, _ in CANCELLATIONS]


@pytest.mark.parametrize(("message", "reason"), CANCELLATIONS)
def test_an_unpaid_line_that_is_withdrawn_goes_back_to_the_pool(
    message: m.OrderMessage, reason: e.ReleaseReason
) -> None:
    found = sold(*BOTH).tell(message)
    assert found.status == Status.AVAILABLE
    assert found.told == ["issue.released"]
    assert found.only(e.Released).reason == reason


@pytest.mark.parametrize("message", WITHDRAWALS)
def test_a_line_paid_in_part_that_is_withdrawn_waits_for_its_refund(message: m.OrderMessage) -> None:
    found = sold(*BOTH).tell(make.captured(300_000, to={"2": 300_000}), message)
    assert (found.status, found.told) == (Status.ORDERED, ["refund.requested"])
    assert found.only(e.RefundRequested).amount == 300_000
    found.tell(make.refunded(300_000, to={"2": 300_000}))
    assert found.status == Status.AVAILABLE
    assert found.told == ["refund.completed", "issue.released"]
    assert found.only(e.RefundCompleted).before_issue
    assert found.only(e.Released).reason == e.ReleaseReason.REFUNDED_BEFORE_ISSUE


@pytest.mark.parametrize("message", WITHDRAWALS)
def test_an_issued_line_that_is_withdrawn_stops_spending_and_waits_for_its_refund(
    message: m.OrderMessage,
) -> None:
    found = issued(*BOTH).tell(message)
    assert (found.status, found.told) == (Status.ISSUED, ["refund.requested"])
    requested = found.only(e.RefundRequested)
    assert (requested.amount, requested.refund_id) == (500_000, None)
    assert found.state.refund_state == RefundState.REQUESTED
    assert not spendable(found)
    found.tell(make.refunded(500_000, to={"2": 500_000}))
    assert found.status == Status.REFUNDED
    assert found.state.balance == 0


def test_the_goods_of_the_order_may_be_cancelled_without_touching_the_certificate() -> None:
    for message in (make.cancelled("1"), make.returned("1"), make.ordered(make.gift(), version=2)):
        found = issued(*BOTH).tell(message)
        assert (found.told, found.status) == ([], Status.ISSUED)


def test_a_certificate_is_paid_by_what_is_left_of_the_order() -> None:
    found = sold(*BOTH).tell(make.captured(500_000), make.cancelled("1"))
    assert found.status == Status.ISSUED


def test_money_given_to_a_line_that_was_cancelled_pays_for_no_other() -> None:
    two = (make.gift("2"), make.gift("3"))
    found = sold(*two).tell(make.captured(500_000, to={"3": 500_000}))
    for message in (make.cancelled("3"), make.ordered(make.gift("2"), version=3)):
        assert found.tell(message).status == Status.ORDERED


def test_money_that_went_back_for_a_cancelled_line_pays_for_no_other() -> None:
    found = sold(make.goods(amount=500_000), make.gift()).tell(make.captured(800_000))
    found.tell(make.cancelled("1"))
    assert found.status == Status.ISSUED
    found = sold(make.goods(amount=500_000), make.gift())
    found.tell(make.captured(800_000), make.refunded(400_000), make.cancelled("1"))
    assert found.status == Status.ORDERED


def test_a_line_removed_and_put_back_is_sold_again() -> None:
    found = sold(*BOTH).tell(make.ordered(make.goods(), own=None, version=2))
    found.tell(make.ordered(*BOTH, version=3), make.captured(750_000))
    assert found.status == Status.ISSUED


def test_nothing_is_captured_for_a_cancelled_line_by_a_smaller_total_later() -> None:
    found = sold(*BOTH).tell(make.captured(250_000), make.cancelled("2"))
    assert found.told == ["issue.released"]
    found.tell(make.ordered(make.goods(), own=None, version=3))
    assert found.told == []


def test_a_certificate_cancelled_twice_is_released_once() -> None:
    found = sold(*BOTH).tell(make.cancelled("2"), make.cancelled(version=3))
    assert found.told == []
    assert [type(event) for event in found.public()].count(e.Released) == 1
