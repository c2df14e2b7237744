"""What simulated channels write is what contracts.md shows and what the service reads."""

import msgspec
import pytest

from giftcert.contracts import orders, payments
from giftcert.domain.order.messages import OrderVersion, Payment, content_of, identity_of
from simulators.baskets import certificate_order, goods_order
from simulators.messages import (
    Order,
    OrderMessage,
    PaymentMessage,
    order_cancelled,
    order_changed,
    order_created,
    order_returned,
    payment_authorized,
    payment_captured,
    payment_refunded,
    resent,
)
from simulators.payments import order_to_pay
from simulators.service import Reservation
from simulators.tender import (
    Purchase,
    spending_authorized,
    spending_captured,
    spending_refunded,
    spending_voided,
)


@pytest.fixture
def order(reservation: Reservation) -> Order:
    return certificate_order("IM-1", [reservation], goods=2, discount_percent=10)


def order_messages(order: Order) -> list[OrderMessage]:
    line = order.certificate_lines[0].line_id
    return [
        order_created(order),
        order_changed(order),
        order_cancelled(order),
        order_returned(order, (line,)),
    ]


def payment_messages(order: Order) -> list[PaymentMessage]:
    line = order.certificate_lines[0]
    return [
        payment_authorized(order),
        payment_captured(order),
        payment_captured(order, amount=1, capture=2),
        payment_refunded(order, line, line.amount),
        payment_refunded(order, line, line.amount, currency="EUR"),
    ]


def test_the_service_reads_every_order_message(order: Order) -> None:
    for message in order_messages(order):
        record = orders.decode_order(msgspec.json.encode(message))
        assert isinstance(record, orders.AnyOrder)
        assert (record.order_id, record.event_type) == (order.order_id, message.event_type)


def test_the_service_reads_every_payment_message(order: Order) -> None:
    for message in payment_messages(order):
        record = payments.decode_payment(msgspec.json.encode(message))
        assert isinstance(record, payments.PaymentRecord)
        assert (record.payment_id, record.amount) == (order.payment_id, message.amount)


def test_a_message_sent_again_is_the_same_business_under_another_event_id(order: Order) -> None:
    for sent in (*order_messages(order), *payment_messages(order)):
        first, again = (read(one) for one in (sent, resent(sent)))
        assert first.cause.event_id != again.cause.event_id
        assert (identity_of(first), content_of(first)) == (identity_of(again), content_of(again))


def read(sent: OrderMessage | PaymentMessage) -> OrderVersion | Payment:
    """Return what the service makes of it."""
    value = msgspec.json.encode(sent)
    record = (orders.decode_order if sent.event_type.startswith("order.") else payments.decode_payment)(value)
    if isinstance(record, payments.PaymentRecord):
        return payments.payment_message(record, "All_Payments")
    assert isinstance(record, orders.StatedOrder | orders.WithdrawnOrder)
    return orders.order_message(record, "All_SalesOrder")


def test_a_basket_names_its_certificate_after_the_goods_at_its_price(
    order: Order, reservation: Reservation
) -> None:
    line = order.certificate_lines[0]
    assert (line.line_id, line.certificate_id, line.amount) == ("3", reservation.certificate_id, 450_000)
    assert order.total == sum(one.amount for one in order.lines)


def test_a_cancellation_without_lines_means_all_of_a_later_version(order: Order) -> None:
    published = msgspec.json.decode(msgspec.json.encode(order_cancelled(order)))
    assert "lines" not in published
    assert published["orderVersion"] == 2


def test_goods_orders_name_no_certificate() -> None:
    probe = orders.probe_order(msgspec.json.encode(order_created(goods_order("pos", "POS-1"))))
    assert isinstance(probe, orders.OrderProbe)
    assert not probe.names_certificate


def test_payments_pay_new_orders_of_their_channel_alone(order: Order) -> None:
    created = msgspec.json.encode(order_created(order))
    paid = order_to_pay(created, "im")
    assert paid is not None
    assert (paid.order_id, paid.total) == (order.order_id, order.total)
    assert order_to_pay(created, "pos") is None
    assert order_to_pay(msgspec.json.encode(order_cancelled(order)), "im") is None
    assert order_to_pay(b"\xff", "im") is None


def spending(redemption_id: str | None = "x-1") -> list[PaymentMessage]:
    purchase = Purchase(goods_order("pos", "POS-9"), "c-1", 100, redemption_id)
    return [
        spending_authorized(purchase),
        spending_captured(purchase),
        spending_captured(purchase, 70),
        spending_voided(purchase),
        spending_refunded(purchase, 30, refund=2),
    ]


def test_the_service_reads_which_certificate_pays_and_what_was_held_for_it() -> None:
    read = [payments.decode_payment(msgspec.json.encode(message)) for message in spending()]
    published = [
        (one.spent_certificate_id, one.redemption_id, one.amount)
        for one in read
        if isinstance(one, payments.PaymentRecord)
    ]
    assert published == [("c-1", "x-1", amount) for amount in (100, 100, 70, 100, 30)]


def test_what_pays_without_a_hold_names_none() -> None:
    captured = spending(redemption_id=None)[1]
    assert b"redemptionId" not in msgspec.json.encode(captured)


def test_two_refunds_of_one_purchase_are_two() -> None:
    purchase = Purchase(goods_order("pos", "POS-9"), "c-1", 100, "x-1")
    assert spending_refunded(purchase, 1, 1).refund_id != spending_refunded(purchase, 1, 2).refund_id
