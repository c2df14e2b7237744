"""How the buyer is written to, as CRM says; merged, blocked and erased clients."""

from dataclasses import replace

import pytest

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.decision import Decision
from giftcert.domain.certificate.notification import notification
from giftcert.domain.clients import Client, Recipient
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, reserved, sold

RECIPIENT = Recipient(ref="R-5", channel="email", locale="en-GB")


def client(client_id: str = "C-77", **settings: object) -> Client:
    return replace(Client(client_id=client_id), **settings)  # type: ignore[arg-type]


def announced(*clients: Client) -> e.NotificationRequested:
    found = reserved()
    found.world.recipients["2"] = RECIPIENT
    found.terms = replace(found.terms, clients=clients)
    return found.tell(make.ordered(), make.captured()).only(e.NotificationRequested)


def test_the_notification_carries_what_the_client_wishes_and_the_recipient() -> None:
    asked = announced(client(locale="ru-RU", preferred_channel="sms"))
    assert (asked.customer_id, asked.locale, asked.preferred_channel) == ("C-77", "ru-RU", "sms")
    assert (asked.recipient, asked.suppressed) == (RECIPIENT, False)


def test_an_unknown_client_is_written_to_without_wishes() -> None:
    asked = announced()
    assert (asked.customer_id, asked.locale, asked.preferred_channel) == ("C-77", None, None)
    assert not asked.suppressed


def test_the_notification_of_a_blocked_client_is_suppressed() -> None:
    assert announced(client(blocked=True)).suppressed


def test_an_erased_client_leaves_no_recipient() -> None:
    assert announced(client(erased=True)).recipient is None


def test_the_wishes_of_another_client_are_not_the_buyer_s() -> None:
    asked = announced(client("C-99", blocked=True, locale="de-DE", erased=True))
    assert (asked.locale, asked.suppressed, asked.recipient) == (None, False, RECIPIENT)


def test_a_merged_client_is_named_by_the_survivor() -> None:
    merged = client(locale="ru-RU", merged_into="C-80")
    asked = announced(merged)
    assert (asked.customer_id, asked.locale) == ("C-80", "ru-RU")
    asked = announced(merged, client("C-80", locale="kk-KZ"))
    assert (asked.customer_id, asked.locale) == ("C-80", "kk-KZ")
    assert announced(merged, client("C-80", merged_into="C-81")).customer_id == "C-81"


def test_clients_merged_into_each_other_end_somewhere() -> None:
    asked = announced(client(merged_into="C-80"), client("C-80", merged_into="C-77"))
    assert asked.customer_id in {"C-77", "C-80"}


def test_a_new_buyer_of_a_released_certificate_is_announced_as_such() -> None:
    found = sold().tell(make.cancelled(), make.reserve("R-2"))
    found.tell(make.ordered(order_id="IM-2", customer_id="C-80", reservation_id="R-2"))
    found.terms = replace(found.terms, clients=(client(blocked=True), client("C-80")))
    asked = found.tell(make.captured(order_id="IM-2")).only(e.NotificationRequested)
    assert (asked.customer_id, asked.suppressed) == ("C-80", False)


def test_the_buyer_of_the_sale_is_the_one_that_the_order_names_last() -> None:
    found = sold().tell(make.ordered(version=2, customer_id="C-80"))
    assert found.sale.customer_id == "C-80"
    assert found.tell(make.captured()).only(e.NotificationRequested).customer_id == "C-80"


def test_only_an_issued_certificate_is_announced() -> None:
    for found in (Certificate(), sold()):
        with pytest.raises(ValueError, match="only an issued certificate"):
            notification(Decision(found.state, found.clock, found.terms, found.world.new_ids[found.name]))
