"""What is due of a certificate and when, which of it time alone may release, and when nothing is open any more."""

from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.deadlines import Deadline, deadlines, is_over, next_deadline
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, issued, reserved, sold

HALF_AN_HOUR = make.NOON + 30 * make.MINUTE


def due(found: Certificate) -> set[Deadline]:
    return set(deadlines(found.world.loaded(found.name), found.terms.policy))


def over(found: Certificate) -> bool:
    return is_over(found.world.loaded(found.name), found.terms.policy)


def test_nothing_is_due_of_a_certificate_from_the_pool() -> None:
    assert due(Certificate()) == set()


def test_the_lapse_of_a_reservation_releases() -> None:
    lapse = Deadline(HALF_AN_HOUR, m.ReservationLapsed(make.RESERVATION))
    assert due(reserved()) == {lapse}
    assert lapse.may_release


def test_the_unpaid_deadline_of_an_order_releases() -> None:
    unpaid = Deadline(make.NOON + 3 * make.DAY, m.UnpaidDeadlinePassed())
    assert due(sold()) == {unpaid}
    assert unpaid.may_release


def test_the_end_of_the_validity_and_of_each_hold() -> None:
    found = issued().tell(make.disclose(), make.hold(redemption_id="D-1"), make.hold(redemption_id="D-2"))
    assert due(found) == {
        Deadline(make.NOON + 365 * make.DAY, m.ValidityEnded()),
        Deadline(HALF_AN_HOUR, m.HoldLapsed("D-1")),
        Deadline(HALF_AN_HOUR, m.HoldLapsed("D-2")),
    }


def test_the_deadline_of_a_refund_case() -> None:
    found = issued().tell(make.cancelled())
    case = m.RefundDeadlinePassed(found.case.refund_case_id)
    deadline = Deadline(make.NOON + 7 * make.DAY, case)
    assert deadline in due(found)
    assert not deadline.may_release


def test_what_is_passed_over_hides_nothing_behind_it() -> None:
    found = issued().tell(make.disclose(), make.hold())
    state, policy = found.world.loaded(found.name), found.terms.policy
    first = next_deadline(state, policy)
    assert first is not None
    assert first.message == m.HoldLapsed("D-1")
    second = next_deadline(state, policy, {first.message})
    assert second is not None
    assert second.message == m.ValidityEnded()
    assert next_deadline(state, policy, {first.message, second.message}) is None


def test_what_is_in_the_pool_or_finished_is_over_unless_something_is_open() -> None:
    assert over(Certificate())
    assert over(reserved())  # a set statement lapses it
    assert over(sold().tell(make.cancelled()))
    assert over(issued().tell(make.refunded()))
    assert over(issued().wait(365 * make.DAY))
    assert over(issued().tell(make.hold(500_000), make.spending(amount=500_000)))
    assert over(reserved().tell(make.retire()))


def test_what_is_sold_or_waits_for_something_is_not_over() -> None:
    assert not over(sold())
    assert not over(issued())
    assert not over(sold().tell(make.cancelled(), make.captured()))  # a refund case of a past sale
    held = issued()
    held.clock += 365 * make.DAY - make.MINUTE
    assert not over(held.tell(make.hold()).wait(make.MINUTE))


def test_who_waits_for_a_line_is_not_over() -> None:
    first = sold()
    second = Certificate(world=first.world, name="other").tell(make.reserve("R-other"))
    first.world.say(make.ordered(certificate_id="other", reservation_id="R-other", version=2))
    assert not over(second.look_alone())
