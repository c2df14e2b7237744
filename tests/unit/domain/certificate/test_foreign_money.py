"""Money captured in another currency than the order's pays for nothing: it is told at once, once a capture."""

from collections.abc import Callable

import pytest

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.state import Status
from giftcert.domain.certificate.words import RefundReason
from giftcert.domain.order import messages as o
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, issued, reserved, sold

ALERT = "alert.paymentWithoutCertificate"


def euros(amount: int = 6_000, payment_id: str = "P-7") -> o.PaymentCaptured:
    return make.captured(amount, payment_id, currency="EUR")


def published(found: Certificate) -> list[tuple[int, str | None]]:
    alerts = [event for event in found.last if isinstance(event, e.PaymentWithoutCertificateAlerted)]
    assert all(alert.reason == "currencyMismatch" for alert in alerts)
    return [(alert.amount, alert.foreign_currency) for alert in alerts]


def released() -> Certificate:
    return sold().wait(3 * make.DAY)


def refused() -> Certificate:
    return reserved().tell(make.ordered(reservation_id="R-other"))


def cancelled() -> Certificate:
    return sold().tell(make.cancelled())


def refunded() -> Certificate:
    return issued().tell(make.refunded())


@pytest.mark.parametrize("begin", [sold, issued, released, refused, cancelled, refunded])
def test_it_is_told_wherever_the_sale_ended_once_a_capture(begin: Callable[[], Certificate]) -> None:
    found = begin()
    status = found.status
    assert published(found.tell(euros())) == [(6_000, "EUR")]
    assert found.status == status
    assert published(found.tell(make.ordered(version=3))) == []
    assert published(found.tell(euros(100, "P-8"))) == [(100, "EUR")]


def test_it_is_told_at_once_and_does_not_pay() -> None:
    found = reserved().hear(make.ordered(), euros(), euros(500_000, "P-8"))
    assert (found.published, found.status) == (["issue.ordered", ALERT, ALERT], Status.ORDERED)
    assert found.tell(make.captured()).published == ["issue.completed", "notification.requested"]


def test_the_order_of_an_open_value_certificate_is_told_with_its_nominal_though_foreign_money_came_at_once() -> (
    None
):
    found = reserved(terms=make.terms(make.OPEN_VALUE))
    assert found.state.nominal == 0
    found.hear(make.ordered(make.gift(amount=300_000), nominal=300_000, customer_id="C-9"), euros())
    ordered = found.recorded[0].after
    assert (found.published, ordered.nominal) == (["issue.ordered", ALERT], 300_000)
    assert ordered.sale is not None
    assert (ordered.sale.nominal, ordered.sale.listed_amount, ordered.sale.customer_id) == (
        300_000,
        300_000,
        "C-9",
    )


def test_what_of_it_went_back_under_its_payment_is_settled_by_that() -> None:
    back = make.refunded(6_000, payment_id="P-7", currency="EUR")
    assert published(sold().hear(euros(), back)) == []
    part = make.refunded(2_000, payment_id="P-7", currency="EUR")
    assert published(sold().hear(euros(), part)) == [(4_000, "EUR")]
    found = issued().tell(euros(), back)
    assert (found.published, found.state.refund_state.value) == ([], "none")


def test_more_back_than_came_in_that_currency_asks_a_person() -> None:
    found = issued().tell(euros(), make.refunded(7_000, payment_id="P-7", currency="EUR"))
    event = found.only(e.RefundPendingDetails)
    assert (event.reason, event.amount, event.foreign_currency) == (
        RefundReason.CURRENCY_MISMATCH,
        1_000,
        "EUR",
    )


def test_it_is_not_told_again_by_the_certificate_that_the_line_gets_next() -> None:
    found = sold().tell(euros())
    other = Certificate(world=found.world, name="other").tell(make.reserve("R-other"))
    other.tell(make.ordered(certificate_id="other", reservation_id="R-other", version=2))
    assert (other.status, other.all(e.PaymentWithoutCertificateAlerted)) == (Status.ORDERED, [])
    assert published(other.tell(euros(100, "P-8"))) == [(100, "EUR")]


def test_of_two_certificates_of_an_order_one_tells_it() -> None:
    found = sold(make.gift("2"), make.gift("3", certificate_id="other", reservation_id="R-other"))
    other = Certificate(world=found.world, name="other").tell(make.reserve("R-other"))
    found.tell(euros())
    assert len(published(found)) + len(published(other)) == 1


# Back before issue, and of what is not told apart ---------------------------------------------------

BOTH = (make.goods(), make.gift())


def asked(found: Certificate) -> tuple[int, str | None]:
    event = found.only(e.RefundPendingDetails)
    assert event.reason == RefundReason.CURRENCY_MISMATCH
    return event.amount, event.foreign_currency


def test_a_refund_in_another_currency_is_asked_about_with_all_that_may_mean_the_line() -> None:
    assert asked(issued(*BOTH).tell(make.refunded(60, currency="EUR", to={"2": 20}))) == (60, "EUR")


def test_money_back_in_the_own_currency_is_asked_about_first() -> None:
    found = sold().tell(make.captured(300_000), make.refunded(1, to={"2": 1}))
    assert asked(found.tell(make.refunded(5, currency="EUR", to={"2": 5}))) == (1, None)


def test_what_is_approved_before_issue_waits_for_any_capture_and_asks_again_of_what_may_mean_goods() -> None:
    def approved() -> Certificate:
        found = sold(*BOTH).tell(make.refunded(60, "r-1", currency="EUR", to={"2": 60}))
        return found.tell(make.resolve(found.case.refund_case_id))

    assert approved().published == ["refund.resolved", "refund.requested"]
    assert approved().tell(make.captured(1, to={"2": 1})).only(e.RefundCompleted).amount == 1
    assert asked(approved().tell(make.refunded(70, "r-2", currency="EUR"))) == (130, "EUR")
