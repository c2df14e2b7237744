from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from giftcert.contracts.identity import content
from giftcert.contracts.malformed import MalformedRecord, UnknownEventType
from giftcert.contracts.payment_messages import payment_message, spending_message
from giftcert.contracts.payments import (
    PaymentRecord,
    decode_payment,
    decode_stored_payment,
    encode_payment,
    identity,
)
from giftcert.domain.messages import (
    Allocation,
    Cause,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentRefunded,
    PaymentVoided,
    SpendingReported,
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


def test_a_capture_is_told_with_its_allocations() -> None:
    assert payment_message(paid(captureId="K-1"), "All_Payments") == PaymentCaptured(
        key="payment.captured:P-9:capture:K-1",
        cause=Cause("All_Payments", "pay-1"),
        occurred_at=datetime(2026, 11, 23, 10, 5, tzinfo=UTC),
        channel="im",
        order_id="IM-1001",
        payment_id="P-9",
        capture_id="K-1",
        tender="card",
        amount=750_000,
        currency="RUB",
        allocations=(Allocation("2", 500_000),),
    )


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (paid(eventType="payment.authorized"), PaymentAuthorized),
        (paid(eventType="payment.voided"), PaymentVoided),
        (refunded(), PaymentRefunded),
    ],
)
def test_each_type_is_told_as_what_it_is(record: PaymentRecord, kind: type) -> None:
    message = payment_message(record, "All_Payments")

    assert type(message) is kind
    assert message.key == identity(record)
    assert (message.payment_id, message.amount, message.currency) == ("P-9", 750_000, "RUB")


def test_a_payment_with_a_certificate_is_also_told_to_that_certificate() -> None:
    record = spent(redemptionId="D-1")
    message = spending_message(record, "All_Payments")

    assert record.spent_certificate_id == CERTIFICATE
    assert message == SpendingReported(
        key=f"spending:{identity(record).replace(':', '%3A')}",
        cause=Cause("All_Payments", "pay-1"),
        occurred_at=record.occurred_at,
        channel="im",
        event_type="payment.captured",
        order_id="IM-1001",
        payment_id="P-9",
        redemption_id="D-1",
        amount=750_000,
        currency="RUB",
    )
    assert message.key != payment_message(record, "All_Payments").key


def test_a_certificate_beside_another_tender_is_not_spent() -> None:
    assert paid(certificateId=CERTIFICATE).spent_certificate_id is None


def test_a_type_that_the_contract_does_not_name_is_told_apart_from_a_malformed_record() -> None:
    assert decode_payment(raw(payment(eventType="payment.settled"))) == UnknownEventType("payment.settled")
    assert decode_payment(b'{"eventType": "payment.settled"}') == UnknownEventType("payment.settled")


@pytest.mark.parametrize(
    ("record", "reason", "field"),
    [
        (payment(tender="giftCertificate"), "certificateMissing", "certificateId"),
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
    with_capture, again = (
        paid(captureId="K-1"),
        paid(captureId="K-1", eventId="pay-9", occurredAt="2026-11-24T00:00:00Z"),
    )
    without_capture, repeated = paid(), paid(eventId="pay-9")

    assert (identity(with_capture), content(with_capture)) == (identity(again), content(again))
    assert (identity(without_capture), content(without_capture)) == (identity(repeated), content(repeated))


def test_captures_without_an_id_are_told_apart_by_amount_and_time() -> None:
    assert identity(paid()) == "payment.captured:P-9:750000:20261123T100500.000000Z"
    assert (
        len(
            {
                identity(one)
                for one in (paid(), paid(amount=1, allocations=None), paid(occurredAt="2026-11-23T10:05:01Z"))
            }
        )
        == 3
    )


def test_two_refunds_of_one_capture_are_two_messages() -> None:
    assert identity(refunded(captureId="K-1")) != identity(refunded(captureId="K-1", refundId="R-2"))


def test_the_same_capture_with_another_amount_contradicts() -> None:
    first, other = paid(captureId="K-1"), paid(captureId="K-1", amount=800_000)

    assert identity(first) == identity(other)
    assert content(first) != content(other)


def test_no_allocations_an_empty_list_and_null_say_the_same() -> None:
    records = [
        paid(allocations=[]),
        paid(allocations=None),
        decode_payment(raw(without(payment(), "allocations"))),
    ]

    assert len({content(record) for record in records if isinstance(record, PaymentRecord)}) == 1
    assert all(record == records[0] for record in records)


@pytest.mark.parametrize("record", [paid(), refunded(allocations=None), spent(redemptionId="D-1")])
def test_an_unmatched_payment_is_kept_compact_and_whole(record: PaymentRecord) -> None:
    stored = encode_payment(record)

    assert decode_stored_payment(stored) == record
    assert len(stored) < len(raw(payment())) / 2
    assert identity(decode_stored_payment(stored)) == identity(record)
