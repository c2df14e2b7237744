"""How the buyer is written to, as CRM says; merged, blocked and erased clients."""

import pytest

from giftcert.domain import events as e
from giftcert.domain import messages as m
from giftcert.domain.decision import Decision
from giftcert.domain.sale import notification
from tests.unit.domain import factories as make
from tests.unit.domain.certificates import Certificate, reserved, sold

RECIPIENT = m.Recipient(ref="R-5", channel="email", locale="en-GB")


def announced(*clients: m.ClientUpdated) -> e.NotificationRequested:
    found = reserved().tell(make.ordered(recipient=RECIPIENT), *clients, make.captured())
    return found.only(e.NotificationRequested)


def test_the_notification_carries_what_the_client_wishes_and_the_recipient() -> None:
    asked = announced(make.client(locale="ru-RU", preferred_channel="sms"))
    assert (asked.customer_id, asked.locale, asked.preferred_channel) == ("C-77", "ru-RU", "sms")
    assert (asked.recipient, asked.suppressed) == (RECIPIENT, False)


def test_an_unknown_client_is_written_to_without_wishes() -> None:
    asked = announced()
    assert (asked.customer_id, asked.locale, asked.preferred_channel, asked.suppressed) == (
        "C-77",
        None,
        None,
        False,
    )


def test_the_notification_of_a_blocked_client_is_suppressed() -> None:
    assert announced(make.client(blocked=True)).suppressed
    later = make.client(at=make.NOON + make.HOUR)
    assert not announced(make.client(blocked=True), later).suppressed


def test_an_order_that_comes_after_its_client_was_erased_tells_no_recipient_either() -> None:
    found = reserved().tell(make.client(erased=True), make.ordered(recipient=RECIPIENT), make.captured())
    assert found.only(e.NotificationRequested).recipient is None


def test_an_older_word_about_a_client_changes_nothing() -> None:
    asked = announced(make.client(at=make.NOON + make.HOUR, locale="ru-RU"), make.client(locale="de-DE"))
    assert asked.locale == "ru-RU"


def test_of_two_words_of_one_instant_the_later_told_counts() -> None:
    assert announced(make.client(locale="de-DE"), make.client(locale="ru-RU")).locale == "ru-RU"


def test_the_same_word_again_changes_nothing() -> None:
    found = sold().tell(make.client())
    assert found.tell(make.client()).last == ()


def test_the_wishes_of_another_client_are_not_the_buyer_s() -> None:
    asked = announced(make.client("C-99", blocked=True, locale="de-DE"))
    assert (asked.locale, asked.suppressed) == (None, False)


def test_a_merged_client_is_named_by_the_survivor() -> None:
    merged = make.client(locale="ru-RU", merged_into="C-80")
    asked = announced(merged)
    assert (asked.customer_id, asked.locale) == ("C-80", "ru-RU")
    asked = announced(merged, make.client("C-80", locale="kk-KZ"))
    assert (asked.customer_id, asked.locale) == ("C-80", "kk-KZ")
    asked = announced(merged, make.client("C-80", merged_into="C-81"))
    assert asked.customer_id == "C-81"


def test_clients_merged_into_each_other_end_somewhere() -> None:
    asked = announced(make.client(merged_into="C-80"), make.client("C-80", merged_into="C-77"))
    assert asked.customer_id in {"C-77", "C-80"}


def test_an_erased_client_leaves_no_wishes_and_no_recipient_anywhere() -> None:
    erased = make.client(locale=None, preferred_channel=None, erased=True)
    assert announced(erased).recipient is None
    found = reserved().tell(make.ordered(recipient=RECIPIENT), erased)
    assert "R-5" not in repr(found.state)
    assert found.sale.customer_id == "C-77"  # ids remain
    found.tell(make.client(at=make.NOON + make.HOUR), make.captured())
    assert found.only(e.NotificationRequested).recipient is None


def test_erasing_one_client_leaves_the_orders_of_others() -> None:
    erased = make.client("C-99", erased=True)
    assert announced(erased).recipient == RECIPIENT
    found = reserved().tell(make.ordered(make.goods(), own=None, customer_id="C-99"), erased)
    assert found.state.order(make.ORDER).own is None


def test_a_new_buyer_of_a_released_certificate_is_announced_with_his_own_wishes() -> None:
    found = sold().tell(make.client(blocked=True), make.cancelled(), make.reserve("R-2"))
    found.tell(make.ordered(order_id="IM-2", customer_id="C-80", reservation_id="R-2"))
    found.tell(make.captured(order_id="IM-2"))
    asked = found.only(e.NotificationRequested)
    assert (asked.customer_id, asked.suppressed) == ("C-80", False)


def test_the_buyer_of_the_sale_is_the_one_that_the_order_names_last() -> None:
    found = sold().tell(make.ordered(version=2, customer_id="C-80"))
    assert found.sale.customer_id == "C-80"
    assert found.tell(make.ordered(version=3, customer_id=None)).sale.customer_id == "C-80"


def test_only_an_issued_certificate_is_announced() -> None:
    for found in (Certificate(), sold()):
        with pytest.raises(ValueError, match="only an issued certificate"):
            notification(Decision(found.state, found.clock, found.terms, found.new_id))
