"""alert.notificationUndeliverable: nobody can be written to, or CRM has not fetched number and CVC in time."""

from dataclasses import replace

import pytest

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.deadlines import deadlines
from giftcert.domain.certificate.words import UndeliverableReason
from giftcert.domain.clients import Client, Recipient
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, reserved

ALERT = "alert.notificationUndeliverable"
WAIT = make.DAY


def bought(
    *clients: Client, customer_id: str | None = "C-77", recipient: Recipient | None = None
) -> Certificate:
    found = reserved(terms=make.terms(notification_wait=WAIT))
    if recipient is not None:
        found.world.recipients["2"] = recipient
    found.terms = replace(found.terms, clients=clients)
    return found.tell(make.ordered(customer_id=customer_id), make.captured())


def alert(found: Certificate) -> e.NotificationUndeliverableAlerted:
    return found.only(e.NotificationUndeliverableAlerted)


def test_a_client_who_can_be_written_to_alerts_nobody() -> None:
    assert ALERT not in bought().published
    assert ALERT not in bought(customer_id=None, recipient=Recipient(ref="R-5")).published


def test_a_sale_that_names_neither_buyer_nor_recipient_is_reported_at_once_beside_the_request() -> None:
    found = bought(customer_id=None)
    assert found.published[-2:] == ["notification.requested", ALERT]
    asked = found.only(e.NotificationRequested)
    assert alert(found) == e.NotificationUndeliverableAlerted(
        notification_id=asked.notification_id,
        order_id="IM-1001",
        line_id="2",
        customer_id=None,
        reason=UndeliverableReason.NO_ADDRESSEE,
        since=found.clock,
        web_url="http://web/certificate",
    )


@pytest.mark.parametrize(
    ("client", "reason"),
    [
        (Client(client_id="C-77", blocked=True), UndeliverableReason.CLIENT_BLOCKED),
        (Client(client_id="C-77", erased=True), UndeliverableReason.CLIENT_ERASED),
        (Client(client_id="C-77", erased=True, blocked=True), UndeliverableReason.CLIENT_ERASED),
    ],
)
def test_a_blocked_or_erased_client_is_reported_with_the_reason(
    client: Client, reason: UndeliverableReason
) -> None:
    found = bought(client, recipient=Recipient(ref="R-5"))
    assert alert(found).reason == reason
    assert found.cause_of(e.NotificationUndeliverableAlerted) == found.cause_of(e.NotificationRequested)


def test_the_survivor_of_a_merge_is_judged_and_named() -> None:
    merged = Client(client_id="C-77", blocked=True, merged_into="C-80")
    assert ALERT not in bought(merged, Client(client_id="C-80")).published
    found = bought(merged, Client(client_id="C-80", erased=True))
    assert (alert(found).customer_id, alert(found).reason) == ("C-80", UndeliverableReason.CLIENT_ERASED)


def test_what_crm_has_not_fetched_in_time_is_reported_once() -> None:
    found = bought()
    asked, since = found.only(e.NotificationRequested), found.clock
    assert found.wait(WAIT - make.HOUR).published == []
    assert found.wait(make.HOUR).published == [ALERT]
    assert (alert(found).reason, alert(found).since) == (UndeliverableReason.NOT_FETCHED, since)
    assert alert(found).notification_id == asked.notification_id
    assert found.wait(10 * WAIT).published == []


def test_what_crm_has_fetched_is_not_waited_for() -> None:
    assert bought().tell(make.disclose()).wait(10 * WAIT).published == []


def test_a_refused_request_for_the_cvc_fetches_nothing() -> None:
    found = bought().tell(make.block(), make.disclose(), make.unblock())
    assert found.wait(WAIT).published == [ALERT]


def test_a_new_request_to_write_is_waited_for_anew() -> None:
    found = bought().wait(WAIT).tell(m.RequestNotification("support-1"))
    asked = found.only(e.NotificationRequested)
    assert found.wait(WAIT).published == [ALERT]
    assert alert(found).notification_id == asked.notification_id


def test_who_has_spent_or_lost_the_certificate_is_not_waited_for() -> None:
    spent = bought().tell(make.hold(), make.spending())
    assert spent.wait(10 * WAIT).published == []
    refunded = bought().tell(make.cancelled(), make.refunded())
    assert refunded.wait(10 * WAIT).published == []
    assert bought().tell(make.block()).wait(10 * WAIT).published == []


def test_an_overdue_fetch_has_no_timer_as_it_is_nearly_always_over_long_before() -> None:
    found = bought()
    timers = {type(one.message): one.has_timer for one in deadlines(found.state, found.terms.policy)}
    assert timers == {m.NotificationOverdue: False, m.ValidityEnded: True}
