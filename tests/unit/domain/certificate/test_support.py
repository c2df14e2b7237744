"""Validity, block, unblock, retirement, writing to the client again, locked numbers."""

import pytest

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.state import Status
from giftcert.domain.certificate.support_requests import record_act
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, issued, reserved, sold, spent


def test_validity_ends_after_365_days_and_the_rest_is_breakage() -> None:
    found = issued().wait(365 * make.DAY)
    assert (found.status, found.state.balance) == (Status.EXPIRED, 0)
    assert found.only(e.Expired).breakage == 500_000


def test_validity_was_promised_and_does_not_end_early() -> None:
    found = issued()
    found.clock += 364 * make.DAY
    assert found.tell(m.ValidityEnded()).decision.recorded == ()


def test_a_hold_made_in_time_survives_the_validity_s_end_and_the_unheld_rest_is_breakage() -> None:
    found = with_a_hold_over_the_end()
    assert found.published == ["audit.expired"]
    assert (found.status, found.state.balance, found.state.held) == (Status.EXPIRED, 0, 100_000)
    assert found.only(e.Expired).breakage == 400_000


def test_a_hold_that_survived_may_be_captured_and_what_it_frees_is_breakage_too() -> None:
    found = with_a_hold_over_the_end().tell(make.spending(amount=60_000))
    assert found.published == ["redemption.captured", "audit.expired"]
    assert found.only(e.Expired) == e.Expired(reason="holdEnded", by="system", breakage=40_000)
    assert (found.status, found.state.balance, found.state.held) == (Status.EXPIRED, 0, 0)
    assert with_a_hold_over_the_end().tell(make.spending(amount=99_999)).only(e.Expired).breakage == 1
    assert with_a_hold_over_the_end().tell(make.spending()).published == ["redemption.captured"]


def test_a_hold_that_survived_and_is_given_back_or_lapses_is_breakage_too() -> None:
    for found in (
        with_a_hold_over_the_end().tell(make.unhold()),
        with_a_hold_over_the_end().tell(make.spending("voided")),
        with_a_hold_over_the_end().wait(make.HOUR),
    ):
        assert found.published == ["redemption.voided", "audit.expired"]
        assert found.only(e.Expired).breakage == 100_000
        assert (found.status, found.state.balance, found.state.held) == (Status.EXPIRED, 0, 0)


def test_validity_ends_of_what_is_left_of_a_spent_certificate() -> None:
    found = spent(100_000).wait(365 * make.DAY)
    assert (found.status, found.only(e.Expired).breakage) == (Status.EXPIRED, 400_000)
    assert spent(500_000).wait(365 * make.DAY).published == []


def test_validity_ends_while_blocked_or_while_a_refund_waits() -> None:
    blocked = issued().tell(make.block()).wait(365 * make.DAY)
    assert (blocked.status, blocked.state.shown_status) == (Status.EXPIRED, "blocked")
    waiting = issued().tell(make.refunded(currency="EUR")).wait(365 * make.DAY)
    assert waiting.status == Status.EXPIRED
    assert waiting.case.is_open


def with_a_hold_over_the_end() -> Certificate:
    found = issued()
    found.clock += 365 * make.DAY - make.MINUTE
    return found.tell(make.hold(seconds=3_600)).wait(make.MINUTE)


def test_nothing_is_due_of_a_certificate_in_the_pool_or_finished() -> None:
    for found in (Certificate(), issued().tell(make.refunded())):
        assert found.next_deadline is None


def test_a_block_is_told_once_and_shown_as_the_status() -> None:
    found = issued().tell(make.block())
    assert (found.published, found.state.shown_status) == (["audit.blocked"], "blocked")
    assert found.tell(make.block()).published == []


def test_unblocking_restores_what_was() -> None:
    found = issued().tell(make.block(), make.unblock())
    assert (found.published, found.state.shown_status) == (["audit.unblocked"], "issued")
    assert found.tell(make.unblock()).published == []


def test_facts_are_recorded_while_blocked() -> None:
    found = sold().tell(make.block(), make.captured())
    assert (found.status, found.state.shown_status) == (Status.ISSUED, "blocked")


def test_clocks_run_while_blocked() -> None:
    found = issued().tell(make.hold(), make.block()).wait(make.HOUR)
    assert (found.published, found.state.balance) == (["redemption.voided"], 500_000)
    found = issued(make.goods(), make.gift()).tell(make.returned(), make.block()).wait(7 * make.DAY)
    assert found.published == ["refund.pendingDetails"]


def test_unblocking_lets_spending_go_on() -> None:
    found = issued().tell(make.block(), make.hold())
    assert found.published == ["redemption.rejected"]
    assert found.tell(make.unblock(), make.hold()).published == ["redemption.authorized"]


def test_what_is_not_sold_is_retired() -> None:
    for found in (Certificate(), reserved()):
        found.tell(make.retire())
        assert (found.published, found.status, found.state.balance) == (["audit.retired"], Status.RETIRED, 0)


def test_what_is_sold_is_blocked_instead_as_a_person_would() -> None:
    for found in (sold(), issued(), spent(100_000)):
        before = found.status
        found.tell(make.retire())
        assert found.only(e.Blocked) == e.Blocked(reason="misprint", by="ops-1")
        assert (found.status, found.state.shown_status) == (before, "blocked")
        assert found.tell(make.retire()).published == []


def test_what_has_ended_is_not_retired() -> None:
    for found in (issued().wait(365 * make.DAY), reserved().tell(make.retire())):
        assert found.tell(make.retire()).decision.refusal is not None
        assert found.published == []


def test_a_client_who_never_got_it_is_written_to_again() -> None:
    found = issued()
    first = found.only(e.NotificationRequested)
    found.tell(m.RequestNotification(requested_by="crm-1"))
    again = found.only(e.NotificationRequested)
    assert again.notification_id != first.notification_id
    assert again.valid_until == first.valid_until
    assert found.only(e.OperatorActed).who == "crm-1"


def test_only_who_has_an_active_certificate_is_written_to_again() -> None:
    for found in (Certificate(), reserved(), sold(), issued().wait(365 * make.DAY)):
        found.tell(m.RequestNotification(requested_by="crm-1"))
        assert found.decision.refusal is not None
        assert found.published == []


def test_a_locked_number_is_told_and_its_release_names_who_and_why() -> None:
    found = issued().tell(m.LockVerification(attempts=5, since=make.NOON, channel="pos"))
    assert found.only(e.VerificationLocked) == e.VerificationLocked(
        attempts=5, since=make.NOON, channel="pos", web_url="http://web/certificate"
    )
    found.tell(m.UnlockVerification(reason="the owner mistyped", by="support-1"))
    assert found.only(e.OperatorActed) == e.OperatorActed(
        who="support-1", what="unlocked the number: the owner mistyped"
    )
    found.tell(m.UnlockVerification(reason="again", by="support-1", is_locked=False))
    assert (found.published, found.decision.refusal) == ([], None)


@pytest.mark.parametrize(
    ("message", "who", "what"),
    [
        (m.Block(reason="fraud", by="anna"), "anna", "blocked the certificate: fraud"),
        (m.Unblock(reason="cleared", by="boris"), "boris", "unblocked the certificate: cleared"),
    ],
)
def test_an_act_is_told_with_who_and_why_and_only_once(message: m.Request, who: str, what: str) -> None:
    found = issued() if isinstance(message, m.Block) else issued().tell(make.block())
    found.tell(message)
    record_act(found.decision, message)
    record_act(found.decision, message)
    assert found.decision.public[1:] == (e.OperatorActed(who=who, what=what),)


def test_an_act_that_changed_nothing_or_is_no_person_s_is_not_told() -> None:
    found = issued().tell(make.block()).tell(make.block())
    record_act(found.decision, make.block())
    assert found.decision.public == ()
    found = issued().tell(make.retire())
    record_act(found.decision, make.retire())
    assert [type(event) for event in found.decision.public] == [e.Blocked]


def test_what_a_person_decides_of_a_refund_is_told_with_the_note_and_an_agreement_once() -> None:
    for limit in (None, 400_000):
        found = spent(100_000, terms=make.terms(refund_four_eyes_over=limit))
        found.tell(make.refunded(500_000, to={"2": 500_000}))
        message = make.resolve(found.case.refund_case_id, "reject", None, by="anna")
        found.tell(message)
        record_act(found.decision, message)
        acts = [event for event in found.decision.public if isinstance(event, e.OperatorActed)]
        decided = f"decided to reject refund case {message.refund_case_id}: agreed by telephone"
        assert [act.who for act in acts] == ["anna"]
        assert (acts[0].what == decided) == (limit is None)
