"""The messages of ``All_SalesOrder`` and ``All_Payments`` as channels write them. Amounts are minor units."""

from datetime import UTC, datetime
from typing import TypeVar
from uuid import uuid4

import msgspec


def now() -> datetime:
    """Return the present instant in UTC: neighbours share no clock with the service."""
    return datetime.now(UTC)  # noqa: TID251 - the one place of these programs


class Recipient(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Whom a certificate is for: an opaque reference and how to write to them."""

    ref: str
    channel: str
    locale: str


class OrderLine(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One line of an order: goods, or one certificate."""

    line_id: str
    kind: str
    amount: int
    quantity: int = 1
    sku: str | None = None
    certificate_id: str | None = None
    reservation_id: str | None = None
    recipient: Recipient | None = None


class ReturnedLine(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A line that came back, by its id alone."""

    line_id: str


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order as its channel knows it; messages are made from it."""

    channel: str
    order_id: str
    customer_id: str
    currency: str
    lines: tuple[OrderLine, ...]

    @property
    def total(self) -> int:
        """The sum of all lines."""
        return sum(line.amount for line in self.lines)

    @property
    def certificate_lines(self) -> tuple[OrderLine, ...]:
        """The lines on which certificates are sold."""
        return tuple(line for line in self.lines if line.certificate_id is not None)

    @property
    def payment_id(self) -> str:
        """The payment of this order; the simulated customers pay each order with one."""
        return f"P-{self.order_id}"


class OrderMessage(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A record of ``All_SalesOrder``; its key is the order id."""

    event_id: str
    event_type: str
    occurred_at: datetime
    channel: str
    order_id: str
    order_version: int
    customer_id: str
    currency: str
    total: int
    lines: tuple[OrderLine, ...] | tuple[ReturnedLine, ...] | None = None


class Allocation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How much of a payment is meant for one line."""

    line_id: str
    amount: int


class PaymentMessage(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A record of ``All_Payments``; its key is the order id."""

    event_id: str
    event_type: str
    occurred_at: datetime
    channel: str
    order_id: str
    payment_id: str
    tender: str
    amount: int
    currency: str
    capture_id: str | None = None
    refund_id: str | None = None
    certificate_id: str | None = None
    redemption_id: str | None = None
    allocations: tuple[Allocation, ...] | None = None


Message = TypeVar("Message", OrderMessage, PaymentMessage)


def order_created(order: Order) -> OrderMessage:
    """Return the first message about an order: all of it."""
    return _order_message(order, "order.created", version=1, lines=order.lines)


def order_changed(order: Order, version: int = 2) -> OrderMessage:
    """Return the message that carries the whole order as it now is."""
    return _order_message(order, "order.changed", version=version, lines=order.lines)


def order_cancelled(order: Order, version: int = 2) -> OrderMessage:
    """Return the cancellation of the whole order: without lines it means all of them."""
    return _order_message(order, "order.cancelled", version=version, lines=None)


def order_returned(order: Order, line_ids: tuple[str, ...], version: int = 2) -> OrderMessage:
    """Return the message that these lines came back."""
    lines = tuple(ReturnedLine(line_id=line_id) for line_id in line_ids)
    return _order_message(order, "order.returned", version=version, lines=lines)


def payment_authorized(order: Order) -> PaymentMessage:
    """Return the promise of the whole order's money."""
    return _payment_message(order, "payment.authorized", amount=order.total)


def payment_captured(order: Order, amount: int | None = None, capture: int = 1) -> PaymentMessage:
    """Return a capture of the order's payment, of all its money unless an amount is given."""
    message = _payment_message(order, "payment.captured", amount=order.total if amount is None else amount)
    return msgspec.structs.replace(message, capture_id=f"{order.payment_id}-{capture}")


def payment_refunded(
    order: Order, line: OrderLine, amount: int, currency: str | None = None
) -> PaymentMessage:
    """Return a refund of the order's payment, allocated to one line."""
    message = _payment_message(order, "payment.refunded", amount=amount)
    return msgspec.structs.replace(
        message,
        refund_id=f"R-{order.order_id}-{line.line_id}",
        currency=currency or order.currency,
        allocations=(Allocation(line_id=line.line_id, amount=amount),),
    )


def resent(message: Message) -> Message:
    """Return the same business message under a new event id, as a till sends that repeats its day."""
    return msgspec.structs.replace(message, event_id=new_event_id(message.event_type))


def new_event_id(event_type: str) -> str:
    """Return an id for one more message of this type."""
    prefix = "so" if event_type.startswith("order.") else "pay"
    return f"{prefix}-{uuid4()}"


def _order_message(
    order: Order,
    event_type: str,
    *,
    version: int,
    lines: tuple[OrderLine, ...] | tuple[ReturnedLine, ...] | None,
) -> OrderMessage:
    return OrderMessage(
        event_id=new_event_id(event_type),
        event_type=event_type,
        occurred_at=now(),
        channel=order.channel,
        order_id=order.order_id,
        order_version=version,
        customer_id=order.customer_id,
        currency=order.currency,
        total=order.total,
        lines=lines,
    )


def _payment_message(order: Order, event_type: str, *, amount: int) -> PaymentMessage:
    return PaymentMessage(
        event_id=new_event_id(event_type),
        event_type=event_type,
        occurred_at=now(),
        channel=order.channel,
        order_id=order.order_id,
        payment_id=order.payment_id,
        tender="card",
        amount=amount,
        currency=order.currency,
    )
