"""What support reads of a certificate in the Web UI, and what it can filter by."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from giftcert.domain.certificate.events import RefundReason
from giftcert.domain.certificate.state import (
    CertificateState,
    LineRef,
    Redemption,
    RedemptionState,
    RefundCase,
    RefundState,
    Sale,
    Status,
)
from giftcert.lifecycle.visibility import details, names, visibility

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SALE = Sale(order_id="IM-1", line_key=1, line_id="2", amount=450_000, channel="im")
ORDERED = CertificateState(
    certificate_id="c",
    product="GC-5000",
    currency="RUB",
    nominal=500_000,
    status=Status.ORDERED,
    sale=SALE,
)
ISSUED = replace(ORDERED, status=Status.ISSUED, balance=500_000)
CASE = RefundCase(
    refund_case_id="case-1",
    state=RefundState.PENDING_DETAILS,
    amount=700_000,
    reason=RefundReason.EXCEEDS_CAPTURED,
)
PENDING = replace(ISSUED, sale=replace(SALE, cases=(CASE,)))
HOLD = Redemption(
    redemption_id="r-1",
    state=RedemptionState.AUTHORIZED,
    order_id="POS-1",
    held=100_000,
    expires_at=NOON + timedelta(minutes=30),
)


def test_an_order_waits_for_its_payment() -> None:
    text = details(ORDERED, NOON)
    assert "is **ordered**. It waits for payment of the order." in text
    assert "Order IM-1, line 2, price 450000." in text
    assert "Next looks at itself at 2026-11-23 12:00:00 UTC." in text


def test_an_issued_certificate_waits_for_the_end_of_its_validity() -> None:
    assert "is **issued**. It waits for the end of validity." in details(ISSUED, NOON)


def test_a_hold_is_told_with_whom_it_is_for() -> None:
    text = details(replace(ISSUED, redemptions=(HOLD,), balance=400_000, held=100_000), NOON)
    assert "It waits for the capture of a hold." in text
    assert "Order POS-1 holds 100000 until 2026-11-23 12:30:00 UTC (redemption r-1)." in text


def test_a_hold_of_which_no_end_is_known_is_told_without_one() -> None:
    endless = replace(HOLD, expires_at=None)
    text = details(replace(ISSUED, redemptions=(endless,), balance=0, held=100_000), NOON)
    assert "Balance 0, held 100000, of a nominal of 500000." in text
    assert "Order POS-1 holds 100000 (redemption r-1)." in text


def test_all_that_support_reads_stands_in_paragraphs() -> None:
    assert details(PENDING, NOON).split("\n\n") == [
        "**GC-5000** is **issued**. It waits for a person to decide refund case case-1.",
        "Order IM-1, line 2, price 450000.",
        "Balance 500000, held 0, of a nominal of 500000.",
        "Refund case case-1 of order IM-1 is **pendingDetails**, exceedsCaptured: amount 700000.",
        "Next looks at itself at 2026-11-23 12:00:00 UTC.",
        "Amounts are in minor units of RUB, as in the topics.",
    ]


def test_a_refund_that_needs_a_person_says_so_with_its_reason() -> None:
    text = details(PENDING, None)
    assert "It waits for a person to decide refund case case-1." in text
    assert "of order IM-1 is **pendingDetails**, exceedsCaptured: amount 700000." in text


def test_a_refund_whose_money_is_awaited_is_told_without_a_reason() -> None:
    requested = replace(CASE, state=RefundState.REQUESTED, reason=None)
    text = details(replace(ISSUED, sale=replace(SALE, cases=(requested,))), NOON)
    assert "It waits for the money of a refund." in text
    assert "Refund case case-1 of order IM-1 is **requested**: amount 700000." in text


def test_a_certificate_that_waits_for_a_line_says_so() -> None:
    waiting = replace(ORDERED, status=Status.RESERVED, sale=None, waits_for=(LineRef("IM-1", 1),))
    assert "It waits for another certificate to leave its order line." in details(waiting, None)


def test_a_refunded_certificate_waits_for_nothing() -> None:
    assert "is **refunded**. It waits for nothing." in details(
        replace(ISSUED, status=Status.REFUNDED, balance=0), None
    )


def test_amounts_are_told_with_their_unit() -> None:
    assert "minor units of RUB" in details(ORDERED, NOON)


@pytest.mark.parametrize("state", [ORDERED, ISSUED])
def test_an_ordinary_sale_sets_neither_status_nor_refund_state(state: CertificateState) -> None:
    shown = visibility(state)
    assert (shown.status, shown.refund_state) == (None, None)
    assert (shown.channel, shown.order_id, shown.product) == ("im", "IM-1", "GC-5000")


@pytest.mark.parametrize(
    ("state", "status", "refund_state"),
    [
        (replace(ISSUED, blocked=True), "blocked", "none"),
        (replace(ISSUED, status=Status.PARTIALLY_REDEEMED), "partiallyRedeemed", "none"),
        (PENDING, "issued", "pendingDetails"),
        (replace(ISSUED, status=Status.REFUNDED), "refunded", "none"),
    ],
)
def test_whatever_is_out_of_the_ordinary_can_be_found(
    state: CertificateState, status: str, refund_state: str
) -> None:
    shown = visibility(state)
    assert (shown.status, shown.refund_state) == (status, refund_state)


def test_a_case_of_an_earlier_sale_is_found_under_its_order() -> None:
    released = replace(
        PENDING, status=Status.AVAILABLE, sale=None, past_sales=(replace(SALE, cases=(CASE,)),)
    )
    shown = visibility(released)
    assert (shown.order_id, shown.channel) == ("IM-1", "im")
    assert (shown.refund_state, shown.refund_reason) == ("pendingDetails", "exceedsCaptured")


@pytest.mark.parametrize(
    ("order_id", "shown"),
    [
        ("[free](https://evil.example)", "`[free](https://evil.example)`"),
        ("![x](https://evil.example/x.png)", "`![x](https://evil.example/x.png)`"),
        ("www.evil.example", "`www.evil.example`"),
        ("**paid**", "`**paid**`"),
        ("<b>IM_1</b>", "`<b>IM_1</b>`"),
        ("a`b", "`` a`b ``"),
        ("IM-1\n\n# paid\x1b[2J", "`IM-1\\n\\n# paid\\x1b[2J`"),
    ],
)
def test_what_others_call_their_things_is_no_markdown(order_id: str, shown: str) -> None:
    sale = replace(SALE, order_id=order_id, line_id=order_id, cases=(CASE,))
    hold = replace(HOLD, order_id=order_id, redemption_id=order_id)
    text = details(replace(ISSUED, sale=sale, redemptions=(hold,), held=100_000), NOON)
    assert text.count(shown) == 5
    assert order_id not in text.replace(shown, "")
    assert ("orderId", order_id) in names(replace(ISSUED, sale=sale))
