"""Which orders matter, and what the certificates of an order are told of its versions."""

from typing import Any

from giftcert.domain.messages import LinesReturned, OrderCancelled, OrderStated, PaymentCaptured
from tests.unit.contracts.topic_records import certificate_line, goods_line, order, payment, withdrawal
from tests.unit.kafka_ingest.ingest_memory import Memory, certificate


def line(number: int, line_id: str = "2", **changes: Any) -> dict[str, Any]:
    return certificate_line(lineId=line_id, certificateId=certificate(number), **changes)


def test_orders_of_goods_leave_nothing() -> None:
    memory = Memory()
    plan = memory.ordered(order(lines=[goods_line()]))
    assert not plan.orders
    assert not plan.inbox
    assert not plan.deliveries


def test_a_certificate_is_told_of_the_order_that_names_it() -> None:
    memory = Memory().with_certificates(1)
    memory.ordered(order(lines=[goods_line(), line(1)]))
    [told] = memory.messages(1)
    assert isinstance(told, OrderStated)
    assert told.own is not None
    assert told.own.line_id == "2"
    assert [one.kind for one in told.lines] == ["goods", "giftCertificate"]
    assert memory.channels[certificate(1)] == ["im"]


def test_a_repeat_under_a_new_event_id_is_dropped() -> None:
    memory = Memory().with_certificates(1)
    memory.ordered(order(lines=[line(1)]))
    memory.ordered(order(lines=[line(1)], eventId="so-again", occurredAt="2026-11-24T10:00:00Z"))
    assert len(memory.messages(1)) == 1
    assert memory.counts["orders", "repeat"] == 1
    assert not memory.rejections


def test_repeats_within_one_batch_are_dropped() -> None:
    memory = Memory().with_certificates(1)
    batch = [memory.record("orders", order(lines=[line(1)], eventId=f"so-{nth}")) for nth in range(3)]
    memory.comes(*batch)
    assert len(memory.messages(1)) == 1
    assert len(memory.inbox) == 1


def test_the_same_version_with_other_content_contradicts_and_is_not_told() -> None:
    memory = Memory().with_certificates(1)
    memory.ordered(order(lines=[line(1)]))
    memory.ordered(order(lines=[line(1)], total=1, eventId="so-other"))
    assert memory.reasons() == ["contradictsEarlier"]
    [rejection] = memory.rejections
    assert rejection.notice.type == "error.unexpectedEvent"
    assert rejection.notice.event_id == "so-other"
    assert len(memory.messages(1)) == 1


def test_every_version_goes_to_every_certificate_ever_mapped() -> None:
    memory = Memory().with_certificates(1, 2)
    memory.ordered(order(lines=[line(1)]))
    memory.ordered(order(lines=[line(2)], eventType="order.changed", orderVersion=2))
    memory.ordered(withdrawal(orderVersion=3))
    first, second = memory.messages(1, OrderStated)
    assert first.own is not None
    assert second.own is None
    assert len(memory.messages(1, OrderCancelled)) == len(memory.messages(2, OrderCancelled)) == 1


def test_a_line_that_names_another_certificate_says_which_it_replaces() -> None:
    memory = Memory().with_certificates(1, 2)
    memory.ordered(order(lines=[line(1)]))
    memory.ordered(order(lines=[line(2)], eventType="order.changed", orderVersion=2))
    told = memory.messages(2, OrderStated)
    assert [one.own.replaces if one.own else None for one in told] == [None, certificate(1)]


def test_a_certificate_that_joins_late_hears_the_order_by_version_then_its_payments() -> None:
    memory = Memory().with_certificates(1, 2)
    memory.ordered(order(lines=[line(1)]))
    memory.paid(payment(eventType="payment.authorized", eventId="a"))
    memory.paid(payment(eventId="c"))
    memory.ordered(order(lines=[line(1), line(2, "3")], eventType="order.changed", orderVersion=2))
    said = [type(message).__name__ for message in memory.messages(2)]
    assert said == ["OrderStated", "OrderStated", "PaymentAuthorized", "PaymentCaptured"]
    assert [message.own is None for message in memory.messages(2, OrderStated)] == [True, False]


def test_a_payment_that_came_before_its_order_is_not_lost() -> None:
    memory = Memory().with_certificates(1)
    memory.paid(payment())
    assert len(memory.unmatched) == 1
    memory.ordered(order(lines=[line(1)]))
    assert not memory.unmatched
    assert [message.amount for message in memory.messages(1, PaymentCaptured)] == [750_000]
    memory.paid(payment(eventId="again"))
    assert len(memory.messages(1, PaymentCaptured)) == 1


def test_payments_of_an_order_of_goods_wait_for_a_version_that_names_a_certificate() -> None:
    memory = Memory().with_certificates(1)
    memory.ordered(order(lines=[goods_line()]))
    memory.paid(payment(eventType="payment.authorized", eventId="a"))
    memory.paid(payment(eventId="c"))
    memory.ordered(order(lines=[goods_line(), line(1)], eventType="order.changed", orderVersion=2))
    said = [type(message).__name__ for message in memory.messages(1)]
    assert said == ["OrderStated", "PaymentAuthorized", "PaymentCaptured"]


def test_what_an_order_said_before_it_named_a_certificate_leaves_nothing_even_in_one_batch() -> None:
    memory = Memory().with_certificates(1)
    memory.comes(
        memory.record("orders", order(lines=[goods_line()])),
        memory.record("orders", order(lines=[line(1)], eventType="order.changed", orderVersion=2)),
    )
    assert [message.order_version for message in memory.messages(1)] == [2]


def test_a_stale_version_is_told_but_does_not_become_the_order() -> None:
    memory = Memory().with_certificates(1, 2)
    memory.ordered(order(lines=[line(1)], eventType="order.changed", orderVersion=3))
    memory.ordered(order(lines=[line(2)], eventType="order.changed", orderVersion=2))
    known = memory.orders["IM-1001"]
    assert known.version == 3
    assert known.snapshot.certificate_on("2") == certificate(1)
    assert [message.order_version for message in memory.messages(1)] == [3, 2]


def test_returned_lines_are_told() -> None:
    memory = Memory().with_certificates(1)
    memory.ordered(order(lines=[line(1)]))
    memory.ordered(withdrawal(eventType="order.returned", lines=[{"lineId": "2"}]))
    [told] = memory.messages(1, LinesReturned)
    assert told.line_ids == ("2",)


def test_an_order_first_named_after_payments_were_dropped_says_that_they_may_be_unknown() -> None:
    memory = Memory(payments_were_dropped=True).with_certificates(1, 2)
    memory.ordered(order(lines=[line(1)], eventType="order.changed", orderVersion=5))
    memory.ordered(order(orderId="IM-2", lines=[line(2)]))
    assert memory.messages(1)[0].earlier_payments_unknown
    assert not memory.messages(2)[0].earlier_payments_unknown


def test_an_order_of_an_unknown_channel_is_malformed_only_if_it_names_a_certificate() -> None:
    memory = Memory().with_certificates(1)
    memory.ordered(order(channel="kiosk", lines=[goods_line()]))
    assert not memory.rejections
    memory.ordered(order(channel="kiosk", lines=[line(1)]))
    assert memory.reasons() == ["unknownChannel"]
    assert not memory.told


def test_payments_of_a_rejected_order_go_on_waiting() -> None:
    memory = Memory().with_certificates(1)
    memory.paid(payment())
    memory.comes(
        memory.record("orders", order(channel="kiosk", lines=[line(1)])),
        memory.record("payments", payment(paymentId="P-10", eventId="p10")),
    )
    assert [record.payment_id for _, record in memory.unmatched] == ["P-9", "P-10"]


def test_unknown_event_types_are_skipped_and_counted() -> None:
    memory = Memory()
    memory.ordered({"eventType": "order.weighed", "whatever": 1})
    assert not memory.rejections


def test_an_order_stated_without_lines_is_malformed() -> None:
    memory = Memory()
    memory.ordered({"eventType": "order.created", "orderId": "IM-1"})
    assert memory.reasons() == ["missingField"]
