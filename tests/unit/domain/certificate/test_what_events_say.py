"""Each event as a whole: what support, BI and channels read in it."""

from dataclasses import replace
from typing import Any

import pytest

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.state import Reservation, Sale
from giftcert.domain.certificate.words import ConflictReason, ReleaseReason
from giftcert.domain.clients import Client, Recipient
from giftcert.domain.order import messages as o
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, issued, reserved, sold

WEB = "http://web/certificate"
BOTH = (make.goods(), make.gift())
ON_LINE: dict[str, Any] = {"order_id": make.ORDER, "line_id": "2"}
OF_LINE: dict[str, Any] = ON_LINE | {"line_key": 1}
PURCHASE: dict[str, Any] = {"redemption_id": "D-1", "order_id": "POS-5", "payment_id": "P-5"}
YEAR = 365 * make.DAY


def said(found: Certificate, kind: type) -> Any:
    return found.only(kind)


# The pool and the sale ----------------------------------------------------------------------------


def test_a_reservation() -> None:
    found = reserved()
    until = make.NOON + 30 * make.MINUTE
    assert found.last == (e.Reserved(reservation_id="R-1", reserved_until=until),)
    assert found.state.reservation == Reservation(
        reservation_id="R-1", reserved_until=until, channel="im", reserved_at=make.NOON
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
    found = reserved().tell(make.ordered(make.gift(amount=450_000)))
    assert found.last == (e.Ordered(**OF_LINE, amount=450_000, reclaimed=False, replaces=None),)
    assert found.sale == Sale(
        **OF_LINE,
        amount=450_000,
        channel="im",
        customer_id="C-77",
        listed_amount=450_000,
        nominal=500_000,
        unpaid_until=make.NOON + 3 * make.DAY,
    )


def test_an_order_with_a_discount_of_the_whole() -> None:
    found = reserved().tell(make.ordered(make.goods("1", 500_000), make.gift(), total=900_000))
    assert found.last == (e.Ordered(order_id=make.ORDER, line_id="2", line_key=2, amount=450_000),)
    assert found.sale.listed_amount == 500_000


def test_a_sale_taken_up_again_has_the_time_that_its_version_granted() -> None:
    found = sold().wait(3 * make.DAY).tell(make.captured())
    assert found.last[0] == e.Ordered(**OF_LINE, amount=500_000, reclaimed=True, replaces=None)
    later = make.NOON + 3 * make.DAY
    assert found.sale.unpaid_until == later
    assert (found.sale.listed_amount, found.sale.nominal) == (500_000, 500_000)


def test_the_issue_and_its_notification() -> None:
    gift_to = Recipient(ref="R-5", channel="email", locale="ru-RU")
    found = reserved()
    found.world.recipients["2"] = gift_to
    client = Client(client_id="C-77", locale="ru-RU", preferred_channel="email")
    found.terms = replace(found.terms, clients=(client,))
    found.tell(make.ordered(), make.captured(payment_id="P-9"))
    assert found.last == (
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


CONFLICTS: list[tuple[o.OrderStated, ConflictReason, str]] = [
    (
        make.ordered(currency="EUR"),
        ConflictReason.CURRENCY_MISMATCH,
        "the product is sold in another currency",
    ),
    (
        make.ordered(nominal=1),
        ConflictReason.NOMINAL_OUT_OF_BOUNDS,
        "the nominal is not one of the product's",
    ),
    (
        make.ordered(make.gift(amount=1)),
        ConflictReason.AMOUNT_OUT_OF_BOUNDS,
        "the price is not within the product's greatest discount of the nominal",
    ),
    (
        make.ordered(reservation_id="R-9"),
        ConflictReason.RESERVED_BY_ANOTHER,
        "the certificate is under another reservation",
    ),
]


def conflict(reason: ConflictReason, detail: str, order_id: str = make.ORDER) -> e.OrderConflicted:
    return e.OrderConflicted(order_id=order_id, line_id="2", reason=reason, detail=detail)


@pytest.mark.parametrize(("message", "reason", "detail"), CONFLICTS)
def test_what_an_order_is_refused_for(message: o.OrderStated, reason: ConflictReason, detail: str) -> None:
    assert said(reserved().tell(message), e.OrderConflicted) == conflict(reason, detail)


def test_what_an_order_is_refused_for_by_what_became_of_the_certificate() -> None:
    other = make.ordered(order_id="IM-2")
    for found, expected in (
        (
            Certificate().tell(other),
            conflict(
                ConflictReason.NOT_RESERVED, "the certificate's last reservation is not the order's", "IM-2"
            ),
        ),
        (
            sold().tell(other),
            conflict(ConflictReason.HELD_BY_ANOTHER_ORDER, "another order has the certificate", "IM-2"),
        ),
        (
            reserved().tell(make.retire(), other),
            conflict(ConflictReason.NOT_FOR_SALE, "the certificate was withdrawn from sale", "IM-2"),
        ),
        (
            reserved().tell(make.block(), other),
            conflict(ConflictReason.BLOCKED, "the certificate is blocked", "IM-2"),
        ),
        (
            issued().tell(make.ordered(make.gift(amount=450_000), version=2)),
            conflict(
                ConflictReason.ALREADY_ISSUED,
                "amount and nominal cannot change once the certificate is issued",
            ),
        ),
    ):
        assert found.only(e.OrderConflicted) == expected


def test_a_line_that_was_withdrawn_before() -> None:
    found = sold(make.goods(), make.gift()).tell(make.returned())
    found.tell(make.ordered(make.goods(), make.gift(), version=3))
    assert found.only(e.OrderConflicted) == conflict(
        ConflictReason.LINE_WITHDRAWN, "the line was cancelled or returned, which is for good"
    )


# Unpaid, and money without a certificate ----------------------------------------------------------


def test_an_unpaid_order() -> None:
    assert sold(*BOTH).wait(3 * make.DAY).only(e.UnpaidAlerted) == e.UnpaidAlerted(
        **ON_LINE,
        amount=500_000,
        captured=0,
        missing=500_000,
        reason="nothingCaptured",
        attempt=1,
        web_url=WEB,
    )
    found = sold(*BOTH).tell(make.captured(300_000)).wait(3 * make.DAY)  # goods take unallocated money first
    assert found.only(e.UnpaidAlerted) == e.UnpaidAlerted(
        **ON_LINE,
        amount=500_000,
        captured=50_000,
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
    found = sold().tell(make.captured(6_000, "P-7", currency="EUR"))
    assert found.only(e.PaymentWithoutCertificateAlerted) == e.PaymentWithoutCertificateAlerted(
        **ON_LINE,
        amount=6_000,
        reason="currencyMismatch",
        web_url=WEB,
        payment_id="P-7",
        foreign_currency="EUR",
    )
