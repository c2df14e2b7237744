"""Each event has the record as its cause that said what brought it about, however much was said before one look."""

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.words import Awaited
from giftcert.domain.order import messages as o
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, issued, reserved, sold

BOTH = (make.goods(), make.gift())


def test_what_came_before_one_look_has_a_cause_each() -> None:
    order, capture = make.ordered(), make.captured()
    found = reserved().hear(capture, order)
    assert found.published == ["issue.ordered", "issue.completed", "notification.requested"]
    assert found.cause_of(e.Ordered) == order.cause
    assert found.cause_of(e.Issued) == found.cause_of(e.NotificationRequested) == capture.cause


def test_a_conflict_is_of_the_version_that_changed_the_line() -> None:
    changed = make.ordered(make.gift(amount=450_000), version=2)
    found = issued().hear(changed, make.ordered(make.gift(amount=450_000), version=3))
    assert found.cause_of(e.OrderConflicted) == changed.cause


def test_a_line_that_costs_nothing_is_issued_by_its_order() -> None:
    order = make.ordered(make.gift(amount=0))
    found = reserved(terms=make.terms(make.FREE)).tell(order)
    assert found.cause_of(e.Issued) == order.cause


def test_a_late_capture_takes_the_certificate_back() -> None:
    capture = make.captured()
    found = sold().wait(3 * make.DAY).tell(capture)
    assert found.cause_of(e.Ordered) == found.cause_of(e.Issued) == capture.cause


def test_a_release_is_of_what_ended_the_sale() -> None:
    def cause_of_release(message: o.OrderMessage) -> object:
        return sold(*BOTH).tell(message).cause_of(e.Released)

    cancelled, other = make.cancelled(), make.ordered(*BOTH, certificate_id="other", version=2)
    removed = make.ordered(make.goods(), own=None, version=2)
    assert cause_of_release(cancelled) == cancelled.cause
    assert cause_of_release(other) == other.cause
    assert cause_of_release(removed) == removed.cause
    assert sold().wait(3 * make.DAY).cause_of(e.Released) is None


def test_a_refund_case_is_of_what_was_said_last_of_its_money() -> None:
    returned = make.returned(at=make.NOON + make.MINUTE)
    refund = make.refunded(at=make.NOON + make.HOUR)
    found = issued().tell(returned)
    assert found.cause_of(e.RefundRequested) == returned.cause
    assert found.tell(refund).cause_of(e.RefundCompleted) == refund.cause
    late = make.captured(at=make.NOON + make.DAY)
    found = sold().tell(make.cancelled(), late)
    assert found.cause_of(e.RefundRequested) == late.cause


def test_a_case_that_closes_as_the_line_is_back_is_of_the_version_that_says_so() -> None:
    back = make.ordered(*BOTH, version=3)
    found = issued(*BOTH).tell(make.ordered(make.goods(), own=None, version=2), back)
    assert found.cause_of(e.RefundResolved) == back.cause


def test_a_case_that_closes_as_its_refund_means_another_line_has_no_cause_of_its_own_line() -> None:
    two = issued(make.gift("2"), make.gift("3")).tell(make.refunded(refund_id="r-1"))
    assert two.case.awaiting == Awaited.ALLOCATION
    assert two.tell(make.returned("3", at=make.NOON - make.HOUR)).cause_of(e.RefundResolved) is None


def test_what_a_person_is_asked_is_of_the_refund_that_raises_it() -> None:
    refund = make.refunded()
    assert issued().tell(make.block(), refund).cause_of(e.RefundPendingDetails) == refund.cause


def test_late_money_is_told_by_its_capture_and_foreign_money_by_its_own() -> None:
    first, second = make.captured(at=make.NOON), make.captured(100, currency="EUR", at=make.NOON)
    found = reserved().tell(make.ordered(reservation_id="R-other")).hear(first, second)
    causes = [
        one.cause for one in found.recorded if isinstance(one.event, e.PaymentWithoutCertificateAlerted)
    ]
    assert causes == [first.cause, second.cause]


def test_what_time_and_people_do_has_no_record_as_its_cause() -> None:
    for found in (
        issued(*BOTH).tell(make.returned()).wait(7 * make.DAY),
        issued().tell(make.block(), make.refunded(), make.unblock()),
        issued().wait(365 * make.DAY),
    ):
        assert {one.cause for one in found.recorded} == {None}


def test_what_a_closed_hold_lets_go_on_is_of_the_payment_that_closed_it() -> None:
    voided = make.spending("voided")
    found: Certificate = issued().tell(make.hold(), make.refunded(), voided)
    assert found.published == ["redemption.voided", "refund.completed"]
    assert {one.cause for one in found.recorded} == {voided.cause}
