"""Spending: a channel holds part of the balance over HTTP. The hold is spent, given back, or lapses."""

from collections.abc import Callable

import pytest

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.redemptions import VoidRefusal
from giftcert.domain.certificate.state import RedemptionState, Status
from giftcert.domain.certificate.words import RejectionReason
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, issued, reserved, sold, spent


def money(found: Certificate) -> tuple[int, int]:
    return found.state.balance, found.state.held


def refusal(found: Certificate) -> RejectionReason:
    assert found.published == ["redemption.rejected"]
    event = found.only(e.RedemptionRejected)
    assert (event.redemption_id, event.order_id, event.payment_id) == ("D-1", "POS-5", None)
    assert found.state.redemptions == ()
    assert found.decision.refusal == event.reason
    return event.reason


def test_a_hold_takes_from_the_balance_what_it_holds() -> None:
    found = issued().tell(make.hold(100_000))
    assert (found.published, money(found)) == (["redemption.authorized"], (400_000, 100_000))
    event = found.only(e.RedemptionAuthorized)
    assert (event.redemption_id, event.amount, event.order_id) == ("D-1", 100_000, "POS-5")


def test_a_hold_alone_changes_no_status() -> None:
    assert issued().tell(make.hold(500_000)).status == Status.ISSUED
    found = spent(100_000).tell(make.hold(400_000, "D-2"))
    assert (found.status, money(found)) == (Status.PARTIALLY_REDEEMED, (0, 400_000))


def test_the_whole_balance_may_be_held_and_nothing_beyond() -> None:
    assert money(issued().tell(make.hold(500_000))) == (0, 500_000)
    assert refusal(issued().tell(make.hold(500_001))) == RejectionReason.INSUFFICIENT_BALANCE


def test_the_same_redemption_asked_for_again_is_left_as_it_is() -> None:
    found = issued().tell(make.hold())
    for again in (found.tell(make.hold()), found.tell(make.unhold()).tell(make.hold())):
        assert (again.decision.recorded, again.decision.refusal) == ((), None)
    assert money(found) == (500_000, 0)


def test_two_checkouts_cannot_hold_more_than_there_is() -> None:
    found = issued().tell(make.hold(300_000, "D-0"))
    found.tell(make.hold(300_000, "D-1"))
    assert found.only(e.RedemptionRejected).reason == RejectionReason.INSUFFICIENT_BALANCE
    assert money(found) == (200_000, 300_000)


def test_each_of_two_holds_keeps_its_channel_its_end_and_its_purchase() -> None:
    later = make.NOON + make.HOUR
    found = issued().tell(make.hold(redemption_id="D-1"), make.hold(redemption_id="D-2", seconds=3_600))
    kept = [(one.redemption_id, one.channel, one.expires_at) for one in found.state.redemptions]
    assert kept == [("D-1", "pos", make.NOON + 30 * make.MINUTE), ("D-2", "pos", later)]


# How long -----------------------------------------------------------------------------------------


def test_a_hold_lapses_when_its_time_is_over() -> None:
    found = issued().tell(make.hold(seconds=3_600)).wait(make.HOUR - make.MINUTE)
    assert (found.published, money(found)) == ([], (400_000, 100_000))
    found.wait(make.MINUTE)
    event = found.only(e.RedemptionVoided)
    assert (event.reason, event.amount, event.order_id) == ("holdLapsed", 100_000, "POS-5")
    assert (found.status, money(found)) == (Status.ISSUED, (500_000, 0))
    [over] = found.state.redemptions
    assert (over.state, over.lapsed) == (RedemptionState.LAPSED, 100_000)


def test_a_hold_lasts_no_longer_than_the_product_allows() -> None:
    found = issued().tell(make.hold(seconds=30 * 86_400)).wait(make.DAY)
    assert found.published == ["redemption.voided"]


def test_the_deadline_of_a_hold_that_has_ended_or_is_not_due_does_nothing() -> None:
    found = issued().tell(make.hold())
    assert found.tell(make.hold_lapsed()).decision.recorded == ()
    found.tell(make.unhold())
    found.clock += make.HOUR
    for redemption_id in ("D-1", "D-9"):
        assert found.tell(make.hold_lapsed(redemption_id)).decision.recorded == ()


def test_each_hold_lapses_at_its_own_time() -> None:
    found = issued().tell(make.hold(seconds=3_600), make.hold(redemption_id="D-2", seconds=60))
    found.wait(make.MINUTE)
    assert [one.state for one in found.state.redemptions] == ["authorized", "lapsed"]


# Given back ---------------------------------------------------------------------------------------


def test_the_channel_gives_a_hold_back() -> None:
    found = issued().tell(make.hold(), make.unhold())
    event = found.only(e.RedemptionVoided)
    assert (event.reason, event.amount, event.payment_id) == ("channelVoided", 100_000, None)
    assert (found.published, money(found)) == (["redemption.voided"], (500_000, 0))
    [given_back] = found.state.redemptions
    assert (given_back.state, given_back.lapsed) == (RedemptionState.VOIDED, 0)


def test_what_is_no_hold_any_more_cannot_be_given_back_by_the_channel() -> None:
    for found, refusal in (
        (spent(100_000), VoidRefusal.CAPTURED),
        (issued().tell(make.hold(), make.unhold()), None),
        (issued().tell(make.hold()).wait(make.HOUR), None),
        (issued(), VoidRefusal.NOT_THE_HOLDER),
    ):
        found.tell(make.unhold())
        assert (found.decision.recorded, found.decision.refusal) == ((), refusal)


def test_another_channel_cannot_give_a_hold_back() -> None:
    found = issued().tell(make.hold(), make.unhold(channel="im"))
    assert (found.decision.recorded, found.decision.refusal) == ((), VoidRefusal.NOT_THE_HOLDER)
    assert money(found) == (400_000, 100_000)


# Refused ------------------------------------------------------------------------------------------


def expired() -> Certificate:
    return issued().wait(365 * make.DAY)


def past_validity_before_its_deadline_was_told() -> Certificate:
    found = issued()
    found.clock += 365 * make.DAY
    return found


REFUSED: list[tuple[Callable[[], Certificate], RejectionReason]] = [
    (Certificate, RejectionReason.NOT_ACTIVE),
    (reserved, RejectionReason.NOT_ACTIVE),
    (sold, RejectionReason.NOT_ACTIVE),
    (lambda: issued().tell(make.refunded()), RejectionReason.NOT_ACTIVE),
    (lambda: reserved().tell(make.retire()), RejectionReason.NOT_ACTIVE),
    (lambda: issued().tell(make.block()), RejectionReason.BLOCKED),
    (expired, RejectionReason.EXPIRED),
    (past_validity_before_its_deadline_was_told, RejectionReason.EXPIRED),
    (lambda: issued(make.goods(), make.gift()).tell(make.returned()), RejectionReason.REFUND_IN_PROGRESS),
    (lambda: issued().tell(make.refunded(currency="EUR")), RejectionReason.REFUND_IN_PROGRESS),
]


@pytest.mark.parametrize(("begin", "reason"), REFUSED)
def test_a_hold_is_refused_with_the_reason(begin: Callable[[], Certificate], reason: RejectionReason) -> None:
    found = begin()
    before = money(found)
    assert refusal(found.tell(make.hold())) == reason
    assert money(found) == before


def test_a_certificate_that_is_spent_is_not_active() -> None:
    found = spent(500_000).tell(make.hold(100_000, "D-2"))
    assert found.only(e.RedemptionRejected).reason == RejectionReason.NOT_ACTIVE


def test_a_hold_in_another_currency_is_refused() -> None:
    assert refusal(issued().tell(make.hold(currency="EUR"))) == RejectionReason.CURRENCY_MISMATCH


def test_a_refund_of_an_earlier_sale_does_not_stop_spending() -> None:
    found = sold().tell(make.cancelled(), make.captured(), make.reserve("R-2"))
    found.tell(make.ordered(order_id="IM-2", reservation_id="R-2"), make.captured(order_id="IM-2"))
    assert found.state.past_sales[0].open_case is not None
    assert found.tell(make.hold()).published == ["redemption.authorized"]
