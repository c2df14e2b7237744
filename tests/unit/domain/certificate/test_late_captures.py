"""Rows of the Sale table for money that comes after the certificate was released."""

import pytest

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.evolve import fold
from giftcert.domain.certificate.state import RefundState, Status
from giftcert.domain.certificate.words import RefundReason, ReleaseReason
from giftcert.domain.order import messages as o
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, reserved, sold

BOTH = (make.goods(), make.gift())


def given_up(*lines: o.OrderLine) -> Certificate:
    return sold(*lines).wait(3 * make.DAY)


def test_late_money_takes_a_free_certificate_back_and_issues_it() -> None:
    found = given_up().tell(make.captured())
    assert found.status == Status.ISSUED
    assert found.published == ["issue.ordered", "issue.completed", "notification.requested"]
    event = found.only(e.Ordered)
    assert (event.reclaimed, event.amount, event.line_id) == (True, 500_000, "2")
    assert found.state.past_sales == ()


def test_late_money_for_a_part_takes_it_back_and_waits_for_the_rest() -> None:
    assert given_up().tell(make.captured(1)).published == ["issue.ordered"]
    found = given_up().tell(make.captured(200_000))
    assert found.published == ["issue.ordered"]
    assert found.tell(make.captured(300_000)).status == Status.ISSUED


def test_late_money_for_the_goods_alone_takes_nothing_back() -> None:
    found = given_up(*BOTH).tell(make.captured(250_000))
    assert (found.published, found.status) == ([], Status.AVAILABLE)


def test_late_money_for_a_certificate_reserved_by_another_is_reported() -> None:
    found = given_up().tell(make.reserve("R-2"), make.captured(200_000))
    assert (found.status, found.published) == (Status.RESERVED, ["alert.paymentWithoutCertificate"])
    assert found.only(e.PaymentWithoutCertificateAlerted).amount == 200_000
    assert found.tell(make.authorized()).published == []
    assert found.tell(make.captured(300_000)).only(e.PaymentWithoutCertificateAlerted).amount == 500_000


def test_late_money_for_a_certificate_sold_to_another_is_reported_and_the_buyer_keeps_it() -> None:
    found = given_up().tell(make.reserve("R-2"))
    found.tell(make.ordered(order_id="IM-2", reservation_id="R-2"), make.captured(order_id="IM-2"))
    assert found.status == Status.ISSUED
    assert found.tell(make.captured()).published == ["alert.paymentWithoutCertificate"]
    assert found.status == Status.ISSUED
    assert found.sale.order_id == "IM-2"


def test_late_money_for_a_blocked_certificate_is_reported_and_unblocking_does_not_take_it_back() -> None:
    found = given_up().tell(make.block(), make.captured())
    assert found.published == ["alert.paymentWithoutCertificate"]
    found.tell(make.unblock())
    assert (found.published, found.status) == (["audit.unblocked"], Status.AVAILABLE)


def test_money_that_was_reported_does_not_take_the_certificate_back_when_it_is_free_again() -> None:
    found = given_up().tell(make.reserve("R-2"), make.captured(), make.given_back("R-2"))
    assert (found.look_again().last, found.status) == ((), Status.AVAILABLE)


def test_late_money_of_a_line_that_was_refused_meanwhile_is_reported_with_that_reason() -> None:
    found = given_up().tell(make.ordered(make.gift(amount=1), version=2))
    assert found.published == ["error.orderConflict"]
    found.tell(make.captured(500_000, to={"2": 500_000}))
    assert found.published == ["alert.paymentWithoutCertificate"]
    assert found.only(e.PaymentWithoutCertificateAlerted).reason == "amountOutOfBounds"


def test_money_that_was_told_of_one_line_is_told_of_another_too() -> None:
    found = given_up().tell(
        make.ordered(make.gift(amount=1), order_id="IM-2", version=2), make.reserve("R-3")
    )
    found.tell(make.captured(100, order_id="IM-2", to={"2": 100}))
    assert found.only(e.PaymentWithoutCertificateAlerted).order_id == "IM-2"
    assert found.tell(make.captured(100)).only(e.PaymentWithoutCertificateAlerted).order_id == make.ORDER
    found = given_up().tell(
        make.ordered(make.gift(amount=1), order_id="IM-2", version=2), make.reserve("R-3")
    )
    found.tell(make.captured(100))
    assert found.only(e.PaymentWithoutCertificateAlerted).order_id == make.ORDER
    found.tell(make.captured(1, order_id="IM-2"))
    assert found.only(e.PaymentWithoutCertificateAlerted).order_id == "IM-2"


def test_money_for_a_cancelled_line_never_issues_and_waits_for_its_refund() -> None:
    found = sold(*BOTH).tell(make.cancelled(), make.captured(750_000))
    assert (found.status, found.published) == (Status.AVAILABLE, ["refund.requested"])
    requested = found.only(e.RefundRequested)
    assert (requested.amount, requested.line_id) == (500_000, "2")
    assert found.state.refund_state == RefundState.NONE  # the case is of a past sale and freezes nothing
    assert found.state.any_refund_state == RefundState.REQUESTED
    found.tell(make.refunded(750_000))
    assert found.published == ["refund.completed"]
    assert found.status == Status.AVAILABLE


def test_money_of_a_cancelled_line_that_does_not_go_back_is_reported_after_seven_days() -> None:
    found = sold().tell(make.cancelled(), make.captured()).wait(7 * make.DAY)
    assert found.published == ["alert.cancelledWithoutRefund", "refund.pendingDetails"]
    assert found.only(e.RefundPendingDetails).reason == RefundReason.REFUND_PAYMENT_MISSING


def test_how_long_money_of_a_cancelled_line_is_awaited_can_be_set() -> None:
    terms = make.terms(cancelled_without_refund_after=make.DAY)
    released = sold(terms=terms).tell(make.cancelled(), make.captured())
    never_taken = Certificate(terms=terms).hear(make.ordered(), make.captured(), make.cancelled())
    for found in (released, never_taken):
        assert found.wait(make.DAY).published == ["alert.cancelledWithoutRefund", "refund.pendingDetails"]


def test_a_refund_of_an_earlier_sale_runs_on_under_its_own_order_and_freezes_nothing() -> None:
    found = sold().tell(make.cancelled(), make.captured(), make.reserve("R-2"))
    found.tell(make.ordered(order_id="IM-2", reservation_id="R-2"), make.captured(order_id="IM-2"))
    assert (found.status, found.state.refund_state) == (Status.ISSUED, RefundState.NONE)
    found.tell(make.refunded())
    assert found.only(e.RefundCompleted).order_id == make.ORDER
    assert (found.status, found.state.balance) == (Status.ISSUED, 500_000)


def test_a_line_paid_again_after_its_refund_is_issued_and_can_be_refunded_again() -> None:
    for to in (None, {"2": 500_000}):
        found = sold().tell(make.captured(300_000), make.refunded(300_000))
        assert found.status == Status.AVAILABLE
        found.tell(make.captured(500_000, to=to))
        assert found.status == Status.ISSUED
        found.tell(make.refunded(500_000, to=to))
        assert (found.status, found.only(e.RefundCompleted).amount) == (Status.REFUNDED, 500_000)


def test_a_part_paid_again_after_a_refund_is_not_mistaken_for_it() -> None:
    found = sold().tell(make.captured(300_000), make.refunded(300_000), make.captured(200_000))
    assert (found.status, found.published) == (Status.ORDERED, ["issue.ordered"])
    assert found.tell(make.captured(300_000)).status == Status.ISSUED


def test_money_of_a_line_withdrawn_before_a_certificate_sold_elsewhere_looked_is_told_once() -> None:
    found = issued_elsewhere()
    found.hear(make.ordered(*BOTH), make.captured(750_000), make.cancelled("2"))
    assert found.published == ["alert.paymentWithoutCertificate"]
    alert = found.only(e.PaymentWithoutCertificateAlerted)
    assert (alert.amount, alert.reason) == (500_000, "lineWithdrawn")
    assert found.tell(make.cancelled("2", version=3)).published == []
    least = issued_elsewhere().hear(make.ordered(), make.captured(1), make.cancelled())
    assert least.only(e.PaymentWithoutCertificateAlerted).amount == 1


def refused_while_another_order_had_it() -> Certificate:
    """Under an order of its own when another one names it, whose money then comes and is told."""
    found = sold()
    found.tell(make.ordered(order_id="IM-2"), make.captured(order_id="IM-2"))
    assert found.published == ["alert.paymentWithoutCertificate"]
    return found


@pytest.mark.parametrize("back", [(), (make.refunded(order_id="IM-2"),)])
def test_money_of_a_refused_line_that_left_its_order_is_no_case_of_the_certificate_once_it_is_free(
    back: tuple[o.PaymentRefunded, ...],
) -> None:
    found = refused_while_another_order_had_it().tell(*back, make.cancelled(order_id="IM-2"))
    assert found.published == []
    assert found.tell(make.cancelled()).status == Status.AVAILABLE
    assert (found.look_again().last, found.state.any_refund_state) == ((), RefundState.NONE)


@pytest.mark.parametrize("back", [(), (make.refunded(order_id="IM-2"),)])
def test_money_of_a_line_that_was_never_taken_is_no_case_either(back: tuple[o.PaymentRefunded, ...]) -> None:
    found = sold()
    found.hear(make.ordered(order_id="IM-2"), make.captured(order_id="IM-2"), *back, make.emptied(2, "IM-2"))
    assert found.published == ([] if back else ["alert.paymentWithoutCertificate"])
    assert found.tell(make.cancelled()).status == Status.AVAILABLE
    assert (found.look_again().last, found.state.any_refund_state) == ((), RefundState.NONE)
    found.tell(make.captured(1, order_id="IM-2"))
    assert found.published == ["refund.requested"]


def issued_elsewhere() -> Certificate:
    found = Certificate().tell(make.reserve("R-2"))
    return found.tell(make.ordered(order_id="IM-2", reservation_id="R-2"), make.captured(order_id="IM-2"))


def test_money_of_a_line_that_was_never_taken_is_awaited_as_long_as_that_of_a_cancelled_one() -> None:
    policy = make.terms(cancelled_without_refund_after=2 * make.DAY)
    found = reserved(terms=policy).hear(make.ordered(), make.captured(), make.cancelled())
    assert found.only(e.RefundRequested).waits_until == make.NOON + 2 * make.DAY


def test_a_sale_that_comes_back_begins_anew_on_its_line_as_that_now_is() -> None:
    found = sold().wait(3 * make.DAY)
    [past] = found.state.past_sales
    assert (past.ended, past.unpaid_alerts) == (ReleaseReason.UNPAID, 1)
    cheaper = make.gift("7", 450_000)
    found.tell(make.reserve("R-2"), make.ordered(cheaper, own="7", reservation_id="R-2", version=2))
    sale = found.sale
    assert (sale.line_id, sale.amount, sale.ended) == ("7", 450_000, None)
    assert (sale.unpaid_alerts, sale.unpaid_alerted_at) == (0, None)
    published = fold(make.certificate(), found.events, make.NOON).sale
    assert published is not None
    assert (published.line_id, published.amount) == ("7", 450_000)


def test_late_money_gives_no_more_time_than_the_version_that_began_to_name_it() -> None:
    found = sold()
    found.clock += make.DAY
    found.tell(make.ordered(make.gift(amount=450_000), version=2)).wait(2 * make.DAY)
    assert found.status == Status.AVAILABLE
    assert found.tell(make.captured(100_000)).sale.unpaid_until == make.NOON + 3 * make.DAY
