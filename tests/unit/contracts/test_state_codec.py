from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest

from giftcert.contracts.codec import decode_state, encode_state
from giftcert.domain.cause import Cause
from giftcert.domain.certificate.state import (
    CertificateState,
    Line,
    LineRef,
    Redemption,
    RedemptionState,
    RefundCase,
    RefundState,
    Reservation,
    Sale,
    Status,
)
from giftcert.domain.order.standing import LineStanding, Naming

NOON = datetime(2026, 11, 23, 12, 0, 0, 1, tzinfo=UTC)
STATE = CertificateState(certificate_id="c", product="GC-5000", currency="RUB", nominal=500_000)
CAUSE = Cause("All_SalesOrder", "so-1", NOON, "im")
NAMING = Naming(
    certificate_id="c",
    version=1,
    occurred_at=NOON,
    reservation_id=None,
    applied_at=NOON,
    terms_version=1,
    terms_applied_at=NOON,
    newest_reservation_id=None,
    replaces=None,
    cause=CAUSE,
    terms_cause=CAUSE,
)
STANDING = LineStanding(
    order_id="IM-1001",
    line_key=1,
    line_id="2",
    revision=1,
    currency="RUB",
    channel="im",
    customer_id="C-77",
    naming=NAMING,
    amount=500_000,
    nominal=None,
    price=500_000,
    listed=True,
    withdrawal=None,
    order_cancelled=False,
    captured=0,
    excess=0,
    is_paid=False,
    is_paid_by_any_tender=False,
    paying=(),
    missing=500_000,
    captured_at=None,
    captured_cause=None,
    foreign_captures=(),
    refunds=(),
    all_back=False,
    other_lines_money=False,
    earlier_payments_unknown=False,
)


def sold() -> CertificateState:
    case = RefundCase(refund_case_id="r", state=RefundState.REQUESTED, amount=5, opened_at=NOON)
    return replace(
        STATE,
        status=Status.ISSUED,
        reservation=Reservation(reservation_id="R-1", reserved_until=NOON, ended=True),
        sale=Sale(order_id="IM-1001", line_key=1, line_id="2", amount=500_000, cases=(case,)),
        waits_for=(LineRef("IM-2", 3),),
        redemptions=(
            Redemption(redemption_id="D-1", state=RedemptionState.AUTHORIZED, order_id="POS-5", held=5),
        ),
    )


@pytest.mark.parametrize("state", [STATE, sold()])
def test_a_stored_state_is_read_back_whole(state: CertificateState) -> None:
    assert decode_state(encode_state(state)) == state


def test_order_lines_are_not_part_of_what_is_stored() -> None:
    line = Line(standing=STANDING)

    assert decode_state(encode_state(replace(sold(), lines=(line,)))) == sold()


def test_a_field_added_since_has_its_default() -> None:
    stored = (
        '{"certificate_id": "c", "product": "GC-5000", "currency": "RUB", "nominal": 500000, "colour": "red"}'
    )

    assert decode_state(stored) == STATE


def test_what_is_no_state_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_state('{"certificate_id": "c"}')
