"""Rows of the Sale table in which the own order changes: repriced, replaced, cancelled, removed, returned."""

import pytest

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.state import RefundState, Status
from giftcert.domain.certificate.words import ReleaseReason
from giftcert.domain.order import messages as o
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, issued, reserved, sold, spendable

BOTH = (make.goods(), make.gift())


def test_a_price_changed_before_issue_is_judged_anew() -> None:
    found = sold().tell(make.captured(450_000))
    assert found.status == Status.ORDERED
    found.tell(make.ordered(make.gift(amount=450_000), version=2))
    assert found.status == Status.ISSUED
    assert found.only(e.Issued).amount == 450_000


def test_a_nominal_changed_before_issue_is_what_the_certificate_is_worth() -> None:
    found = reserved(terms=make.terms(make.OPEN_VALUE))
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
    assert found.published == ["error.orderConflict"]
    assert found.only(e.OrderConflicted).reason == "alreadyIssued"
    assert (found.status, found.sale.amount) == (Status.ISSUED, 500_000)


def replaced_by_other(found: Certificate, version: int = 2) -> Certificate:
    """The order's next version puts another certificate of ours on the line; which looks after the first."""
    other = Certificate(world=found.world, name="other").tell(make.reserve("R-other"))
    found.tell(make.ordered(certificate_id="other", reservation_id="R-other", version=version))
    return other


def test_a_line_that_names_another_certificate_lets_the_old_one_go_and_its_money_with_it() -> None:
    found = sold().tell(make.captured(100_000))
    other = replaced_by_other(found)
    assert (found.status, found.published) == (Status.AVAILABLE, ["issue.released"])
    assert found.only(e.Released).reason == ReleaseReason.LINE_REMOVED
    assert other.status == Status.ORDERED
    assert found.tell(make.captured(400_000)).published == []
    assert other.status == Status.ISSUED


def test_the_replacing_certificate_finds_the_money_of_the_line() -> None:
    new = reserved().hear(make.ordered(certificate_id="old"), make.captured(), make.ordered(version=2))
    assert new.status == Status.ISSUED
    assert new.all(e.Ordered)[0].replaces == "old"


def test_money_of_a_line_that_went_to_a_certificate_of_nobody_s_is_told_once() -> None:
    found = sold().tell(make.captured(100_000), make.ordered(certificate_id="unknown", version=2))
    assert found.published == ["issue.released", "alert.paymentWithoutCertificate"]
    alert = found.only(e.PaymentWithoutCertificateAlerted)
    assert (alert.amount, alert.reason) == (100_000, "unknownCertificate")
    assert found.tell(make.ordered(certificate_id="unknown", version=3)).published == []
    assert sold().tell(make.ordered(certificate_id="unknown", version=2)).published == ["issue.released"]
    found = sold().tell(make.captured(1), make.ordered(certificate_id="unknown", version=2))
    assert found.only(e.PaymentWithoutCertificateAlerted).amount == 1


def test_a_refund_case_goes_with_the_line_to_the_replacing_certificate() -> None:
    found = sold().tell(make.captured(300_000), make.refunded(100_000, to={"2": 100_000}))
    case = found.case
    other = replaced_by_other(found)
    assert found.published == ["issue.released"]
    assert (found.state.past_sales[-1].cases, found.state.any_refund_state) == ((), RefundState.NONE)
    assert (other.case, other.status) == (case, Status.ORDERED)
    assert other.line.open_case is None
    assert (
        other.published == ["issue.ordered", "refund.requested"]
        or other.state.refund_state == RefundState.REQUESTED
    )
    found.tell(make.refunded(200_000, to={"2": 200_000}))
    assert (other.case.state, other.status) == (RefundState.COMPLETED, Status.AVAILABLE)


def test_what_a_person_has_to_decide_goes_with_the_line_too() -> None:
    found = sold().tell(make.captured(300_000), make.refunded(400_000, to={"2": 400_000})).wait(make.DAY)
    case = found.case
    other = replaced_by_other(found)
    assert other.case == case
    other.tell(make.resolve(case.refund_case_id))
    assert (other.published[-1], other.status) == ("issue.released", Status.AVAILABLE)


def test_a_case_that_a_removal_alone_opened_closes_where_another_certificate_takes_the_line() -> None:
    both = (make.goods(), make.gift())
    found = sold(*both).tell(
        make.captured(300_000, to={"2": 300_000}), make.ordered(make.goods(), own=None, version=2)
    )
    case = found.case.refund_case_id
    other = Certificate(world=found.world, name="other").tell(make.reserve("R-other"))
    other.tell(make.ordered(*both, certificate_id="other", reservation_id="R-other", version=3))
    assert other.published == ["issue.ordered", "refund.resolved"]
    event = other.only(e.RefundResolved)
    assert (event.refund_case_id, event.resolved_by) == (case, "system")
    assert (found.status, other.status, other.line.open_case) == (Status.AVAILABLE, Status.ORDERED, None)
    assert (other.state.refund_state, found.state.any_refund_state) == (RefundState.NONE, RefundState.NONE)


def test_a_case_goes_on_where_the_line_went_to_a_certificate_of_nobody_s() -> None:
    found = sold().tell(make.captured(300_000), make.refunded(100_000, to={"2": 100_000}))
    case = found.case
    found.tell(make.ordered(certificate_id="unknown", version=2))
    assert found.published == ["issue.released", "alert.paymentWithoutCertificate", "refund.requested"]
    assert (found.case, found.state.any_refund_state) == (case, RefundState.REQUESTED)
    found.tell(make.refunded(200_000, to={"2": 200_000}))
    assert found.published == ["refund.completed"]


def test_a_refused_certificate_goes_on_with_the_case_that_it_finds_on_its_line() -> None:
    found = sold().tell(make.captured(300_000), make.refunded(100_000, to={"2": 100_000}))
    case = found.case
    other = Certificate(world=found.world, name="other")  # never reserved
    other.tell(make.ordered(certificate_id="other", reservation_id="R-other", version=2))
    assert other.published == ["error.orderConflict", "refund.requested"]
    assert (other.case, other.status) == (case, Status.AVAILABLE)
    assert other.tell(make.refunded(200_000, to={"2": 200_000})).published == ["refund.completed"]


def test_a_late_refund_case_of_a_past_sale_ends_when_the_line_names_another_certificate() -> None:
    found = sold().wait(3 * make.DAY)
    assert found.status == Status.AVAILABLE
    found.tell(make.refunded(500_000))
    assert found.case.state == RefundState.AWAITING_CAPTURE
    other = replaced_by_other(found)
    assert found.published == ["refund.resolved"]
    assert other.case.state == RefundState.AWAITING_CAPTURE


def test_an_issued_certificate_stays_when_its_line_names_another() -> None:
    found = issued()
    other = replaced_by_other(found)
    assert (found.published, found.status) == ([], Status.ISSUED)
    assert other.status == Status.RESERVED
    assert other.state.refusals[0].reason == "lineAlreadyIssued"


def test_a_line_that_becomes_goods_lets_the_certificate_go() -> None:
    found = sold().tell(make.ordered(make.goods("2", 500_000), own=None, version=2))
    assert found.only(e.Released).reason == ReleaseReason.LINE_REMOVED


CANCELLATIONS = [
    (make.cancelled(), ReleaseReason.ORDER_CANCELLED),
    (make.cancelled("2"), ReleaseReason.ORDER_CANCELLED),
    (make.returned("2"), ReleaseReason.ORDER_CANCELLED),
    (make.ordered(make.goods(), own=None, version=2), ReleaseReason.LINE_REMOVED),
]
WITHDRAWALS = [message for message, _ in CANCELLATIONS]


@pytest.mark.parametrize(("message", "reason"), CANCELLATIONS)
def test_an_unpaid_line_that_is_withdrawn_goes_back_to_the_pool(
    message: o.OrderVersion, reason: ReleaseReason
) -> None:
    found = sold(*BOTH).tell(message)
    assert found.status == Status.AVAILABLE
    assert found.published == ["issue.released"]
    assert found.only(e.Released).reason == reason


@pytest.mark.parametrize("message", WITHDRAWALS)
def test_a_line_paid_in_part_that_is_withdrawn_waits_for_its_refund(message: o.OrderVersion) -> None:
    found = sold(*BOTH).tell(make.captured(300_000, to={"2": 300_000}), message)
    assert (found.status, found.published) == (Status.ORDERED, ["refund.requested"])
    assert found.only(e.RefundRequested).amount == 300_000
    found.tell(make.refunded(300_000, to={"2": 300_000}))
    assert found.status == Status.AVAILABLE
    assert found.published == ["refund.completed", "issue.released"]
    assert found.only(e.RefundCompleted).before_issue
    assert found.only(e.Released).reason == ReleaseReason.REFUNDED_BEFORE_ISSUE


@pytest.mark.parametrize("message", WITHDRAWALS)
def test_an_issued_line_that_is_withdrawn_stops_spending_and_waits_for_its_refund(
    message: o.OrderVersion,
) -> None:
    found = issued(*BOTH).tell(message)
    assert (found.status, found.published) == (Status.ISSUED, ["refund.requested"])
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
        assert (found.published, found.status) == ([], Status.ISSUED)


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
    assert found.published == ["issue.released"]
    found.tell(make.ordered(make.goods(), own=None, version=3))
    assert found.published == []


def test_a_certificate_cancelled_twice_is_released_once() -> None:
    found = sold(*BOTH).tell(make.cancelled("2"), make.cancelled(version=3))
    assert found.published == []
    assert [type(event) for event in found.events].count(e.Released) == 1


# Looked at once, after all of it ------------------------------------------------------------------


def test_a_line_withdrawn_before_it_was_taken_costs_nothing_and_is_not_told() -> None:
    for refunds in ((), (make.refunded(to={"2": 500_000}),)):
        found = reserved().hear(make.ordered(), *refunds, make.cancelled())
        assert (found.last, found.status) == ((), Status.RESERVED)


def test_a_line_withdrawn_before_it_was_taken_whose_money_is_captured_has_a_case_under_its_order() -> None:
    found = reserved().hear(make.ordered(), make.captured(), make.cancelled())
    assert (found.published, found.status) == (["refund.requested"], Status.RESERVED)
    assert found.only(e.RefundRequested).amount == 500_000
    assert (found.state.refund_state, found.state.any_refund_state) == (
        RefundState.NONE,
        RefundState.REQUESTED,
    )
    assert found.tell(make.refunded()).published == ["refund.completed"]
    assert found.only(e.RefundCompleted).before_issue
    assert found.status == Status.RESERVED


def test_a_line_withdrawn_before_it_was_taken_and_put_back_is_sold_and_its_case_closes() -> None:
    found = reserved().hear(
        make.ordered(*BOTH), make.captured(750_000), make.ordered(make.goods(), version=2)
    )
    assert (found.published, found.status) == (["refund.requested"], Status.RESERVED)
    found.tell(make.ordered(*BOTH, version=3))
    assert found.published == [
        "issue.ordered",
        "refund.resolved",
        "issue.completed",
        "notification.requested",
    ]
    assert found.state.past_sales == ()


def test_a_price_that_came_and_went_unseen_is_not_told() -> None:
    found = sold().hear(make.ordered(make.gift(amount=100), version=2), make.ordered(version=3))
    assert (found.published, found.sale.amount) == ([], 500_000)


def test_a_certificate_replaced_and_named_again_unseen_goes_on() -> None:
    found = sold().hear(
        make.ordered(certificate_id="other", version=2), make.ordered(version=3), make.captured()
    )
    assert found.published == ["issue.completed", "notification.requested"]


# Discounts of the whole order ---------------------------------------------------------------------


def test_a_discount_of_the_whole_order_changes_the_price_before_issue_and_nothing_after() -> None:
    found = sold(make.goods(amount=500_000), make.gift())
    less = make.ordered(make.goods(amount=500_000), make.gift(), version=2, total=900_000)
    assert (found.tell(less).published, found.sale.amount) == ([], 450_000)
    assert found.tell(make.captured(900_000)).only(e.Issued).amount == 450_000
    more = make.ordered(make.goods(amount=500_000), make.gift(), version=3, total=950_000)
    assert (found.tell(more).published, found.sale.amount) == ([], 450_000)


def test_a_discount_of_the_whole_order_out_of_bounds_is_a_conflict_told_once() -> None:
    lines = (make.goods(amount=500_000), make.gift())
    found = sold(*lines).tell(make.ordered(*lines, version=2, total=100_000))
    assert found.only(e.OrderConflicted).reason == "amountOutOfBounds"
    assert found.tell(make.ordered(*lines, version=3, total=100_000)).published == []
    assert found.sale.amount == 500_000
    found.tell(make.captured(100_000))
    assert found.status == Status.ORDERED  # that pays the price that was refused


# Another currency of the whole order --------------------------------------------------------------


def test_a_sale_is_not_paid_in_the_currency_that_its_order_changed_to() -> None:
    found = sold().tell(make.ordered(version=2, currency="EUR"))
    assert found.only(e.OrderConflicted).reason == "currencyMismatch"
    assert (found.tell(make.captured(currency="EUR")).published, found.status) == ([], Status.ORDERED)


def test_late_money_in_the_currency_that_the_order_changed_to_takes_nothing_back() -> None:
    found = sold().wait(3 * make.DAY)
    assert found.tell(make.ordered(version=2, currency="EUR")).published == []
    found.tell(make.captured(currency="EUR"))
    assert found.published == ["error.orderConflict", "alert.paymentWithoutCertificate"]
    assert found.only(e.PaymentWithoutCertificateAlerted).reason == "currencyMismatch"
    assert found.status == Status.AVAILABLE


def test_money_of_an_order_in_another_currency_is_told_in_that_and_no_case_of_the_certificate() -> None:
    found = reserved().tell(make.ordered(currency="EUR"), make.captured(currency="EUR"))
    alert = found.only(e.PaymentWithoutCertificateAlerted)
    assert (alert.amount, alert.foreign_currency, alert.reason) == (500_000, "EUR", "currencyMismatch")
    assert found.tell(make.cancelled()).published == []
    assert found.tell(make.captured(1, currency="EUR")).published == ["alert.paymentWithoutCertificate"]


def test_what_the_line_of_an_issued_certificate_costs_under_another_one_is_none_of_its_own() -> None:
    other = make.gift(amount=450_000, certificate_id="other")
    assert issued().tell(make.ordered(other, own=None, version=2)).last == ()
