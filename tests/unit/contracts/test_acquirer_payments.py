"""The second format of ``All_Payments``: what is read of it is what the contract's own format says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from giftcert.contracts.acquirer_payments import AcquirerPayments
from giftcert.contracts.inputs import MalformedRecord, UnknownEventTypeError
from giftcert.contracts.payment_formats import payment_decoder
from giftcert.contracts.payments import decode_payment, spending_content, spending_identity
from giftcert.domain.money import digits_of
from giftcert.settings import Settings
from kafka_ingest.decoder import decode
from kafka_ingest.records import InputRecord, Topics
from tests.unit.contracts.topic_records import CERTIFICATE, payment, raw, without

DECODE = AcquirerPayments({1: "im", 2: "pos"})


def acquired(**changes: Any) -> dict[str, Any]:
    """The payment of ``topic_records.payment`` as the other owner writes it."""
    return {
        "event_id": "pay-1",
        "event_type": "captured",
        "occurred_at": "2026-11-23T13:05:00+03:00",
        "channel": 1,
        "order_id": "IM-1001",
        "payment_id": "P-9",
        "capture_id": None,
        "tender": "card",
        "amount": "7500.00",
        "currency": "RUB",
        "allocations": [{"line_id": "2", "amount": "5000.00"}],
    } | changes


def refusal(record: Any) -> tuple[str, str]:
    with pytest.raises(MalformedRecord) as refused:
        DECODE(record if isinstance(record, bytes) or record is None else raw(record))
    return refused.value.reason, refused.value.detail


def test_both_formats_say_the_same_of_a_capture() -> None:
    assert DECODE(raw(acquired())) == decode_payment(raw(payment()))


@pytest.mark.parametrize("event_type", ["authorized", "captured", "voided", "refunded"])
def test_both_formats_say_the_same_of_a_spent_certificate(event_type: str) -> None:
    ours = payment(
        eventType=f"payment.{event_type}",
        refundId="R-1",
        captureId="K-1",
        tender="giftCertificate",
        certificateId=CERTIFICATE,
        redemptionId="RD-1",
    )
    theirs = acquired(
        event_type=event_type,
        refund_id="R-1",
        capture_id="K-1",
        tender="gift_certificate",
        certificate_id=CERTIFICATE,
        redemption_id="RD-1",
    )
    read, expected = DECODE(raw(theirs)), decode_payment(raw(ours))
    assert read == expected
    # So a change of the format does not make old messages contradict repeats.
    assert (spending_identity(read), spending_content(read)) == (
        spending_identity(expected),
        spending_content(expected),
    )


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("7500", "RUB", 750_000),
        ("7500.5", "RUB", 750_050),
        ("7500.00", "JPY", 7_500),
        ("1.234", "KWD", 1_234),
    ],
)
def test_a_decimal_amount_is_read_by_the_digits_of_its_currency(
    amount: str, currency: str, minor: int
) -> None:
    assert DECODE(raw(acquired(amount=amount, currency=currency, allocations=None))).amount == minor


@given(minor=st.integers(0, 2**53 - 1), currency=st.sampled_from(["RUB", "JPY", "KWD", "CLF"]))
def test_every_amount_is_read_exactly(minor: int, currency: str) -> None:
    digits = digits_of(currency)
    whole, rest = divmod(minor, 10**digits)
    text = f"{whole}.{rest:0{digits}}" if digits else str(whole)
    assert DECODE(raw(acquired(amount=text, currency=currency, allocations=None))).amount == minor


@pytest.mark.parametrize(
    "amount",
    [7500, 7500.0, "7,500.00", "-1.00", "1e3", "", "7500.", "\N{ARABIC-INDIC DIGIT ONE}", "7500.00\n"],
)
def test_an_amount_of_another_shape_is_malformed(amount: object) -> None:
    reason, detail = refusal(acquired(amount=amount))
    assert reason == "invalidField"
    assert detail.startswith("amount: expected ")


def test_a_fraction_of_a_minor_unit_is_refused_and_not_rounded() -> None:
    expected = ("invalidField", "amount: expected at most 2 digits behind the point")
    assert refusal(acquired(amount="7500.005")) == expected
    assert refusal(acquired(amount="9999999999999999.99"))[0] == "invalidField"


def test_a_channel_nobody_configured_keeps_its_code_as_most_payments_concern_no_certificate() -> None:
    assert DECODE(raw(acquired(channel=2))).channel == "pos"
    assert DECODE(raw(acquired(channel=7))).channel == "7"


def test_what_is_wrong_is_said_in_the_words_of_the_owner() -> None:
    assert refusal(acquired(tender="gift_certificate")) == (
        "certificateMissing",
        "certificate_id: required with this tender",
    )
    assert refusal(acquired(event_type="refunded"))[1] == "refund_id: required in a refund"
    assert refusal(without(acquired(), "order_id")) == ("missingField", "order_id: required")
    assert refusal(acquired(allocations=[{"line_id": "2", "amount": "5"}] * 2)) == (
        "duplicateLine",
        "allocations.line_id: named twice",
    )
    assert refusal(acquired(occurred_at="1970-01-01T00:00:00Z"))[1].startswith("occurred_at: ")
    assert refusal(acquired(event_id="a\0b"))[1] == "value: expected text without NUL characters"
    assert refusal(None)[0] == "emptyValue"
    assert refusal(b"{")[0] == "invalidJson"
    assert refusal({"event_type": "captured"}) == ("missingField", "event_id: required")


def test_a_type_that_nobody_knows_is_skipped_whatever_its_shape() -> None:
    for value in (acquired(event_type="chargeback"), {"event_type": "chargeback"}):
        with pytest.raises(UnknownEventTypeError):
            DECODE(raw(value))


def test_the_setting_chooses_the_format_that_ingest_reads() -> None:
    chosen = Settings(_env_file=None, payments_format="acquirer", payments_channel_codes={3: "im"})
    assert payment_decoder(Settings(_env_file=None)) is decode_payment
    topics = Topics.of(chosen)
    records = [
        InputRecord(topics.payments, 0, 0, b"IM-1001", raw(acquired(channel=3))),
        InputRecord(topics.payments, 0, 1, b"IM-1001", raw(payment())),
    ]
    batch = decode(records, topics, 1_000_000)
    assert [one.channel for _, one in batch.payments] == ["im"]
    assert [one.detail for one in batch.rejections] == ["channel: expected int, got str"]
