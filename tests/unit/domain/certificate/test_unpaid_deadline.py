"""The rule "Unpaid deadline": the latest of what order, authorisations and voids granted, then ever less often."""

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.deadlines import deadlines
from giftcert.domain.certificate.decide import decide
from giftcert.domain.certificate.state import Status
from giftcert.domain.certificate.words import ReleaseReason
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, issued, reserved, sold
from tests.unit.domain.certificate.world import counting_ids


def due(found: Certificate) -> object:
    return found.next_deadline and found.next_deadline.at


def test_an_order_without_money_is_given_up_after_72_hours() -> None:
    found = sold().wait(72 * make.HOUR - make.MINUTE)
    assert found.published == []
    found.wait(make.MINUTE)
    assert found.status == Status.AVAILABLE
    assert found.published == ["alert.unpaid", "issue.released"]
    assert found.only(e.Released).reason == ReleaseReason.UNPAID
    alert = found.only(e.UnpaidAlerted)
    assert (alert.reason, alert.captured, alert.missing) == ("nothingCaptured", 0, 500_000)


def test_the_alert_says_that_earlier_payments_are_not_known() -> None:
    found = reserved()
    found.world.earlier_payments_unknown = True
    found.tell(make.ordered()).wait(3 * make.DAY)
    assert found.only(e.UnpaidAlerted).reason == "earlierPaymentsUnknown"


def test_an_order_paid_in_part_is_kept_and_told_of_ever_less_often() -> None:
    found = sold().tell(make.captured(200_000)).wait(60 * make.DAY)
    assert found.status == Status.ORDERED
    alerts = found.all(e.UnpaidAlerted)
    assert [alert.attempt for alert in alerts] == list(range(1, len(alerts) + 1))
    assert (alerts[0].captured, alerts[0].missing, alerts[0].reason) == (200_000, 300_000, "partlyCaptured")
    assert 3 <= len(alerts) <= 6
    assert found.tell(make.captured(300_000)).status == Status.ISSUED


def test_the_smallest_part_keeps_the_order() -> None:
    found = sold().tell(make.captured(1)).wait(3 * make.DAY)
    assert (found.status, found.published) == (Status.ORDERED, ["alert.unpaid"])


def test_an_authorisation_keeps_the_order_for_seven_days() -> None:
    found = sold()
    found.clock += make.DAY
    assert due(found.tell(make.authorized())) == make.NOON + 8 * make.DAY


def test_an_authorisation_before_the_order_counts_from_when_it_came() -> None:
    assert due(reserved().tell(make.authorized(), make.ordered())) == make.NOON + 7 * make.DAY


def test_a_void_leaves_two_hours_and_never_less_than_the_order_has() -> None:
    found = sold().tell(make.authorized(), make.voided())
    assert due(found) == make.NOON + 72 * make.HOUR
    found = sold().tell(make.authorized())
    found.clock += 4 * make.DAY
    assert due(found.tell(make.voided())) == make.NOON + 4 * make.DAY + 2 * make.HOUR


def test_another_authorisation_still_keeps_the_order() -> None:
    found = sold().tell(make.authorized(payment_id="P-1"), make.authorized(payment_id="P-2"))
    assert due(found.tell(make.voided("P-1"))) == make.NOON + 7 * make.DAY


def test_a_payment_voided_and_tried_again_keeps_the_order() -> None:
    found = sold().tell(make.authorized(), make.voided())
    found.clock += make.DAY
    assert due(found.tell(make.authorized())) == make.NOON + 8 * make.DAY


def test_a_deadline_that_moved_in_the_meantime_does_nothing() -> None:
    found = sold().tell(make.authorized())
    found.clock += 3 * make.DAY
    assert found.tell(m.UnpaidDeadlinePassed()).published == []


def test_an_open_refund_case_waits_for_itself_not_for_payment() -> None:
    found = sold().tell(make.captured(200_000), make.cancelled())
    (waiting,) = deadlines(found.world.loaded(found.name), found.terms.policy)
    assert isinstance(waiting.message, m.RefundDeadlinePassed)
    found.clock += 3 * make.DAY
    assert found.tell(m.UnpaidDeadlinePassed()).published == []


def test_money_that_came_and_went_is_nothing_captured() -> None:
    found = sold(make.goods(), make.gift()).tell(make.captured(250_000), make.refunded(250_000))
    assert found.status == Status.ORDERED
    found.wait(3 * make.DAY)
    assert found.status == Status.AVAILABLE


def test_money_of_a_sale_that_was_refunded_keeps_no_later_sale_of_the_line() -> None:
    found = sold().tell(make.captured(200_000), make.refunded(200_000))
    assert found.status == Status.AVAILABLE
    found.tell(make.reserve("R-2"), make.ordered(make.gift(amount=450_000), reservation_id="R-2", version=2))
    assert found.status == Status.ORDERED
    found.wait(3 * make.DAY)
    assert (found.status, found.only(e.UnpaidAlerted).captured) == (Status.AVAILABLE, 0)


def test_an_unpaid_deadline_of_a_certificate_that_is_not_ordered_is_ignored() -> None:
    for found in (Certificate(), reserved(), issued()):
        assert found.tell(m.UnpaidDeadlinePassed()).last == ()


def test_money_of_the_television_keeps_no_certificate() -> None:
    """Whether its capture or the deadline comes first."""
    for_the_goods = make.captured(250_000, to={"1": 250_000})
    both = (make.goods(), make.gift())
    before = sold(*both).tell(for_the_goods).wait(3 * make.DAY)
    after = sold(*both).wait(3 * make.DAY).tell(for_the_goods)
    assert before.status == after.status == Status.AVAILABLE
    assert [event.type for event in before.events] == [event.type for event in after.events]


def test_a_part_captured_for_certificates_alone_keeps_the_one_that_it_may_be_for() -> None:
    found = sold(make.gift("2"), make.gift("3")).tell(make.captured(500_000)).wait(3 * make.DAY)
    assert (found.status, found.published) == (Status.ORDERED, ["alert.unpaid"])
    alert = found.only(e.UnpaidAlerted)
    assert (alert.captured, alert.missing, alert.reason) == (500_000, 500_000, "partlyCaptured")


def test_money_of_certificates_keeps_the_certificate_and_a_person_is_told() -> None:
    found = sold().tell(make.captured(payment_id="P-9", tender="giftCertificate")).wait(3 * make.DAY)
    assert found.only(e.UnpaidAlerted).reason == "tenderNotAllowed"
    found.tell(make.captured(payment_id="P-1"))
    assert found.only(e.Issued).payment_ids == ("P-9", "P-1")
    found = sold(terms=make.terms(certificates_buy_certificates=True))
    found.tell(make.captured(payment_id="P-9", tender="giftCertificate"))
    assert found.only(e.Issued).payment_ids == ("P-9",)


def test_the_price_that_stands_is_what_is_missing_where_another_was_refused() -> None:
    found = sold().tell(make.ordered(make.gift(amount=100), version=2), make.captured(100)).wait(3 * make.DAY)
    assert found.only(e.UnpaidAlerted).missing == 499_900


def test_a_line_that_changed_its_certificate_has_its_time_anew() -> None:
    found = sold()
    found.clock += 2 * make.DAY
    other = Certificate(world=found.world, name="other").tell(make.reserve("R-other"))
    other.tell(make.ordered(certificate_id="other", reservation_id="R-other", version=2))
    assert due(other) == make.NOON + 5 * make.DAY


def test_a_line_whose_row_was_not_loaded_is_not_given_up() -> None:
    found = sold()
    after = make.NOON + 3 * make.DAY
    decision = decide(found.state, m.UnpaidDeadlinePassed(), after, found.terms, counting_ids())
    assert (decision.recorded, decision.state) == ((), found.state)
