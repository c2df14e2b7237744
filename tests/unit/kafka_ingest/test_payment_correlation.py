"""Payments: of orders, by certificates, repeated, contradicting."""

from giftcert.domain.messages import PaymentCaptured, SpendingReported
from tests.unit.contracts.topic_records import certificate_line, order, payment
from tests.unit.kafka_ingest.ingest_memory import Memory, certificate


def sold(memory: Memory, number: int = 1) -> Memory:
    memory.with_certificates(number)
    memory.ordered(order(lines=[certificate_line(certificateId=certificate(number))]))
    return memory


def test_a_day_sent_again_under_new_event_ids_changes_nothing() -> None:
    memory = sold(Memory())
    day = [payment(eventType="payment.authorized"), payment(), payment(captureId="K-2")]
    for sending in range(2):
        for nth, one in enumerate(day):
            memory.paid(one | {"eventId": f"p-{sending}-{nth}"})
    assert len(memory.messages(1)) == 4
    assert memory.counts["payments", "repeat"] == 3


def test_the_same_capture_of_another_amount_contradicts() -> None:
    memory = sold(Memory())
    memory.paid(payment(captureId="K-1"))
    memory.paid(payment(captureId="K-1", amount=1, allocations=None))
    assert memory.reasons() == ["contradictsEarlier"]
    assert len(memory.messages(1, PaymentCaptured)) == 1


def test_waiting_payments_that_contradict_each_other_show_it_when_their_order_comes() -> None:
    memory = Memory()
    memory.paid(payment(captureId="K-1"))
    memory.paid(payment(captureId="K-1", amount=1, allocations=None))
    memory.paid(payment(captureId="K-1", eventId="repeat"))
    sold(memory)
    assert memory.reasons() == ["contradictsEarlier"]
    assert memory.rejections[0].source.offset == 1
    assert [message.amount for message in memory.messages(1, PaymentCaptured)] == [750_000]


def test_a_certificate_hears_of_its_spending_at_any_age_of_the_order() -> None:
    memory = Memory().with_certificates(7, channel="pos")
    memory.paid(payment(tender="giftCertificate", certificateId=certificate(7), redemptionId="R-1"))
    [told] = memory.messages(7)
    assert isinstance(told, SpendingReported)
    assert told.redemption_id == "R-1"
    assert memory.channels[certificate(7)] == ["pos"]
    assert len(memory.inbox) == 1
    assert len(memory.unmatched) == 1, "it may yet pay for an order with certificates"


def test_spending_that_also_pays_for_a_certificate_is_told_to_both() -> None:
    memory = Memory().with_certificates(1, 7)
    memory.paid(payment(tender="giftCertificate", certificateId=certificate(7)))
    memory.ordered(order(lines=[certificate_line(certificateId=certificate(1))]))
    assert [type(message).__name__ for message in memory.messages(1)] == ["OrderStated", "PaymentCaptured"]
    assert [type(message).__name__ for message in memory.messages(7)] == ["SpendingReported"]
    assert len(memory.inbox) == 2


def test_a_certificate_bought_with_itself_hears_both_sides() -> None:
    memory = sold(Memory())
    memory.paid(payment(tender="giftCertificate", certificateId=certificate(1)))
    told = [type(message).__name__ for message in memory.messages(1)]
    assert told == ["OrderStated", "PaymentCaptured", "SpendingReported"]


def test_spending_sent_twice_is_told_once() -> None:
    memory = Memory().with_certificates(7)
    for nth in range(2):
        memory.paid(payment(tender="giftCertificate", certificateId=certificate(7), eventId=f"s-{nth}"))
    assert len(memory.messages(7)) == 1
    assert len(memory.unmatched) == 1


def test_payments_of_an_order_and_its_first_version_may_share_a_batch() -> None:
    memory = Memory().with_certificates(1)
    memory.comes(
        memory.record("payments", payment()),
        memory.record("orders", order(lines=[certificate_line(certificateId=certificate(1))])),
    )
    assert [type(message).__name__ for message in memory.messages(1)] == ["OrderStated", "PaymentCaptured"]
    assert not memory.unmatched
