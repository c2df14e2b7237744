"""Each event as a whole: what support, BI and channels read in it."""

from typing import Any

import pytest

from giftcert.domain import events as e
from giftcert.domain import messages as m
from giftcert.domain.events import RejectionReason, ReleaseReason
from tests.unit.domain import factories as make
from tests.unit.domain.certificates import Certificate, issued, reserved, sold, spent

WEB = "http://web/certificate"
BOTH = (make.goods(), make.gift())
ON_LINE: dict[str, Any] = {"order_id": make.ORDER, "line_id": "2"}
PURCHASE: dict[str, Any] = {"redemption_id": "D-1", "order_id": "POS-5", "payment_id": "P-5"}
YEAR = 365 * make.DAY


def said(found: Certificate, kind: type) -> Any:
    return found.only(kind)


# The pool and the sale ----------------------------------------------------------------------------


def test_a_reservation() -> None:
    found = reserved()
    until = make.NOON + 30 * make.MINUTE
    assert found.last == (
        e.Reserved(reservation_id="R-1", reserved_until=until),
        e.ReservationOpened(channel="im", reserved_at=make.NOON, nominal=None),
    )


def test_releases() -> None:
    def released(found: Certificate) -> e.Released:
        return found.only(e.Released)

    def because(reason: ReleaseReason, order_id: str | None = make.ORDER) -> e.Released:
        return e.Released(reservation_id="R-1", order_id=order_id, reason=reason)

    over = reserved()
    over.clock += make.HOUR
    gone = make.ordered(make.goods(), own=None, version=2)
    assert released(reserved().tell(make.given_back())) == because(ReleaseReason.CHANNEL_RELEASED, None)
    assert released(over.tell(make.lapsed())) == because(ReleaseReason.RESERVATION_EXPIRED, None)
    assert released(sold().tell(make.cancelled())) == because(ReleaseReason.ORDER_CANCELLED)
    assert released(sold().tell(make.returned())) == because(ReleaseReason.ORDER_CANCELLED)
    assert released(sold(*BOTH).tell(gone)) == because(ReleaseReason.LINE_REMOVED)
    assert released(sold().tell(make.captured(400_000), make.refunded(400_000))) == because(
        ReleaseReason.REFUNDED_BEFORE_ISSUE
    )
    assert released(sold().wait(3 * make.DAY)) == because(ReleaseReason.UNPAID)


def test_an_order_and_what_it_opens() -> None:
    found = reserved().tell(make.ordered(make.gift(amount=450_000), replaces="certificate-0"))
    assert found.last[1:] == (
        e.Ordered(**ON_LINE, amount=450_000, reclaimed=False, replaces="certificate-0"),
        e.SaleOpened(
            channel="im",
            customer_id="C-77",
            nominal=500_000,
            opened_at=make.NOON,
            unpaid_until=make.NOON + 3 * make.DAY,
        ),
    )


def test_a_sale_taken_up_again() -> None:
    found = sold(*BOTH).wait(3 * make.DAY).tell(make.captured(750_000))
    late = make.NOON + 3 * make.DAY
    assert found.last[1:3] == (
        e.Ordered(**ON_LINE, amount=500_000, reclaimed=True, replaces=None),
        e.SaleOpened(
            channel="im",
            customer_id="C-77",
            nominal=500_000,
            opened_at=late,
            unpaid_until=late + 3 * make.DAY,
        ),
    )


def test_the_issue_and_its_notification() -> None:
    gift_to = m.Recipient(ref="R-5", channel="email", locale="ru-RU")
    found = reserved().tell(make.ordered(recipient=gift_to), make.client(), make.captured(payment_id="P-9"))
    assert found.last[1:] == (
        e.Issued(**ON_LINE, amount=500_000, payment_ids=("P-9",), valid_until=make.NOON + YEAR),
        e.NotificationRequested(
            notification_id="id-1",
            kind="certificateIssued",
            order_id=make.ORDER,
            customer_id="C-77",
            recipient=gift_to,
            preferred_channel="email",
            locale="ru-RU",
            valid_until=make.NOON + YEAR,
            suppressed=False,
        ),
    )


CONFLICTS: list[tuple[m.OrderStated, str, str]] = [
    (make.ordered(currency="EUR"), "currencyMismatch", "the product is sold in RUB"),
    (make.ordered(nominal=1), "nominalOutOfBounds", "the nominal is not one of the product's"),
    (
        make.ordered(make.gift(amount=1)),
        "amountOutOfBounds",
        "the price is not within the product's greatest discount of the nominal",
    ),
    (
        make.ordered(reservation_id="R-9"),
        "reservedByAnother",
        "the certificate is under another reservation",
    ),
    (
        make.ordered(line_holder=m.LineHolder.ISSUED),
        "lineAlreadyIssued",
        "the line's certificate has been issued; return the line and order anew",
    ),
]


def conflict(reason: str, detail: str, order_id: str = make.ORDER) -> e.OrderConflicted:
    return e.OrderConflicted(order_id=order_id, line_id="2", reason=reason, detail=detail)


@pytest.mark.parametrize(("message", "reason", "detail"), CONFLICTS)
def test_what_an_order_is_refused_for(message: m.OrderStated, reason: str, detail: str) -> None:
    assert said(reserved().tell(message), e.OrderConflicted) == conflict(reason, detail)


def test_what_an_order_is_refused_for_by_the_certificate_s_standing() -> None:
    other = make.ordered(order_id="IM-2")
    ran_out = reserved()
    ran_out.clock += make.HOUR
    ran_out.tell(make.lapsed(), make.ordered(reservation_id="R-9"))
    for found, expected in (
        (Certificate().tell(other), conflict("notReserved", "the certificate was never reserved", "IM-2")),
        (ran_out, conflict("notReserved", "the certificate's last reservation is not the order's")),
        (sold().tell(other), conflict("heldByAnotherOrder", "the certificate is ordered", "IM-2")),
        (
            reserved().tell(make.retire(), other),
            conflict("notForSale", "the certificate is retired", "IM-2"),
        ),
        (reserved().tell(make.block(), other), conflict("blocked", "the certificate is blocked", "IM-2")),
        (
            reserved().tell(
                make.ordered(make.gift("2"), make.gift("3"), own="3", reservation_id="R-1"),
                make.ordered(make.gift("2"), make.gift("3"), version=2),
            ),
            conflict("otherLine", "the certificate stands on another line of the order"),
        ),
        (
            issued().tell(make.ordered(make.gift(amount=450_000), version=2)),
            conflict("alreadyIssued", "amount and nominal cannot change once the certificate is issued"),
        ),
    ):
        assert found.only(e.OrderConflicted) == expected


def test_a_line_that_was_withdrawn_before() -> None:
    found = reserved().tell(make.ordered(make.goods(), make.gift(), own=None), make.returned())
    found.tell(make.ordered(make.goods(), make.gift(), version=3))
    assert found.only(e.OrderConflicted) == conflict(
        "lineWithdrawn", "the line was cancelled or returned before"
    )


def test_messages_that_do_not_fit() -> None:
    def unexpected(found: Certificate) -> tuple[str, str]:
        event = found.only(e.UnexpectedMessage)
        return event.reason, event.detail

    other = "otherReservation", "the certificate is under another reservation"
    assert unexpected(issued().tell(make.retire())) == (
        "statusDoesNotAllow",
        "Retire does not fit a certificate that is issued",
    )
    assert unexpected(Certificate().tell(make.block(), make.reserve())) == (
        "blocked",
        "a blocked certificate is not given",
    )
    assert unexpected(reserved().tell(make.given_back("R-9"))) == other
    assert unexpected(reserved().tell(make.extended(make.NOON, "R-9"))) == other
    assert unexpected(spent(100_000).tell(make.spending("payment.voided"))) == (
        "redemptionCaptured",
        "a captured redemption is refunded, not voided",
    )
    assert unexpected(spent(100_000).tell(make.spending("payment.refunded", currency="EUR"))) == (
        "currencyMismatch",
        "the certificate is in another currency",
    )
    assert unexpected(issued().tell(make.spending("payment.refunded"))) == (
        "restoreExceedsSpent",
        "more would be restored than the redemption spent",
    )


# Unpaid, and money without a certificate ----------------------------------------------------------


def test_an_unpaid_order() -> None:
    assert sold(*BOTH).wait(3 * make.DAY).only(e.UnpaidAlerted) == e.UnpaidAlerted(
        **ON_LINE,
        amount=500_000,
        captured=0,
        missing=750_000,
        reason="nothingCaptured",
        attempt=1,
        web_url=WEB,
    )
    found = sold(*BOTH).tell(make.captured(300_000)).wait(3 * make.DAY)
    assert found.only(e.UnpaidAlerted) == e.UnpaidAlerted(
        **ON_LINE,
        amount=500_000,
        captured=300_000,
        missing=450_000,
        reason="partlyCaptured",
        attempt=1,
        web_url=WEB,
    )


def test_money_without_a_certificate() -> None:
    found = reserved().tell(make.ordered(reservation_id="R-9"), make.captured(400_000))
    assert found.only(e.PaymentWithoutCertificateAlerted) == e.PaymentWithoutCertificateAlerted(
        **ON_LINE, amount=400_000, reason="reservedByAnother", web_url=WEB
    )
    found = sold().wait(3 * make.DAY).tell(make.reserve("R-2"), make.captured(400_000))
    assert found.only(e.PaymentWithoutCertificateAlerted) == e.PaymentWithoutCertificateAlerted(
        **ON_LINE, amount=400_000, reason="noLongerFree", web_url=WEB
    )


# Spending -----------------------------------------------------------------------------------------


def test_a_hold() -> None:
    assert issued().tell(make.hold()).last == (
        e.RedemptionAuthorized(redemption_id="D-1", amount=100_000, order_id="POS-5", payment_id=None),
        e.HoldOpened(redemption_id="D-1", channel="pos", expires_at=make.NOON + 30 * make.MINUTE),
    )


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
    told = [make.spending(kind) for kind in ("payment.authorized", "payment.captured", "payment.refunded")]
    about = {"payment_id": "P-5", "redemption_id": "D-1", "channel": "pos"}
    recorded = [e.SpendingRecorded(key=one.key, **about) for one in told]
    assert found.tell(told[0]).last == (recorded[0],)
    assert found.tell(told[1]).last == (e.RedemptionCaptured(**PURCHASE, amount=100_000), recorded[1])
    assert found.tell(told[2]).last == (e.RedemptionRestored(**PURCHASE, amount=100_000), recorded[2])


def test_a_hold_given_back() -> None:
    by_payment = issued().tell(make.hold(), make.spending("payment.voided", 1)).only(e.RedemptionVoided)
    assert by_payment == e.RedemptionVoided(**PURCHASE, amount=100_000, reason="paymentVoided")
    known = issued().tell(make.hold(), make.spending("payment.authorized"), make.unhold())
    assert known.only(e.RedemptionVoided) == e.RedemptionVoided(
        **PURCHASE, amount=100_000, reason="channelVoided"
    )


def test_an_authorisation_without_a_hold() -> None:
    found = issued().tell(make.spending("payment.authorized", redemption_id="D-1"))
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
    found = spent(100_000).wait(YEAR).tell(make.spending("payment.refunded"))
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
    found.tell(m.RequestNotification(key="again", requested_by="crm-1"))
    acted, again = found.last
    assert acted == e.OperatorActed(who="crm-1", what="asked that the client is written to again")
    assert isinstance(again, e.NotificationRequested)
    assert again.notification_id != first.notification_id
    assert (again.kind, again.order_id, again.valid_until) == (first.kind, first.order_id, first.valid_until)
