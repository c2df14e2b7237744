"""Validity, block, unblock, writing to the client again."""

from giftcert.domain import events as e
from giftcert.domain import messages as m
from giftcert.domain.deadlines import next_deadline
from giftcert.domain.state import Status
from tests.unit.domain import factories as make
from tests.unit.domain.certificates import Certificate, issued, reserved, sold


def test_validity_ends_after_365_days_and_the_rest_is_breakage() -> None:
    found = issued().wait(365 * make.DAY)
    assert (found.status, found.state.balance) == (Status.EXPIRED, 0)
    assert found.only(e.Expired).breakage == 500_000


def test_validity_was_promised_and_does_not_end_early() -> None:
    found = issued()
    found.clock += 364 * make.DAY
    assert found.tell(m.ValidityEnded(key="early")).last == ()


def test_nothing_is_due_of_a_certificate_in_the_pool_or_finished() -> None:
    for found in (Certificate(), reserved(), issued().tell(make.refunded())):
        assert next_deadline(found.state, found.terms.policy) is None


def test_a_block_is_told_once_and_shown_as_the_status() -> None:
    found = issued().tell(make.block())
    assert (found.told, found.state.shown_status) == (["audit.blocked"], "blocked")
    assert found.tell(make.block()).told == []


def test_unblocking_restores_what_was() -> None:
    found = issued().tell(make.block(), make.unblock())
    assert (found.told, found.state.shown_status) == (["audit.unblocked"], "issued")
    assert found.tell(make.unblock()).told == []


def test_facts_are_recorded_while_blocked() -> None:
    found = sold().tell(make.block(), make.captured())
    assert (found.status, found.state.shown_status) == (Status.ISSUED, "blocked")


def test_a_client_who_never_got_it_is_written_to_again() -> None:
    found = issued()
    first = found.only(e.NotificationRequested)
    found.tell(m.RequestNotification(key="again", requested_by="crm-1"))
    again = found.only(e.NotificationRequested)
    assert again.notification_id != first.notification_id
    assert again.valid_until == first.valid_until
