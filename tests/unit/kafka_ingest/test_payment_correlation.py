"""Payments: of orders, by certificates, repeated, contradicting."""

from giftcert.domain.certificate.messages import SpendingKind
from tests.unit.contracts.topic_records import certificate_line, order, payment
from tests.unit.kafka_ingest.ingest_memory import Memory, certificate

CREATED, CAPTURED, SPENT = "order_created", "payment_captured", "certificate_spent"


def sold(memory: Memory, number: int = 1) -> Memory:
    memory.with_certificates(number)
    memory.ordered(order(lines=[certificate_line(certificateId=certificate(number))], total=500_000))
    return memory


def test_a_day_sent_again_under_new_event_ids_changes_nothing() -> None:
    memory = sold(Memory())
    day = [payment(eventType="payment.authorized"), payment(), payment(captureId="K-2")]
    for sending in range(2):
        for nth, one in enumerate(day):
            memory.paid(one | {"eventId": f"p-{sending}-{nth}"})
    assert memory.woken(1) == [CREATED, CAPTURED, CAPTURED]
    assert memory.counts["payments", "repeat"] == 3


def test_one_burst_wakes_once_for_each_kind() -> None:
    memory = Memory().with_certificates(1)
    memory.comes(
        memory.record("orders", order(lines=[certificate_line(certificateId=certificate(1))])),
        *(
            memory.record("payments", payment(captureId=f"K-{nth}", amount=1_000, allocations=None))
            for nth in range(3)
        ),
    )
    assert memory.woken(1) == [CREATED, CAPTURED]


def test_the_same_capture_of_another_amount_contradicts() -> None:
    memory = sold(Memory())
    memory.paid(payment(captureId="K-1", amount=500_000))
    memory.paid(payment(captureId="K-1", amount=1, allocations=None))
    assert memory.reasons() == ["contradictsEarlier"]
    assert memory.line().standing.captured == 500_000


def test_a_contradiction_is_known_again_whatever_record_it_comes_in() -> None:
    memory = sold(Memory())
    memory.paid(payment(captureId="K-1"))
    for nth, amount in enumerate((1, 1, 2)):
        memory.paid(payment(captureId="K-1", amount=amount, allocations=None, eventId=f"again-{nth}"))
    first, again, other = [one.contradiction for one in memory.rejections]
    assert first == again != other


def test_waiting_payments_that_contradict_each_other_show_it_when_their_order_comes() -> None:
    memory = Memory()
    memory.paid(payment(captureId="K-1", amount=500_000))
    memory.paid(payment(captureId="K-1", amount=1, allocations=None))
    memory.paid(payment(captureId="K-1", amount=500_000, eventId="repeat"))
    sold(memory)
    assert memory.reasons() == ["contradictsEarlier"]
    assert memory.rejections[0].source.offset == 1
    assert memory.line().standing.captured == 500_000


def test_a_certificate_is_woken_by_its_spending_at_any_age_of_the_order() -> None:
    memory = Memory().with_certificates(7, channel="pos")
    memory.paid(payment(tender="giftCertificate", certificateId=certificate(7), redemptionId="R-1"))
    [spending] = memory.spendings.values()
    assert spending.certificate_id == certificate(7)
    assert spending.message.kind is SpendingKind.CAPTURED
    assert spending.message.redemption_id == "R-1"
    assert memory.woken(7) == [SPENT]
    assert memory.channels[certificate(7)] == ["pos"]
    assert len(memory.unmatched) == 1, "it may yet pay for an order with certificates"


def test_the_spending_of_a_certificate_that_no_channel_serves_any_more_goes_where_there_are_workers() -> None:
    memory = Memory().with_certificates(7, channel="closed")
    memory.paid(payment(tender="giftCertificate", certificateId=certificate(7), channel="closed too"))
    assert memory.channels[certificate(7)] == ["im"]


def test_spending_that_also_pays_for_a_certificate_counts_for_both() -> None:
    memory = Memory().with_certificates(1, 7)
    memory.paid(payment(tender="giftCertificate", certificateId=certificate(7), amount=500_000))
    memory.ordered(order(lines=[certificate_line(certificateId=certificate(1))], total=500_000))
    assert memory.woken(1) == [CREATED, CAPTURED]
    assert memory.woken(7) == [SPENT]
    assert memory.line().standing.captured == 500_000


def test_a_certificate_bought_with_itself_hears_both_sides() -> None:
    memory = sold(Memory())
    memory.paid(payment(tender="giftCertificate", certificateId=certificate(1)))
    assert memory.woken(1) == [CREATED, CAPTURED, SPENT]


def test_spending_sent_twice_is_stored_once() -> None:
    memory = Memory().with_certificates(7)
    for nth in range(2):
        memory.paid(payment(tender="giftCertificate", certificateId=certificate(7), eventId=f"s-{nth}"))
    assert memory.woken(7) == [SPENT]
    assert len(memory.unmatched) == 1
    assert memory.counts["payments", "repeat"] == 1


def test_the_same_spending_of_another_amount_contradicts() -> None:
    memory = Memory().with_certificates(7)
    said = {
        "tender": "giftCertificate",
        "certificateId": certificate(7),
        "captureId": "K-1",
        "allocations": None,
    }
    memory.paid(payment(**said, amount=500_000))
    memory.paid(payment(**said, amount=1))
    assert memory.reasons() == ["contradictsEarlier"]
    assert len(memory.spendings) == 1


def test_payments_of_an_order_and_its_first_version_may_share_a_batch() -> None:
    memory = Memory().with_certificates(1)
    memory.comes(
        memory.record("payments", payment()),
        memory.record("orders", order(lines=[certificate_line(certificateId=certificate(1))])),
    )
    assert memory.woken(1) == [CREATED, CAPTURED]
    assert not memory.unmatched
