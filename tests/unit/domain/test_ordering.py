"""Rows of the Sale table in which an order names the certificate: taken, or refused with the reason."""

import pytest

from giftcert.domain import events as e
from giftcert.domain import messages as m
from giftcert.domain.state import Status
from tests.unit.domain import factories as make
from tests.unit.domain.certificates import Certificate, issued, reserved, sold


def ran_out() -> Certificate:
    found = reserved()
    found.clock += 31 * make.MINUTE
    return found.tell(make.lapsed())


def conflict(found: Certificate) -> str:
    assert found.told == ["error.orderConflict"]
    return found.only(e.OrderConflicted).reason


def test_an_order_takes_the_certificate_by_its_reservation() -> None:
    found = reserved().tell(make.ordered())
    assert found.status == Status.ORDERED
    event = found.only(e.Ordered)
    assert (event.order_id, event.line_id, event.amount, event.reclaimed) == (make.ORDER, "2", 500_000, False)
    assert found.state.reservation is not None
    assert found.state.reservation.ended


def test_an_order_without_a_reservation_takes_what_its_channel_reserved_before() -> None:
    assert reserved().tell(make.ordered(reservation_id=None)).status == Status.ORDERED


def test_an_order_may_seem_five_minutes_older_than_its_reservation() -> None:
    early = make.NOON - 5 * make.MINUTE
    assert reserved().tell(make.ordered(reservation_id=None, at=early)).status == Status.ORDERED
    too_early = make.ordered(reservation_id=None, at=early - make.MINUTE)
    assert conflict(reserved().tell(too_early)) == "reservedByAnother"


def test_an_order_of_another_channel_needs_the_reservation() -> None:
    other = make.ordered(channel="pos", reservation_id=None)
    assert conflict(reserved().tell(other)) == "reservedByAnother"
    assert reserved().tell(make.ordered(channel="pos")).status == Status.ORDERED


def test_an_order_for_somebody_elses_certificate_is_refused() -> None:
    found = reserved().tell(make.ordered(reservation_id="R-other"))
    assert conflict(found) == "reservedByAnother"
    assert found.status == Status.RESERVED


def test_a_certificate_that_was_never_reserved_is_not_sold() -> None:
    assert conflict(Certificate().tell(make.ordered())) == "notReserved"


@pytest.mark.parametrize("reservation_id", [make.RESERVATION, None])
def test_an_order_that_comes_after_its_reservation_ran_out_reclaims_the_certificate(
    reservation_id: str | None,
) -> None:
    found = ran_out().tell(make.ordered(reservation_id=reservation_id))
    assert found.status == Status.ORDERED
    assert found.only(e.Ordered).reclaimed


def test_an_order_of_another_reservation_reclaims_nothing() -> None:
    found = ran_out().tell(make.ordered(reservation_id="R-other"))
    assert conflict(found) == "notReserved"
    assert found.status == Status.AVAILABLE


def test_the_own_order_may_name_it_again_and_change_the_recipient() -> None:
    gift_to = m.Recipient(ref="R-9", channel="sms", locale="ru-RU")
    for found in (sold(), issued()):
        before = found.status
        found.tell(make.ordered(version=2, recipient=gift_to))
        assert (found.told, found.status) == ([], before)
        own = found.state.order(make.ORDER).own
        assert own is not None
        assert own.recipient == gift_to


def test_a_recipient_changed_before_payment_gets_the_notification() -> None:
    gift_to = m.Recipient(ref="R-9")
    found = sold().tell(make.ordered(version=2, recipient=gift_to), make.captured())
    assert found.only(e.NotificationRequested).recipient == gift_to


def test_an_order_that_neither_names_nor_holds_it_is_only_remembered() -> None:
    for found in (Certificate(), reserved(), sold()):
        before = found.status
        other = make.ordered(make.goods(), own=None, order_id="IM-2")
        assert (found.tell(other).told, found.status) == ([], before)


def test_another_order_cannot_take_a_sold_certificate() -> None:
    for found in (sold(), issued()):
        before = found.status
        assert conflict(found.tell(make.ordered(order_id="IM-2"))) == "heldByAnotherOrder"
        assert found.status == before


def test_a_retired_certificate_is_not_for_sale() -> None:
    found = reserved().tell(make.retire(), make.ordered())
    assert conflict(found) == "notForSale"


def test_a_blocked_certificate_is_not_sold() -> None:
    assert conflict(reserved().tell(make.block(), make.ordered())) == "blocked"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (make.ordered(currency="EUR"), "currencyMismatch"),
        (make.ordered(nominal=400_000), "nominalOutOfBounds"),
        (make.ordered(make.gift(amount=399_999)), "amountOutOfBounds"),
        (make.ordered(make.gift(amount=500_001)), "amountOutOfBounds"),
    ],
)
def test_a_line_out_of_bounds_is_refused(message: m.OrderStated, reason: str) -> None:
    found = reserved().tell(message)
    assert conflict(found) == reason
    assert found.status == Status.RESERVED


def test_a_line_may_be_discounted_or_free() -> None:
    for amount in (400_000, 0):
        found = reserved().tell(make.ordered(make.gift(amount=amount)))
        assert found.only(e.Ordered).amount == amount


@pytest.mark.parametrize(
    ("nominal", "amount", "reason"),
    [
        (None, 300_000, "nominalOutOfBounds"),
        (99_999, 99_999, "nominalOutOfBounds"),
        (900_001, 900_001, "nominalOutOfBounds"),
        (300_000, 200_000, "amountOutOfBounds"),
    ],
)
def test_an_open_value_line_stays_within_the_bounds_of_its_product(
    nominal: int | None, amount: int, reason: str
) -> None:
    found = reserved(state=make.certificate(make.OPEN_VALUE), terms=make.terms(make.OPEN_VALUE))
    assert conflict(found.tell(make.ordered(make.gift(amount=amount), nominal=nominal))) == reason


def test_an_open_value_line_chooses_the_nominal() -> None:
    found = reserved(state=make.certificate(make.OPEN_VALUE), terms=make.terms(make.OPEN_VALUE))
    found.tell(make.ordered(make.gift(amount=270_000), nominal=300_000), make.captured(270_000))
    assert (found.status, found.state.balance) == (Status.ISSUED, 300_000)


def test_a_line_whose_certificate_is_issued_gets_no_other() -> None:
    found = reserved().tell(make.ordered(line_holder=m.LineHolder.ISSUED))
    assert conflict(found) == "lineAlreadyIssued"
    assert found.tell(make.captured()).told == []  # that money paid for the one that is issued


def test_a_line_that_its_holder_may_still_leave_is_not_refused() -> None:
    assert reserved().tell(make.ordered(line_holder=m.LineHolder.ORDERED)).status == Status.ORDERED


def test_a_withdrawn_line_gets_no_certificate() -> None:
    found = reserved().tell(make.ordered(make.gift(), make.goods(), own=None), make.cancelled("2"))
    assert conflict(found.tell(make.ordered(make.gift(), make.goods(), version=3))) == "lineWithdrawn"


def test_a_certificate_keeps_the_line_it_stands_on() -> None:
    both = (make.gift("2"), make.gift("3"))
    found = sold(*both).tell(make.ordered(*both, own="3", version=2))
    assert found.told == ["error.orderConflict", "issue.released"]
    assert found.only(e.OrderConflicted).reason == "otherLine"


def test_an_older_version_of_the_order_changes_nothing() -> None:
    found = reserved().tell(make.ordered(version=3), make.ordered(make.goods(), own=None, version=2))
    assert found.told == []
    assert found.state.order(make.ORDER).version == 3
    assert found.tell(make.cancelled(version=3)).told == []


def test_money_for_a_refused_line_is_reported_once_for_each_rise() -> None:
    found = reserved().tell(make.ordered(reservation_id="R-other"), make.captured(200_000, "P-1"))
    alert = found.only(e.PaymentWithoutCertificateAlerted)
    assert (alert.line_id, alert.amount, alert.reason) == ("2", 200_000, "reservedByAnother")
    assert found.tell(make.authorized()).told == []
    assert (
        found.tell(make.captured(300_000, "P-2")).only(e.PaymentWithoutCertificateAlerted).amount == 500_000
    )


def test_money_that_came_before_the_refused_order_is_reported_too() -> None:
    found = reserved().tell(make.captured(), make.ordered(reservation_id="R-other"))
    assert found.told == ["error.orderConflict", "alert.paymentWithoutCertificate"]


def test_money_for_a_refused_line_that_was_removed_is_reported_too() -> None:
    found = reserved().tell(make.ordered(make.gift(), make.goods(), reservation_id="R-other"))
    found.tell(make.ordered(make.goods(), own=None, version=2), make.captured(750_000))
    assert found.only(e.PaymentWithoutCertificateAlerted).amount == 500_000


def test_money_is_not_reported_once_the_channel_has_put_another_certificate_on_the_line() -> None:
    found = reserved().tell(make.ordered(reservation_id="R-other"), make.ordered(own=None, version=2))
    assert found.tell(make.captured()).told == []


def test_an_order_refused_once_may_name_it_again_under_the_right_reservation() -> None:
    found = reserved().tell(make.ordered(reservation_id="R-other"), make.ordered(version=2))
    assert found.status == Status.ORDERED
    assert found.state.refusals == ()


def test_a_line_refused_again_is_one_refusal() -> None:
    found = reserved().tell(make.captured(), make.ordered(reservation_id="R-other"))
    found.tell(make.ordered(reservation_id="R-third", version=2))
    assert found.told == ["error.orderConflict"]
    assert len(found.state.refusals) == 1
