from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from giftcert.contracts.inputs import MalformedRecord, UnknownEventTypeError
from giftcert.contracts.payments import (
    PaymentRecord,
    decode_payment,
    decode_stored_payment,
    encode_payment,
    payment_message,
    spending_content,
    spending_identity,
    spending_message,
)
from giftcert.domain.cause import Cause
from giftcert.domain.certificate.messages import SpendingKind, SpendingReported
from giftcert.domain.order.messages import (
    Allocation,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentRefunded,
    PaymentVoided,
)
from tests.unit.contracts.topic_records import CERTIFICATE, payment, raw, without


def paid(**changes: Any) -> PaymentRecord:
    record = decode_payment(raw(payment(**changes)))
    assert isinstance(record, PaymentRecord)
    return record


def refunded(**changes: Any) -> PaymentRecord:
    return paid(**({"eventType": "payment.refunded", "refundId": "R-1"} | changes))


def spent(**changes: Any) -> PaymentRecord:
    return paid(**({"tender": "giftCertificate", "certificateId": CERTIFICATE} | changes))


LATER = "2026-11-24T00:00:00Z"
AT = datetime(2026, 11, 23, 10, 5, tzinfo=UTC)
CAUSE = Cause("All_Payments", "pay-1", AT, "im")


def test_a_capture_says_what_is_meant_for_which_line() -> None:
    assert payment_message(paid(captureId="K-1"), "All_Payments") == PaymentCaptured(
        cause=CAUSE,
        order_id="IM-1001",
        payment_id="P-9",
        capture_id="K-1",
        tender="card",
        amount=750_000,
        currency="RUB",
        allocations=(Allocation("2", 500_000),),
    )


def test_a_refund_is_known_by_its_refund_id() -> None:
    assert payment_message(refunded(), "All_Payments") == PaymentRefunded(
        cause=CAUSE,
        order_id="IM-1001",
        payment_id="P-9",
        refund_id="R-1",
        tender="card",
        amount=750_000,
        currency="RUB",
        allocations=(Allocation("2", 500_000),),
    )


@pytest.mark.parametrize(
    ("event_type", "kind"), [("payment.authorized", PaymentAuthorized), ("payment.voided", PaymentVoided)]
)
def test_a_promise_and_its_end_mean_the_whole_order(event_type: str, kind: type) -> None:
    message = payment_message(paid(eventType=event_type, captureId="K-1"), "All_Payments")

    assert message == kind(
        cause=CAUSE,
        order_id="IM-1001",
        payment_id="P-9",
        capture_id="K-1",
        tender="card",
        amount=750_000,
        currency="RUB",
    )


@pytest.mark.parametrize("kind", list(SpendingKind))
def test_a_payment_with_a_certificate_is_also_said_to_that_certificate(kind: SpendingKind) -> None:
    record = spent(eventType=f"payment.{kind}", redemptionId="D-1", refundId="R-1", captureId="K-1")

    assert record.spent_certificate_id == CERTIFICATE
    assert spending_message(record, "All_Payments") == SpendingReported(
        cause=CAUSE,
        kind=kind,
        order_id="IM-1001",
        payment_id="P-9",
        redemption_id="D-1",
        amount=750_000,
        currency="RUB",
        capture_id="K-1",
        refund_id="R-1",
    )


def test_a_certificate_beside_another_tender_is_not_spent() -> None:
    assert paid(certificateId=CERTIFICATE).spent_certificate_id is None


def test_a_type_that_the_contract_does_not_name_is_told_apart_from_a_malformed_record() -> None:
    for value in (raw(payment(eventType="payment.settled")), b'{"eventType": "payment.settled"}'):
        with pytest.raises(UnknownEventTypeError, match=r"^payment\.settled$"):
            decode_payment(value)


@pytest.mark.parametrize(
    ("record", "reason", "field"),
    [
        (payment(tender="giftCertificate"), "certificateMissing", "certificateId"),
        (
            payment(tender="giftCertificate", certificateId=CERTIFICATE, amount=0, allocations=[]),
            "invalidField",
            "amount",
        ),
        (payment(eventType="payment.refunded"), "refundIdMissing", "refundId"),
        (payment(amount=-1), "invalidField", "amount"),
        (payment(amount="750000"), "invalidField", "amount"),
        (payment(currency="EURO"), "invalidField", "currency"),
        (payment(paymentId="P\x00"), "invalidField", "NUL"),
        (payment(occurredAt="yesterday"), "invalidField", "occurredAt"),
        (without(payment(), "orderId"), "missingField", "orderId"),
        (payment(allocations=[{"lineId": "2", "amount": 750_001}]), "overAllocated", "allocations"),
        (payment(allocations=[{"lineId": "2", "amount": -1}]), "invalidField", "allocations[0].amount"),
        (payment(allocations=[{"lineId": "2", "amount": 1}] * 2), "duplicateLine", "allocations.lineId"),
        (payment(allocations=[{"amount": 1}]), "missingField", "allocations[0].lineId"),
    ],
)
def test_a_payment_that_breaks_the_contract_is_refused_with_the_field(
    record: dict[str, Any], reason: str, field: str
) -> None:
    with pytest.raises(MalformedRecord) as caught:
        decode_payment(raw(record))

    assert caught.value.reason == reason
    assert field in caught.value.detail


@given(value=st.binary())
def test_no_bytes_do_more_than_be_malformed(value: bytes) -> None:
    with pytest.raises(MalformedRecord):
        decode_payment(value)


def test_a_day_resent_by_the_till_says_the_same() -> None:
    first, again = spent(captureId="K-1"), spent(captureId="K-1", eventId="pay-9", occurredAt=LATER)
    assert spending_identity(first) == spending_identity(again)
    assert spending_content(first) == spending_content(again)

    first, again = spent(), spent(eventId="pay-9")
    assert spending_identity(first) == spending_identity(again)
    assert spending_content(first) == spending_content(again)


def test_allocations_say_the_same_in_any_order() -> None:
    allocations = [{"lineId": "2", "amount": 1}, {"lineId": "10", "amount": 2}]

    assert spending_content(spent(allocations=allocations)) == spending_content(
        spent(allocations=allocations[::-1])
    )


def test_captures_without_an_id_are_told_apart_by_amount_and_time() -> None:
    assert spending_identity(spent()) == "payment.captured:P-9:750000:20261123T100500.000000Z"
    records = (spent(), spent(amount=1, allocations=None), spent(occurredAt=LATER))
    assert len({spending_identity(one) for one in records}) == 3


def test_two_refunds_of_one_capture_are_two_messages() -> None:
    one, other = (
        spent(eventType="payment.refunded", captureId="K-1", refundId=refund_id)
        for refund_id in ("R-1", "R-2")
    )
    assert spending_identity(one) != spending_identity(other)


def test_two_payments_under_one_refund_are_two_messages() -> None:
    one, other = (
        spent(eventType="payment.refunded", refundId="R-1", paymentId=payment_id)
        for payment_id in ("P-1", "P-2")
    )
    assert spending_identity(one) != spending_identity(other)


def test_the_same_capture_with_another_amount_contradicts() -> None:
    first, other = spent(captureId="K-1"), spent(captureId="K-1", amount=800_000)

    assert spending_identity(first) == spending_identity(other)
    assert spending_content(first) != spending_content(other)


def test_separators_inside_ids_make_no_two_payments_the_same() -> None:
    assert spending_identity(spent(paymentId="A:capture", captureId="1")) != spending_identity(
        spent(paymentId="A", captureId="capture:1")
    )
    assert spending_identity(spent(paymentId="A%3A")) != spending_identity(spent(paymentId="A:"))


def test_no_allocations_an_empty_list_and_null_say_the_same() -> None:
    records = [
        paid(allocations=[]),
        paid(allocations=None),
        decode_payment(raw(without(payment(), "allocations"))),
    ]

    assert all(record == records[0] for record in records)


@pytest.mark.parametrize("record", [paid(), refunded(allocations=None), spent(redemptionId="D-1")])
def test_an_unmatched_payment_is_kept_compact_and_whole(record: PaymentRecord) -> None:
    stored = encode_payment(record)

    assert decode_stored_payment(stored) == record
    assert len(stored) < len(raw(payment())) / 2
