"""Messages about one order: what a test does not say has a plain default. Lines are told by certificate or as goods."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

from giftcert.domain.cause import Cause
from giftcert.domain.order import messages as m
from giftcert.domain.order.line_standings import line_standings
from giftcert.domain.order.order import Order, apply, settled
from giftcert.domain.order.standing import CountedMoney, LineRefund, LineStanding
from giftcert.domain.policy import Policy

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LATER = NOON + HOUR
ORDER = "IM-1001"
POLICY = Policy()
_numbers = count(1)


def cause(topic: str = "All_SalesOrder", at: datetime = NOON, channel: str | None = "im") -> Cause:
    return Cause(topic, f"event-{next(_numbers)}", at, channel)


# Lines --------------------------------------------------------------------------------------------


def gift(
    line_id: str = "2", amount: int = 500, certificate: str | None = None, **more: object
) -> m.OrderLine:
    name = certificate or f"certificate-{line_id}"
    line = m.OrderLine(
        line_id=line_id,
        kind=m.GIFT_CERTIFICATE,
        amount=amount,
        certificate_id=name,
        reservation_id=f"R-{name}",
    )
    return replace(line, **more)  # type: ignore[arg-type]


def goods(line_id: str = "1", amount: int = 250, kind: str = "goods") -> m.OrderLine:
    return m.OrderLine(line_id=line_id, kind=kind, amount=amount)


TELEVISION, A, B = goods("1"), gift("2"), gift("3")


# Versions -----------------------------------------------------------------------------------------


def stated(
    *lines: m.OrderLine,
    version: int = 1,
    total: int | None = None,
    at: datetime = NOON,
    event_type: str | None = None,
    currency: str = "RUB",
    channel: str = "im",
    customer_id: str | None = "C-77",
) -> m.OrderStated:
    return m.OrderStated(
        cause=cause(at=at),
        event_type=event_type or ("order.created" if version == 1 else "order.changed"),
        order_id=ORDER,
        version=version,
        channel=channel,
        customer_id=customer_id,
        currency=currency,
        total=sum(line.amount for line in lines) if total is None else total,
        lines=lines,
    )


def cancelled(
    *line_ids: str, version: int = 2, at: datetime = NOON, certificates: Mapping[str, str] | None = None
) -> m.OrderCancelled:
    """These lines, or all where none is named."""
    return m.OrderCancelled(
        cause=cause(at=at),
        order_id=ORDER,
        version=version,
        channel="im",
        line_ids=line_ids or None,
        certificates=tuple((certificates or {}).items()),
    )


def returned(*line_ids: str, version: int = 2, at: datetime = NOON) -> m.LinesReturned:
    return m.LinesReturned(
        cause=cause(at=at), order_id=ORDER, version=version, channel="im", line_ids=line_ids
    )


TWO, BOTH = stated(TELEVISION, A), stated(A, B)


# Payments -----------------------------------------------------------------------------------------


def _allocations(to: Mapping[str, int] | None) -> tuple[m.Allocation, ...]:
    return tuple(m.Allocation(line_id, amount) for line_id, amount in (to or {}).items())


def authorized(amount: int = 500, payment_id: str = "P-1") -> m.PaymentAuthorized:
    return m.PaymentAuthorized(
        cause=cause("All_Payments"),
        order_id=ORDER,
        payment_id=payment_id,
        tender="card",
        amount=amount,
        currency="RUB",
        capture_id=f"A-{next(_numbers)}",
    )


def voided(payment_id: str = "P-1", amount: int = 500) -> m.PaymentVoided:
    return m.PaymentVoided(
        cause=cause("All_Payments"),
        order_id=ORDER,
        payment_id=payment_id,
        tender="card",
        amount=amount,
        currency="RUB",
        capture_id=f"V-{next(_numbers)}",
    )


def captured(
    amount: int = 500,
    payment_id: str = "P-1",
    *,
    to: Mapping[str, int] | None = None,
    tender: str = "card",
    currency: str = "RUB",
    at: datetime = NOON,
    capture_id: str | None = None,
) -> m.PaymentCaptured:
    return m.PaymentCaptured(
        cause=cause("All_Payments", at),
        order_id=ORDER,
        payment_id=payment_id,
        tender=tender,
        amount=amount,
        currency=currency,
        capture_id=capture_id or f"K-{next(_numbers)}",
        allocations=_allocations(to),
    )


def refunded(
    amount: int = 500,
    refund_id: str | None = None,
    *,
    to: Mapping[str, int] | None = None,
    payment_id: str = "P-1",
    currency: str = "RUB",
    at: datetime = NOON,
) -> m.PaymentRefunded:
    return m.PaymentRefunded(
        cause=cause("All_Payments", at),
        order_id=ORDER,
        payment_id=payment_id,
        refund_id=refund_id or f"refund-{next(_numbers)}",
        tender="card",
        amount=amount,
        currency=currency,
        allocations=_allocations(to),
    )


def share(line_key: int, amount: int, refund_id: str = "r-1", currency: str = "RUB") -> m.RefundShareDecided:
    return m.RefundShareDecided(
        order_id=ORDER, refund_id=refund_id, currency=currency, line_key=line_key, amount=amount
    )


# Folding ------------------------------------------------------------------------------------------


def fold(*messages: m.OrderMessage, order: Order | None = None, now: datetime = NOON) -> Order:
    """Return an order after these messages, as it is stored."""
    for message in messages:
        order = apply(order, message, now)
    assert order is not None
    return settled(order)


def standings(
    *messages: m.OrderMessage, counted: Mapping[int, CountedMoney] | None = None
) -> dict[str, LineStanding]:
    """Return how the certificate lines stand after these messages, by lineId; the newest line of a lineId counts."""
    return by_number(line_standings(fold(*messages), counted or {}))


def standing_of_a(*messages: m.OrderMessage) -> LineStanding:
    """Return how the line of certificate ``A`` stands."""
    return standings(*messages)["2"]


def by_number(standings: Mapping[int, LineStanding]) -> dict[str, LineStanding]:
    return {standing.line_id: standing for _, standing in sorted(standings.items())}


def back(standing: LineStanding) -> int:
    """Return what certainly went back of a line, in the order's currency."""
    return sum(one.certain for one in standing.refunds if one.currency == standing.currency)


def excess(standing: LineStanding) -> int:
    """Return what was captured beyond the price."""
    return max(0, standing.captured - standing.price)


def possible(standing: LineStanding) -> int:
    return sum(one.possible for one in standing.refunds if one.currency == standing.currency)


def refund(standing: LineStanding, refund_id: str = "r-1", currency: str = "RUB") -> LineRefund:
    (found,) = [one for one in standing.refunds if (one.refund_id, one.currency) == (refund_id, currency)]
    return found


def counted_whole(standing: LineStanding) -> CountedMoney:
    """Return what a case that closes now counts of a line: all that is back, and that much of what was captured."""
    refunds = tuple((one.refund_id, one.currency, one.certain) for one in standing.refunds if one.certain > 0)
    return CountedMoney(captured=min(back(standing), standing.captured), refunds=refunds)
