"""What support can filter certificates by in the Web UI."""

from dataclasses import replace

import pytest

from giftcert.domain.certificate.state import (
    CertificateState,
    RefundCase,
    RefundState,
    Status,
)
from giftcert.domain.certificate.words import RefundReason
from giftcert.lifecycle.visibility import visibility
from tests.unit.lifecycle.one_sale import ISSUED, NOON, ORDERED, SALE

CASE = RefundCase(
    refund_case_id="case-1",
    state=RefundState.PENDING_DETAILS,
    amount=700_000,
    reason=RefundReason.EXCEEDS_CAPTURED,
    pending_since=NOON,
)
PENDING = replace(ISSUED, sale=replace(SALE, cases=(CASE,)))


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


def test_since_when_a_person_is_to_decide_is_a_column_too() -> None:
    assert visibility(PENDING).refund_since == NOON
    assert visibility(ISSUED).refund_since is None
