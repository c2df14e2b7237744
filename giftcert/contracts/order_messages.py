"""From an order record to what one certificate is told of it."""

from dataclasses import dataclass

from giftcert.contracts.orders import (
    CANCELLED,
    AnyOrder,
    OrderLine,
    OrderRecipient,
    StatedOrder,
    WithdrawnOrder,
    identity,
)
from giftcert.domain.messages import (
    Cause,
    Line,
    LineHolder,
    LinesReturned,
    OrderCancelled,
    OrderMessage,
    OrderStated,
    OwnLine,
    Recipient,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlated:
    """What only ingest knows when it tells a certificate of an order.

    ``replaces``: the certificate that the line named one version earlier. ``line_holder``: how far another
    certificate has come that holds the line. ``earlier_payments_unknown``: the order named its first certificate after
    the horizon of unmatched payments.
    """

    certificate_id: str
    replaces: str | None = None
    line_holder: LineHolder | None = None
    earlier_payments_unknown: bool = False


def order_message(record: AnyOrder, topic: str, correlated: Correlated) -> OrderMessage:
    """Return what the certificate is told of an order record that stood on ``topic``."""
    if isinstance(record, StatedOrder):
        return _stated(record, topic, correlated)
    if record.event_type == CANCELLED:
        return _cancelled(record, topic)
    return _returned(record, topic)


def _stated(record: StatedOrder, topic: str, correlated: Correlated) -> OrderStated:
    own = next(
        (one for one in record.certificate_lines if one.certificate_id == correlated.certificate_id), None
    )
    return OrderStated(
        key=identity(record),
        cause=Cause(topic, record.event_id),
        occurred_at=record.occurred_at,
        channel=record.channel,
        order_id=record.order_id,
        order_version=record.order_version,
        customer_id=record.customer_id,
        currency=record.currency,
        total=record.total,
        lines=tuple(Line(line.line_id, line.kind, line.amount) for line in record.lines),
        own=_own_line(own, correlated.replaces) if own else None,
        line_holder=correlated.line_holder,
        earlier_payments_unknown=correlated.earlier_payments_unknown,
    )


def _cancelled(record: WithdrawnOrder, topic: str) -> OrderCancelled:
    return OrderCancelled(
        key=identity(record),
        cause=Cause(topic, record.event_id),
        occurred_at=record.occurred_at,
        channel=record.channel,
        order_id=record.order_id,
        order_version=record.order_version,
        line_ids=record.line_ids,
    )


def _returned(record: WithdrawnOrder, topic: str) -> LinesReturned:
    return LinesReturned(
        key=identity(record),
        cause=Cause(topic, record.event_id),
        occurred_at=record.occurred_at,
        channel=record.channel,
        order_id=record.order_id,
        order_version=record.order_version,
        line_ids=record.line_ids or (),
    )


def _own_line(line: OrderLine, replaces: str | None) -> OwnLine:
    return OwnLine(
        line_id=line.line_id,
        amount=line.amount,
        nominal=line.nominal,
        reservation_id=line.reservation_id,
        recipient=_recipient(line.recipient),
        replaces=replaces,
    )


def _recipient(recipient: OrderRecipient | None) -> Recipient | None:
    if recipient is None:
        return None
    return Recipient(ref=recipient.ref, channel=recipient.channel, locale=recipient.locale)
