"""Each event of a purchase, of time and of people as a whole: what support, BI and channels read in it."""

from typing import Any

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.words import RejectionReason
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import issued, reserved, spent

WEB = "http://web/certificate"
PURCHASE: dict[str, Any] = {"redemption_id": "D-1", "order_id": "POS-5", "payment_id": "P-5"}
YEAR = 365 * make.DAY

# Spending -----------------------------------------------------------------------------------------


def test_a_hold() -> None:
    found = issued().tell(make.hold())
    assert found.last == (
        e.RedemptionAuthorized(redemption_id="D-1", amount=100_000, order_id="POS-5", payment_id=None),
    )
    (hold,) = found.state.redemptions
    assert (hold.channel, hold.expires_at) == ("pos", make.NOON + 30 * make.MINUTE)


def test_a_refused_hold() -> None:
    assert issued().tell(make.hold(500_001)).last == (
        e.RedemptionRejected(
            redemption_id="D-1",
            amount=500_001,
            order_id="POS-5",
            payment_id=None,
            reason=RejectionReason.INSUFFICIENT_BALANCE,
        ),
    )


def test_a_purchase_from_its_authorisation_to_its_refund() -> None:
    found = issued().tell(make.hold())
    assert found.tell(make.spending("authorized")).last == ()
    assert found.state.redemptions[0].payment_id == "P-5"
    assert found.tell(make.spending()).last == (e.RedemptionCaptured(**PURCHASE, amount=100_000),)
    assert found.tell(make.spending("refunded")).last == (e.RedemptionRestored(**PURCHASE, amount=100_000),)


def test_a_hold_given_back() -> None:
    by_payment = issued().tell(make.hold(), make.spending("voided", 1)).only(e.RedemptionVoided)
    assert by_payment == e.RedemptionVoided(**PURCHASE, amount=100_000, reason="paymentVoided")
    known = issued().tell(make.hold(), make.spending("authorized"), make.unhold())
    assert known.only(e.RedemptionVoided) == e.RedemptionVoided(
        **PURCHASE, amount=100_000, reason="channelVoided"
    )


def test_an_authorisation_without_a_hold() -> None:
    found = issued().tell(make.spending("authorized", redemption_id="D-1"))
    assert found.last[0] == e.RedemptionRejected(
        **PURCHASE, amount=100_000, reason=RejectionReason.HOLD_REQUIRED
    )


def test_goods_that_the_certificate_does_not_pay() -> None:
    found = issued().tell(make.hold(), make.spending(amount=200_000, redemption_id="D-1"))
    assert found.last[:2] == (
        e.RedemptionRejected(**PURCHASE, amount=200_000, reason=RejectionReason.EXCEEDS_HOLD),
        e.RedemptionUncoveredAlerted(**PURCHASE, amount=200_000, reason="exceedsHold", web_url=WEB),
    )


def test_a_restore_that_nothing_can_take() -> None:
    found = spent(100_000).wait(YEAR).tell(make.spending("refunded"))
    assert found.last[0] == e.RedemptionUncoveredAlerted(
        **PURCHASE, amount=100_000, reason="certificateExpired", web_url=WEB
    )


# Time and people ----------------------------------------------------------------------------------


def test_acts_of_people_and_time() -> None:
    assert issued().wait(YEAR).last == (e.Expired(reason="validityEnded", by="system", breakage=500_000),)
    assert issued().tell(make.block()).last == (e.Blocked(reason="lost", by="support-1"),)
    unblocked = issued().tell(make.block(), make.unblock())
    assert unblocked.last == (e.Unblocked(reason="found", by="support-1"),)
    assert reserved().tell(make.retire()).last == (e.Retired(reason="misprint", by="ops-1"),)


def test_support_that_asks_to_write_again() -> None:
    found = issued()
    first = found.only(e.NotificationRequested)
    found.tell(m.RequestNotification("crm-1"))
    acted, again = found.last
    assert acted == e.OperatorActed(who="crm-1", what="asked that the client is written to again")
    assert isinstance(again, e.NotificationRequested)
    assert again.notification_id != first.notification_id
    assert (again.kind, again.order_id, again.valid_until) == (first.kind, first.order_id, first.valid_until)
