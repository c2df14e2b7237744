"""Lines and payments that name a certificate we never made, and the money that comes for such lines."""

from tests.unit.contracts.topic_records import certificate_line, order, payment
from tests.unit.kafka_ingest.ingest_memory import Memory, certificate

UNKNOWN = certificate(99)


def unknown_line(named: str = UNKNOWN, **changes: object) -> dict[str, object]:
    return certificate_line(certificateId=named, **changes)


def test_a_line_that_names_no_certificate_of_ours_is_reported_once() -> None:
    memory = Memory()
    memory.ordered(order(lines=[unknown_line()], total=500_000))
    memory.ordered(order(lines=[unknown_line()], total=500_000, eventId="again"))
    memory.ordered(
        order(lines=[unknown_line()], total=500_000, orderVersion=2, eventType="order.changed", eventId="v2")
    )
    assert memory.reasons() == ["unknownCertificate"]
    assert memory.rejections[0].notice.type == "error.unknownCertificate"
    assert memory.rejections[0].notice.event_id == "so-1"
    assert UNKNOWN not in memory.rejections[0].notice.detail


def test_an_id_that_is_no_uuid_is_as_unknown() -> None:
    memory = Memory()
    memory.ordered(order(lines=[unknown_line("ABC")]))
    assert memory.reasons() == ["unknownCertificate"]


def test_the_other_lines_of_the_order_go_on() -> None:
    memory = Memory().with_certificates(1)
    lines = [unknown_line(), certificate_line(lineId="3", certificateId=certificate(1))]
    memory.ordered(order(lines=lines, total=1_000_000))
    assert len(memory.messages(1)) == 1
    assert memory.reasons() == ["unknownCertificate"]


def test_money_for_such_a_line_is_alerted_once() -> None:
    memory = Memory()
    memory.ordered(order(lines=[unknown_line()], total=500_000))
    memory.paid(payment(amount=500_000, allocations=None))
    memory.paid(payment(amount=500_000, allocations=None, eventId="again"))
    [(stream_key, event)] = memory.alerts
    assert stream_key == "payments-0"
    assert event.event_type == "alert.paymentWithoutCertificate"
    assert event.payload["amount"] == {"amount": 500_000, "currency": "RUB"}
    assert event.payload["lineId"] == "2"
    assert event.cause.event_id == "pay-1"


def test_money_that_came_before_the_order_is_alerted_too() -> None:
    memory = Memory()
    memory.paid(payment(amount=500_000, allocations=None))
    memory.ordered(order(lines=[unknown_line()], total=500_000))
    assert [event.event_type for _, event in memory.alerts] == ["alert.paymentWithoutCertificate"]


def test_more_money_is_alerted_again() -> None:
    memory = Memory()
    memory.ordered(order(lines=[unknown_line()], total=500_000))
    for nth, amount in enumerate((200_000, 300_000)):
        allocations = [{"lineId": "2", "amount": amount}]
        memory.paid(payment(amount=amount, allocations=allocations, captureId=f"K-{nth}"))
    assert [event.payload["amount"]["amount"] for _, event in memory.alerts] == [200_000, 500_000]


def test_the_repaired_line_takes_its_money_along_and_alerts_no_more() -> None:
    memory = Memory().with_certificates(1)
    memory.ordered(order(lines=[unknown_line()], total=500_000))
    memory.paid(payment(amount=200_000, allocations=None, captureId="K-1"))
    repaired = certificate_line(certificateId=certificate(1))
    memory.ordered(order(lines=[repaired], total=500_000, orderVersion=2, eventType="order.changed"))
    memory.paid(payment(amount=300_000, allocations=None, captureId="K-2"))
    assert len(memory.alerts) == 1
    told = [type(message).__name__ for message in memory.messages(1)]
    assert told == ["OrderStated", "OrderStated", "PaymentCaptured", "PaymentCaptured"]
    assert memory.messages(1)[1].own.replaces is None
    assert not memory.orders["IM-1001"].unknown_lines


def test_a_payment_by_an_unknown_certificate_is_reported_and_still_pays_its_order() -> None:
    memory = Memory().with_certificates(1)
    memory.ordered(order(lines=[certificate_line(certificateId=certificate(1))]))
    memory.paid(payment(tender="giftCertificate", certificateId=UNKNOWN))
    assert memory.reasons() == ["unknownCertificate"]
    assert [type(message).__name__ for message in memory.messages(1)] == ["OrderStated", "PaymentCaptured"]


def test_a_payment_by_an_unknown_certificate_that_comes_again_is_reported_once() -> None:
    """Also where nothing is known of its order; what it says differently is a contradiction as of any payment."""
    memory = Memory()
    said = {"tender": "giftCertificate", "certificateId": UNKNOWN, "captureId": "K-1", "allocations": None}
    for nth in range(3):
        memory.paid(payment(**said, amount=500_000, eventId=f"again-{nth}"))
    assert memory.reasons() == ["unknownCertificate"]
    assert len(memory.unmatched) == 1
    memory.paid(payment(**said, amount=1))
    assert memory.reasons() == ["unknownCertificate", "contradictsEarlier"]


def test_a_payment_by_a_certificate_that_was_imported_since_is_told_to_it_when_it_comes_again() -> None:
    memory = Memory()
    said = payment(tender="giftCertificate", certificateId=certificate(7))
    memory.paid(said)
    memory.with_certificates(7)
    memory.paid(said)
    assert [type(message).__name__ for message in memory.messages(7)] == ["SpendingReported"]
    assert memory.reasons() == ["unknownCertificate"]
    memory.with_certificates(1)
    memory.ordered(order(lines=[certificate_line(certificateId=certificate(1))]))
    assert [type(message).__name__ for message in memory.messages(1)] == ["OrderStated", "PaymentCaptured"]
