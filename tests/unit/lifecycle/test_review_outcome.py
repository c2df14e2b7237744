"""What a review leads to: what is written, who is woken, what support sees."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.state import CertificateState, LineRef, Status
from giftcert.domain.policy import Policy
from giftcert.lifecycle.details import plain_wording
from giftcert.lifecycle.order_changes import wake_of
from giftcert.lifecycle.review import Review
from giftcert.lifecycle.visibility import own_wake, snapshot
from giftcert.security.data_keys import key_id_of
from giftcert.storage.certificates import LoadedCertificate, ParkedWork, PendingLine
from giftcert.temporal.signals import Signal
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.factories import CERTIFICATE, HOUR, NOON, ORDER
from tests.unit.lifecycle.reviews import loaded, reserved, review_of, rows

PAID = (make.ordered(), make.captured(750_000))
PARKED = ParkedWork(kind="spending", key="spent-1", build="1", error="KeyError", since=NOON)


def reviewed(found: LoadedCertificate) -> Review:
    review = review_of(found)
    review.decide_pending()
    return review


def issued() -> CertificateState:
    return replace(reviewed(loaded(lines=rows(*PAID))).state, lines=())


# When it looks at itself ----------------------------------------------------------------------------


def test_an_ordered_certificate_looks_when_it_has_to_be_paid() -> None:
    review = reviewed(loaded(lines=rows(make.ordered())))
    assert review.next_instant == NOON + Policy().unpaid_after_order
    assert not review.is_over


def test_a_certificate_in_the_pool_never_looks_at_itself() -> None:
    review = reviewed(loaded(make.certificate()))
    assert review.is_over
    assert review.next_instant is None
    assert review.timer(NOON) is None


@pytest.mark.parametrize("left", [{"parked": (PARKED,)}, {"pending": (PendingLine((ORDER, 1), 7),)}])
def test_a_run_stays_while_anything_is_parked_or_came_too_late(
    left: dict[str, tuple[PendingLine, ...]],
) -> None:
    review = reviewed(loaded(make.certificate(), **left))  # type: ignore[arg-type]
    assert not review.is_over
    assert review.next_instant is None


@pytest.mark.parametrize(
    ("timer_at", "is_moved"),
    [
        (None, True),
        (NOON + timedelta(days=9), True),
        (NOON + Policy().unpaid_after_order, False),
        (NOON + HOUR, False),
    ],
)
def test_the_timer_moves_only_to_an_earlier_instant(timer_at: datetime | None, is_moved: bool) -> None:
    review = reviewed(loaded(lines=rows(make.ordered())))
    assert review.timer(timer_at) == (review.next_instant if is_moved else timer_at)


# What is written ------------------------------------------------------------------------------------


def test_nothing_new_is_nothing_to_write() -> None:
    found = loaded(make.certificate())
    assert reviewed(found).to_write(None, None) is None
    assert reviewed(found).to_write(NOON, None) is not None


def test_a_sale_is_written_with_all_that_belongs_to_it() -> None:
    found = loaded(lines=rows(*PAID))
    decision = reviewed(found).to_write(NOON, None)
    assert decision is not None
    assert [record.event_type for record in decision.records][:2] == ["issue.ordered", "issue.completed"]
    assert decision.pending == list(found.pending)
    assert (decision.reservation_changed, decision.resolution, decision.is_unlocked) == (
        True,
        "ordered",
        False,
    )
    assert len(decision.lines) == 1
    assert (decision.version, decision.sequence, decision.at, decision.timer_at) == (1, 1, NOON, NOON)


def test_a_reservation_that_a_retirement_ended_says_so() -> None:
    review = review_of(loaded())
    review.decide_request(make.retire())
    decision = review.to_write(None, None)
    assert decision is not None
    assert (decision.reservation_changed, decision.resolution) == (True, "retired")


def test_only_redemptions_that_changed_are_written() -> None:
    found = loaded(issued())
    first = review_of(found)
    first.decide_request(make.hold(redemption_id="D-1"))
    again = review_of(loaded(replace(first.state, lines=())))
    again.decide_request(make.hold(redemption_id="D-2"))
    decision = again.to_write(None, None)
    assert decision is not None
    assert [one.redemption_id for one in decision.redemptions] == ["D-2"]
    assert not decision.reservation_changed


def test_a_disclosure_has_the_sequence_of_its_event() -> None:
    found = loaded(issued())
    review = review_of(found)
    review.decide_request(make.block())
    review.decide_request(make.unblock())
    review.decide_request(m.DiscloseCvc(disclosed_to="crm", purpose="letter", notification_id="N-1"))
    decision = review.to_write(None, None)
    assert decision is not None
    [disclosure] = decision.disclosures
    assert disclosure.sequence == 1 + len(decision.records)
    assert (disclosure.disclosed_to, disclosure.purpose, disclosure.notification_id) == (
        "crm",
        "letter",
        "N-1",
    )


@pytest.mark.parametrize("is_locked", [True, False])
def test_a_number_is_unlocked_with_the_request_for_it(is_locked: bool) -> None:
    found = loaded(issued())
    review = review_of(found)
    review.decide_request(m.UnlockVerification(reason="called", by="support-1", is_locked=is_locked))
    decision = review.to_write(NOON, None)
    assert decision is not None
    assert decision.is_unlocked


def test_other_requests_unlock_no_number() -> None:
    review = review_of(loaded(issued()))
    review.decide_request(make.block())
    decision = review.to_write(NOON, None)
    assert decision is not None
    assert not decision.is_unlocked


# Whom it concerns -----------------------------------------------------------------------------------


def test_a_request_that_support_would_see_wakes_the_run() -> None:
    found = loaded(issued())
    review = review_of(found)
    request = make.block()
    review.decide_request(request)
    [wake] = own_wake(review, request)
    assert (wake.certificate_id, wake.signal, wake.channel) == (CERTIFICATE, Signal.REQUEST_DECIDED, "im")
    assert (wake.product, wake.order_id, wake.cause) == (make.FIXED.id, ORDER, "Block")


def test_a_hold_wakes_nobody() -> None:
    found = loaded(issued())
    review = review_of(found)
    request = make.hold()
    review.decide_request(request)
    assert list(own_wake(review, request)) == []


def test_a_certificate_that_no_order_had_has_no_run_to_wake() -> None:
    found = loaded()
    review = review_of(found)
    request = make.block()
    review.decide_request(request)
    assert list(own_wake(review, request)) == []


def test_a_run_is_woken_on_the_queue_of_the_channel_that_sold_last() -> None:
    state = issued()
    assert state.sale is not None
    back = replace(state, status=Status.AVAILABLE, sale=None, past_sales=(state.sale,), reservation=None)
    review = review_of(loaded(back))
    request = make.block()
    review.decide_request(request)
    assert [(wake.channel, wake.order_id) for wake in own_wake(review, request)] == [("im", ORDER)]


def test_a_run_that_waits_for_a_line_is_woken_when_its_reservation_is_given_back() -> None:
    review = review_of(loaded(replace(reserved(), waits_for=(LineRef(ORDER, 1),))))
    request = make.given_back()
    review.decide_request(request)
    [wake] = own_wake(review, request)
    assert (wake.channel, wake.order_id, wake.cause) == ("im", None, "ReleaseReservation")


def test_whoever_waits_for_a_line_is_told_of_it() -> None:
    ordered = reviewed(loaded(lines=rows(make.ordered()))).state
    lines = tuple(replace(row, waiters=("waiter",)) for row in rows(*PAID, holder=CERTIFICATE))
    review = reviewed(loaded(replace(ordered, lines=()), lines))
    [row] = review.freed()
    assert (row.certificate_id, row.order_id, row.line_key) == ("waiter", *lines[0].key)
    wake = wake_of(row)
    assert (wake.certificate_id, wake.signal, wake.channel) == ("waiter", Signal.LINE_FREED, "im")
    assert wake.order_id == ORDER


SEALED_BY = key_id_of(b"cvc")


# What support sees ----------------------------------------------------------------------------------


def test_the_first_snapshot_of_a_run_has_the_sealed_secrets() -> None:
    review = reviewed(loaded(lines=rows(*PAID)))
    first = snapshot(review, (), plain_wording(), sealed_by=0)
    assert first.sealed is not None
    assert (first.sealed.number_sealed, first.sealed.cvc_sealed) == (b"number", b"cvc")
    assert snapshot(review, (), plain_wording(), sealed_by=SEALED_BY).sealed is None
    assert (first.status, first.over, first.next_instant) == ("issued", False, review.next_instant)


def test_a_snapshot_says_in_words_when_it_looks_at_itself() -> None:
    review = reviewed(loaded(lines=rows(make.ordered())))
    assert (
        "It looks at itself again on 2026-11-26 12:00 UTC."
        in snapshot(review, (), plain_wording(), sealed_by=SEALED_BY).details
    )


def test_what_is_parked_is_said_in_words() -> None:
    found = loaded(issued(), parked=(PARKED,))
    text = snapshot(reviewed(found), (), plain_wording(), sealed_by=SEALED_BY).details
    assert text.startswith("**GC-5000** is **issued**.")
    assert text.endswith("\n\n**One message could not be decided**, through a fault of the service.")
    assert (
        "decided"
        not in snapshot(reviewed(loaded(issued())), (), plain_wording(), sealed_by=SEALED_BY).details
    )
