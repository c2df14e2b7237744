from dataclasses import replace
from datetime import UTC, datetime
from typing import get_args

import msgspec
import pytest

from giftcert.contracts.codec import (
    UnknownMessageKind,
    decode_message,
    decode_state,
    encode_message,
    encode_state,
)
from giftcert.domain.messages import (
    Allocation,
    Block,
    Cause,
    Line,
    LineHolder,
    Message,
    OrderStated,
    OwnLine,
    PaymentRefunded,
    Recipient,
)
from giftcert.domain.state import (
    CertificateState,
    OrderFacts,
    Payment,
    PaymentKind,
    RefundCase,
    RefundState,
    Sale,
)

NOON = datetime(2026, 11, 23, 12, 0, 0, 1, tzinfo=UTC)
ORDER = OrderStated(
    key="k-1",
    cause=Cause("All_SalesOrder", "so-1"),
    occurred_at=NOON,
    channel="im",
    order_id="IM-1001",
    order_version=1,
    customer_id="C-77",
    currency="RUB",
    total=750_000,
    lines=(Line("1", "goods", 250_000), Line("2", "giftCertificate", 500_000)),
    own=OwnLine(line_id="2", amount=500_000, recipient=Recipient("R-5", "email", "ru-RU"), replaces="other"),
    line_holder=LineHolder.ORDERED,
)
REFUND = PaymentRefunded(
    key="k-2",
    cause=None,
    occurred_at=NOON,
    channel="pos",
    order_id="IM-1001",
    payment_id="P-9",
    refund_id="R-1",
    tender="card",
    amount=5,
    currency="RUB",
    allocations=(Allocation("2", 5),),
)
STATE = CertificateState(certificate_id="c", product="GC-5000", currency="RUB", nominal=500_000)


@pytest.mark.parametrize("message", [ORDER, REFUND, Block(key="k-3", reason="stolen", by="anna")])
def test_a_stored_message_is_read_back_as_its_own_kind(message: Message) -> None:
    again = decode_message(encode_message(message))

    assert again == message
    assert type(again) is type(message)


def test_every_message_of_the_domain_can_be_read_back_by_its_tag() -> None:
    for kind in get_args(Message):
        with pytest.raises(msgspec.ValidationError, match="missing required field"):
            decode_message(b'{"kind": "%s", "body": {}}' % kind.__name__.encode())


def test_a_message_of_a_newer_version_is_named() -> None:
    with pytest.raises(UnknownMessageKind, match="Teleported"):
        decode_message(b'{"kind": "Teleported", "body": {}}')


def test_a_stored_state_is_read_back_whole() -> None:
    case = RefundCase(refund_case_id="r", state=RefundState.REQUESTED, amount=5, opened_at=NOON)
    paid = Payment(
        key="k",
        kind=PaymentKind.CAPTURED,
        payment_id="P",
        tender="card",
        amount=5,
        currency="RUB",
        occurred_at=NOON,
    )
    sold = replace(
        STATE,
        sale=Sale(order_id="IM-1001", line_id="2", amount=500_000, cases=(case,)),
        orders=(OrderFacts(order_id="IM-1001", lines=ORDER.lines, own=ORDER.own, payments=(paid,)),),
    )

    assert decode_state(encode_state(STATE)) == STATE
    assert decode_state(encode_state(sold)) == sold
