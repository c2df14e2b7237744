"""How long a refund waits, and how often a person is told."""

import pytest

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.state import RefundState
from giftcert.domain.certificate.words import RefundReason
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import issued

BOTH = (make.goods(), make.gift())
TO_THE_LINE = {"2": 500_000}


@pytest.mark.parametrize("looked_after", [0 * make.DAY, 3 * make.DAY])
def test_a_refund_waits_from_when_it_came_however_late_it_is_looked_at(looked_after: make.timedelta) -> None:
    found = issued(*BOTH)
    found.world.say(make.refunded(200_000, to={"2": 200_000}))
    found.clock += looked_after
    assert found.look().case.waits_until == make.NOON + 7 * make.DAY


def test_a_case_that_waits_for_a_person_is_told_of_ever_less_often() -> None:
    found = issued().tell(make.refunded(600_000, to={"2": 600_000}))
    found.wait(make.DAY - make.MINUTE)
    assert found.published == []
    found.wait(60 * make.DAY)
    alerts = found.all(e.RefundStuckAlerted)
    assert [alert.attempt for alert in alerts] == list(range(1, len(alerts) + 1))
    assert alerts[0].reason == RefundReason.EXCEEDS_CAPTURED
    assert alerts[0].since == make.NOON
    assert 4 <= len(alerts) <= 7


def test_a_further_message_about_the_refund_starts_its_clock_anew() -> None:
    found = issued(*BOTH).tell(make.returned()).wait(7 * make.DAY)
    found.tell(make.refunded(200_000, to={"2": 200_000}))
    assert (found.published, found.case.state) == (["refund.requested"], RefundState.REQUESTED)
    assert (found.case.pending_since, found.case.alerts) == (None, 0)
    assert found.case.opened_at == make.NOON


def test_the_deadline_of_a_case_that_is_closed_or_not_due_does_nothing() -> None:
    found = issued(*BOTH).tell(make.returned())
    early = m.RefundDeadlinePassed(found.case.refund_case_id)
    assert found.tell(early).last == ()
    found.tell(make.refunded(to=TO_THE_LINE))
    found.clock += 8 * make.DAY
    assert found.tell(early).last == ()


def test_unrelated_messages_do_not_ask_a_person_again() -> None:
    found = issued(*BOTH).tell(make.refunded(600_000, to={"2": 600_000}))
    assert found.published == ["refund.pendingDetails"]
    assert found.tell(make.authorized()).published == []
    found = issued(*BOTH).tell(make.returned())
    assert found.tell(make.authorized()).published == []


def test_a_case_that_waits_for_years_goes_on_being_told_of() -> None:
    found = issued().tell(make.refunded(600_000, to={"2": 600_000})).wait(3650 * make.DAY)
    assert len(found.all(e.RefundStuckAlerted)) > 100


def test_alerts_that_an_outage_kept_back_do_not_come_all_at_once() -> None:
    found = issued().tell(make.refunded(600_000, to={"2": 600_000}))
    found.clock += 100 * make.DAY
    found.wait(make.HOUR)
    assert found.published == ["alert.refundStuck"]
