"""Rows of the Sale table in which an order names the certificate: taken, or refused with the reason."""

from dataclasses import replace

import pytest

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.lines import concerned_by_holder
from giftcert.domain.certificate.state import Status
from giftcert.domain.clients import Recipient
from giftcert.domain.order import messages as o
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, issued, reserved, sold


def ran_out() -> Certificate:
    found = reserved()
    found.clock += 31 * make.MINUTE
    return found.tell(make.lapsed())


def conflict(found: Certificate) -> str:
    assert found.published == ["error.orderConflict"]
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


def test_the_own_order_may_name_it_again() -> None:
    for found in (sold(), issued()):
        before = found.status
        assert (found.tell(make.ordered(version=2)).published, found.status) == ([], before)


def test_a_recipient_changed_before_payment_gets_the_notification() -> None:
    found = sold()
    found.world.recipients["2"] = Recipient(ref="R-9")
    found.tell(make.ordered(version=2), make.captured())
    assert found.only(e.NotificationRequested).recipient == Recipient(ref="R-9")


def test_an_order_that_neither_names_nor_holds_it_is_only_remembered() -> None:
    for found in (Certificate(), reserved(), sold()):
        before = found.status
        other = make.ordered(make.goods(), own=None, order_id="IM-2")
        assert (found.tell(other).published, found.status) == ([], before)


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
def test_a_line_out_of_bounds_is_refused(message: o.OrderStated, reason: str) -> None:
    found = reserved().tell(message)
    assert conflict(found) == reason
    assert found.status == Status.RESERVED


def test_a_line_may_be_discounted() -> None:
    assert reserved().tell(make.ordered(make.gift(amount=400_000))).only(e.Ordered).amount == 400_000


def test_a_line_costs_nothing_only_where_the_greatest_discount_is_all_of_it() -> None:
    free = make.ordered(make.gift(amount=0))
    assert conflict(reserved().tell(free)) == "amountOutOfBounds"
    found = reserved(terms=make.terms(make.FREE)).tell(free)
    assert found.published == ["issue.ordered", "issue.completed", "notification.requested"]


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
    found = reserved(terms=make.terms(make.OPEN_VALUE))
    assert conflict(found.tell(make.ordered(make.gift(amount=amount), nominal=nominal))) == reason


def test_an_open_value_line_chooses_the_nominal() -> None:
    found = reserved(terms=make.terms(make.OPEN_VALUE))
    found.tell(make.ordered(make.gift(amount=270_000), nominal=300_000), make.captured(270_000))
    assert (found.status, found.state.balance) == (Status.ISSUED, 300_000)


def other(found: Certificate, name: str = "other") -> Certificate:
    """Another certificate of the same world, reserved."""
    return Certificate(world=found.world, name=name).tell(make.reserve(f"R-{name}"))


def names_other(version: int = 2) -> o.OrderStated:
    return make.ordered(certificate_id="other", reservation_id="R-other", version=version)


def test_a_line_whose_certificate_is_issued_gets_no_other() -> None:
    first = issued()
    second = other(first).tell(names_other())
    assert conflict(second) == "lineAlreadyIssued"
    assert second.tell(make.captured()).published == []  # that money is of the one that is issued
    assert (first.status, second.status) == (Status.ISSUED, Status.RESERVED)


def test_who_waits_for_a_line_looks_when_its_holder_changes_and_who_is_named_when_it_has_none() -> None:
    held = replace(sold().line, waiters=("a", "b"))
    named = held.standing.naming.certificate_id
    free = replace(held, holder=None)
    assert concerned_by_holder(held) == ("a", "b")
    assert concerned_by_holder(free) == ("a", "b", named)
    assert concerned_by_holder(replace(free, waiters=(named,))) == (named,)
    assert concerned_by_holder(replace(free, names_ours=False)) == ("a", "b")


def test_a_line_that_its_holder_may_still_leave_is_waited_for() -> None:
    first = sold()
    second = other(first)
    first.world.say(names_other())
    second.look_alone()
    assert (second.published, second.state.waits_for, first.line.waiters) == (
        [],
        (first.sale.ref,),
        ("other",),
    )
    first.look()
    assert (first.status, second.status, second.state.waits_for) == (Status.AVAILABLE, Status.ORDERED, ())
    assert second.line.waiters == ()


def test_whoever_waits_for_a_line_that_names_it_no_more_gives_up() -> None:
    first = sold()
    second = other(first)
    first.world.say(names_other())
    second.look_alone()
    first.world.say(make.ordered(version=3))
    second.look_alone()
    assert (second.published, second.state.waits_for, first.line.waiters) == ([], (), ())


def test_whoever_waits_for_a_line_that_is_withdrawn_gives_up() -> None:
    first = sold()
    second = other(first)
    first.world.say(names_other())
    second.look_alone()
    first.world.say(make.cancelled(version=3))
    second.look_alone()
    assert (second.published, second.state.waits_for, first.line.waiters) == ([], (), ())


def test_whoever_waits_for_a_line_and_is_sold_elsewhere_is_refused_it() -> None:
    first = sold()
    second = other(first)
    first.world.say(names_other())
    second.look_alone()
    elsewhere = make.ordered(order_id="IM-2", certificate_id="other", reservation_id="R-other")
    first.world.say(elsewhere)
    second.look_alone()
    assert second.published == ["issue.ordered", "error.orderConflict"]
    assert second.only(e.OrderConflicted).reason == "heldByAnotherOrder"
    assert (second.state.waits_for, first.line.waiters) == ((), ())


def test_a_line_that_was_issued_meanwhile_is_waited_for_no_longer() -> None:
    first = sold()
    second = other(first)
    first.world.say(names_other())
    second.look_alone()
    first.world.say(make.ordered(version=3))
    first.world.say(make.captured())
    first.look_alone()
    first.world.say(names_other(4))
    second.look_alone()
    assert conflict(second) == "lineAlreadyIssued"
    assert (second.state.waits_for, first.line.waiters) == ((), ())


def test_a_withdrawn_line_gets_no_certificate() -> None:
    found = reserved().tell(make.ordered(make.gift(), make.goods()), make.cancelled("2"))
    assert found.status == Status.AVAILABLE
    found.tell(make.ordered(make.gift(), make.goods(), version=3))
    assert conflict(found) == "lineWithdrawn"
    assert found.tell(make.ordered(make.gift(), make.goods(), version=4)).published == []


def test_a_version_that_itself_cancels_a_line_does_not_name_it_in_vain() -> None:
    found = sold().tell(make.cancelled(), make.cancelled(version=3), make.ordered(version=3))
    assert (found.published, found.status) == ([], Status.AVAILABLE)


def test_a_line_withdrawn_and_named_again_is_a_conflict_whatever_the_certificate_is() -> None:
    both = (make.gift(), make.goods())
    for found in (sold(*both).tell(make.captured(600_000)), issued(*both)):
        found.tell(make.returned())
        assert found.published == ["refund.requested"]
        assert conflict(found.tell(make.ordered(*both, version=3))) == "lineWithdrawn"
        assert found.tell(make.ordered(*both, version=4)).published == []


def test_a_new_certificate_on_the_number_of_a_cancelled_line_is_sold() -> None:
    first = sold(make.gift(), make.goods()).tell(make.cancelled("2"))
    second = other(first)
    second.tell(
        make.ordered(make.gift(), make.goods(), certificate_id="other", reservation_id="R-other", version=3)
    )
    assert (second.status, second.sale.line_key) == (Status.ORDERED, 3)


def test_a_sale_follows_its_line_when_it_is_renumbered() -> None:
    for found in (sold(make.gift("2"), make.goods("3")), issued(make.gift("2"), make.goods("3"))):
        key = found.sale.line_key
        found.tell(make.ordered(make.gift("3"), make.goods("2"), own="3", version=2))
        assert (found.published, found.sale.line_id, found.sale.line_key) == ([], "3", key)


def test_an_older_version_of_the_order_changes_nothing() -> None:
    found = reserved().tell(make.ordered(version=3), make.ordered(make.goods(), own=None, version=2))
    assert found.published == []
    assert found.tell(make.cancelled(version=2)).published == []
    assert found.status == Status.ORDERED


def test_money_for_a_refused_line_is_reported_once_for_each_rise() -> None:
    found = reserved().tell(make.ordered(reservation_id="R-other"), make.captured(200_000, "P-1"))
    alert = found.only(e.PaymentWithoutCertificateAlerted)
    assert (alert.line_id, alert.amount, alert.reason) == ("2", 200_000, "reservedByAnother")
    assert found.tell(make.authorized()).published == []
    assert (
        found.tell(make.captured(300_000, "P-2")).only(e.PaymentWithoutCertificateAlerted).amount == 500_000
    )


def test_money_that_came_before_the_refused_order_is_reported_too() -> None:
    found = reserved().tell(make.captured(), make.ordered(reservation_id="R-other"))
    assert found.published == ["error.orderConflict", "alert.paymentWithoutCertificate"]


def test_money_for_a_refused_line_that_was_removed_has_to_go_back() -> None:
    found = reserved().tell(make.ordered(make.gift(), make.goods(), reservation_id="R-other"))
    found.tell(make.ordered(make.goods(), own=None, version=2), make.captured(750_000))
    assert found.published == ["refund.requested"]
    assert (found.only(e.RefundRequested).amount, found.status) == (500_000, Status.RESERVED)


def test_money_is_not_reported_once_the_channel_has_put_another_certificate_on_the_line() -> None:
    found = reserved().tell(make.ordered(reservation_id="R-other"))
    other(found).tell(names_other())
    assert found.state.refusals == ()
    assert found.tell(make.captured()).published == []


def test_a_refusal_is_told_once_and_stands_until_the_line_changes() -> None:
    found = reserved().tell(make.ordered(reservation_id="R-other"))
    assert found.tell(make.ordered(reservation_id="R-other", version=2)).published == []
    assert found.tell(make.ordered(reservation_id="R-third", version=3)).published == ["error.orderConflict"]


def test_an_order_refused_once_may_name_it_again_under_the_right_reservation() -> None:
    found = reserved().tell(make.ordered(reservation_id="R-other"), make.ordered(version=2))
    assert found.status == Status.ORDERED
    assert found.state.refusals == ()


def test_a_line_refused_again_is_one_refusal() -> None:
    found = reserved().tell(make.captured(), make.ordered(reservation_id="R-other"))
    found.tell(make.ordered(reservation_id="R-third", version=2))
    assert found.published == ["error.orderConflict"]
    assert len(found.state.refusals) == 1


def test_the_reservation_may_be_that_of_the_first_version_or_the_newest() -> None:
    changed = (make.ordered(), make.ordered(reservation_id=None, version=2))
    assert reserved().hear(*changed).status == Status.ORDERED
    corrected = (make.ordered(reservation_id="R-other"), make.ordered(version=2))
    assert reserved().hear(*corrected).status == Status.ORDERED


def gave_up() -> Certificate:
    """Ordered, not paid in time, released."""
    return sold().wait(3 * make.DAY)


def test_a_newer_version_that_changes_the_line_takes_a_released_certificate_back() -> None:
    found = gave_up()
    assert (found.status, found.tell(make.ordered(version=2)).published) == (Status.AVAILABLE, [])
    found.tell(make.ordered(make.gift(amount=450_000), version=3))
    assert (found.status, found.published) == (Status.ORDERED, ["issue.ordered"])
    event = found.only(e.Ordered)
    assert (event.reclaimed, event.amount) == (True, 450_000)
    assert found.sale.unpaid_until == found.clock + 3 * make.DAY


@pytest.mark.parametrize(
    ("reservation_id", "channel", "at", "status"),
    [
        (make.RESERVATION, "pos", make.NOON, Status.ORDERED),
        (None, "im", make.NOON, Status.ORDERED),
        (None, "pos", make.NOON, Status.AVAILABLE),
        (None, "im", make.NOON - make.HOUR, Status.AVAILABLE),
        ("R-other", "im", make.NOON, Status.AVAILABLE),
    ],
)
def test_a_released_certificate_is_taken_back_under_its_last_reservation_alone(
    reservation_id: str | None, channel: str, at: make.datetime, status: Status
) -> None:
    found = reserved().tell(make.ordered(certificate_id="another"))
    found.tell(make.given_back())
    order = make.ordered(reservation_id=reservation_id, channel=channel, at=at, version=2)
    assert found.tell(order).status == status


def test_a_certificate_that_another_channel_has_reserved_since_is_not_taken_back() -> None:
    found = gave_up().tell(make.reserve("R-2"))
    assert conflict(found.tell(make.ordered(make.gift(amount=450_000), version=2))) == "reservedByAnother"
    assert found.status == Status.RESERVED


@pytest.mark.parametrize("paid", [0, 1_000_000])
def test_two_certificates_that_are_swapped_follow_their_lines(paid: int) -> None:
    first = reserved()
    second = other(first)
    first.tell(make.ordered(gift("2"), gift("3", "other"), own=None))
    first.tell(*([make.captured(paid)] if paid else []))
    keys, before = (first.sale.line_key, second.sale.line_key), (first.status, second.status)
    published = len(second.events)
    first.tell(make.ordered(gift("3"), gift("2", "other"), own=None, version=2))
    assert (first.published, len(second.events)) == ([], published)
    assert (first.sale.line_id, second.sale.line_id) == ("3", "2")
    assert (first.sale.line_key, second.sale.line_key) == keys
    assert (first.status, second.status) == before
    first.tell(make.captured(500_000, "P-2", to={"3": 500_000}))
    assert (first.status, second.status) == (Status.ISSUED, before[1])


def gift(line_id: str, name: str = make.CERTIFICATE) -> o.OrderLine:
    reservation_id = make.RESERVATION if name == make.CERTIFICATE else f"R-{name}"
    return make.gift(line_id, make.PRICE, name, reservation_id=reservation_id)
