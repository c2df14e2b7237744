"""Messages, products and certificates of the domain's tests: what a test does not say has a plain default."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

from giftcert.domain.cause import Cause
from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.state import CertificateState
from giftcert.domain.order import messages as o
from giftcert.domain.policy import Policy, Terms
from giftcert.domain.products import Product

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PRICE = 500_000
FIXED = Product(id="GC-5000", currency="RUB", nominal=PRICE)
OPEN_VALUE = Product(
    id="GC-OPEN", currency="RUB", nominal=None, least_nominal=100_000, greatest_nominal=900_000
)
FREE = replace(FIXED, greatest_discount_percent=100)
"""Of which a line may cost nothing."""
CERTIFICATE = "certificate-1"
ORDER = "IM-1001"
LINE = "2"
RESERVATION = "R-1"
_numbers = count(1)


def terms(product: Product = FIXED, **policy: object) -> Terms:
    """CRM is given time, as few tests have it fetch a CVC."""
    patient = replace(Policy(), **({"notification_wait": 10_000 * DAY} | policy))  # type: ignore[arg-type]
    return Terms(product=product, policy=patient, web_url="http://web/certificate")


def certificate(product: Product = FIXED, name: str = CERTIFICATE) -> CertificateState:
    return CertificateState(
        certificate_id=name, product=product.id, currency=product.currency, nominal=product.nominal or 0
    )


def fresh(prefix: str) -> str:
    """A name that no other message has."""
    return f"{prefix}-{next(_numbers)}"


def cause(topic: str, at: datetime = NOON, channel: str = "im") -> Cause:
    return Cause(topic=topic, event_id=fresh("event"), occurred_at=at, channel=channel)


# Pool ---------------------------------------------------------------------------------------------


def reserve(reservation_id: str = RESERVATION, channel: str = "im", nominal: int | None = None) -> m.Reserve:
    return m.Reserve(channel=channel, reservation_id=reservation_id, nominal=nominal)


def lapsed(reservation_id: str = RESERVATION) -> m.ReservationLapsed:
    return m.ReservationLapsed(reservation_id)


def given_back(reservation_id: str = RESERVATION) -> m.ReleaseReservation:
    return m.ReleaseReservation(reservation_id)


def extended(reservation_id: str = RESERVATION) -> m.ExtendReservation:
    return m.ExtendReservation(reservation_id)


# Orders -------------------------------------------------------------------------------------------


def gift(
    line_id: str = LINE,
    amount: int = PRICE,
    certificate_id: str | None = None,
    *,
    reservation_id: str | None = None,
    nominal: int | None = None,
) -> o.OrderLine:
    """A certificate line; whose certificate it is, ``ordered`` says unless it is named here."""
    return o.OrderLine(
        line_id=line_id,
        kind=o.GIFT_CERTIFICATE,
        amount=amount,
        certificate_id=certificate_id,
        reservation_id=reservation_id,
        nominal=nominal,
    )


def goods(line_id: str = "1", amount: int = 250_000) -> o.OrderLine:
    return o.OrderLine(line_id=line_id, kind="goods", amount=amount)


def ordered(
    *lines: o.OrderLine,
    own: str | None = LINE,
    version: int = 1,
    order_id: str = ORDER,
    total: int | None = None,
    at: datetime = NOON,
    channel: str = "im",
    currency: str = "RUB",
    customer_id: str | None = "C-77",
    certificate_id: str = CERTIFICATE,
    reservation_id: str | None = RESERVATION,
    nominal: int | None = None,
) -> o.OrderStated:
    """The whole order, with a certificate on line ``own``; certificate lines that name none have others'."""
    lines = lines or (gift(),)
    named = tuple(
        replace(line, certificate_id=certificate_id, reservation_id=reservation_id, nominal=nominal)
        if line.line_id == own
        else replace(line, certificate_id=line.certificate_id or f"other-{line.line_id}")
        if line.is_certificate
        else line
        for line in lines
    )
    return o.OrderStated(
        cause=cause("All_SalesOrder", at, channel),
        event_type="order.created" if version == 1 else "order.changed",
        order_id=order_id,
        version=version,
        channel=channel,
        customer_id=customer_id,
        currency=currency,
        total=sum(line.amount for line in named) if total is None else total,
        lines=named,
    )


def emptied(version: int = 2, order_id: str = ORDER, at: datetime = NOON) -> o.OrderStated:
    """The order with none of its lines left."""
    return replace(ordered(version=version, order_id=order_id, at=at), lines=(), total=0)


def cancelled(
    *line_ids: str, version: int = 2, order_id: str = ORDER, at: datetime = NOON
) -> o.OrderCancelled:
    """These lines, or all of them if none is named."""
    return o.OrderCancelled(
        cause=cause("All_SalesOrder", at),
        order_id=order_id,
        version=version,
        channel="im",
        line_ids=line_ids or None,
    )


def returned(*line_ids: str, version: int = 2, order_id: str = ORDER, at: datetime = NOON) -> o.LinesReturned:
    return o.LinesReturned(
        cause=cause("All_SalesOrder", at),
        order_id=order_id,
        version=version,
        channel="im",
        line_ids=line_ids or (LINE,),
    )


# Payments -----------------------------------------------------------------------------------------


def _allocations(given: Mapping[str, int] | None) -> tuple[o.Allocation, ...]:
    return tuple(o.Allocation(line_id, amount) for line_id, amount in (given or {}).items())


def authorized(amount: int = PRICE, payment_id: str = "P-1", order_id: str = ORDER) -> o.PaymentAuthorized:
    return o.PaymentAuthorized(
        cause=cause("All_Payments"),
        order_id=order_id,
        payment_id=payment_id,
        tender="card",
        amount=amount,
        currency="RUB",
        capture_id=fresh("authorisation"),
    )


def captured(
    amount: int = PRICE,
    payment_id: str = "P-1",
    *,
    to: Mapping[str, int] | None = None,
    order_id: str = ORDER,
    tender: str = "card",
    currency: str = "RUB",
    at: datetime = NOON,
) -> o.PaymentCaptured:
    return o.PaymentCaptured(
        cause=cause("All_Payments", at),
        order_id=order_id,
        payment_id=payment_id,
        capture_id=fresh("capture"),
        tender=tender,
        amount=amount,
        currency=currency,
        allocations=_allocations(to),
    )


def voided(payment_id: str = "P-1", amount: int = PRICE, order_id: str = ORDER) -> o.PaymentVoided:
    return o.PaymentVoided(
        cause=cause("All_Payments"),
        order_id=order_id,
        payment_id=payment_id,
        tender="card",
        amount=amount,
        currency="RUB",
        capture_id=fresh("void"),
    )


def refunded(
    amount: int = PRICE,
    refund_id: str | None = None,
    *,
    to: Mapping[str, int] | None = None,
    order_id: str = ORDER,
    currency: str = "RUB",
    at: datetime = NOON,
    payment_id: str = "P-1",
) -> o.PaymentRefunded:
    return o.PaymentRefunded(
        cause=cause("All_Payments", at),
        order_id=order_id,
        payment_id=payment_id,
        refund_id=refund_id or fresh("refund"),
        tender="card",
        amount=amount,
        currency=currency,
        allocations=_allocations(to),
    )


# People -------------------------------------------------------------------------------------------


def block() -> m.Block:
    return m.Block(reason="lost", by="support-1")


def unblock() -> m.Unblock:
    return m.Unblock(reason="found", by="support-1")


def retire() -> m.Retire:
    return m.Retire(reason="misprint", by="ops-1")


def resolve(
    refund_case_id: str = "none",
    decision: str = "approve",
    amount: int | None = None,
    *,
    by: str = "support-1",
) -> m.ResolveRefund:
    return m.ResolveRefund(
        refund_case_id=refund_case_id,
        decision=decision,
        amount=amount,
        resolved_by=by,
        note="agreed by telephone",
    )


# Spending -----------------------------------------------------------------------------------------


def hold(
    amount: int = 100_000,
    redemption_id: str = "D-1",
    *,
    order_id: str = "POS-5",
    currency: str = "RUB",
    channel: str = "pos",
    seconds: int | None = None,
) -> m.AuthorizeRedemption:
    return m.AuthorizeRedemption(
        channel=channel,
        redemption_id=redemption_id,
        order_id=order_id,
        amount=amount,
        currency=currency,
        hold_seconds=seconds,
    )


def unhold(redemption_id: str = "D-1", channel: str = "pos") -> m.VoidRedemption:
    return m.VoidRedemption(channel=channel, redemption_id=redemption_id)


def hold_lapsed(redemption_id: str = "D-1") -> m.HoldLapsed:
    return m.HoldLapsed(redemption_id)


def spending(
    kind: str = "captured",
    amount: int = 100_000,
    redemption_id: str | None = None,
    *,
    order_id: str = "POS-5",
    payment_id: str = "P-5",
    currency: str = "RUB",
    channel: str = "pos",
) -> m.SpendingReported:
    return m.SpendingReported(
        cause=cause("All_Payments", channel=channel),
        kind=m.SpendingKind(kind),
        order_id=order_id,
        payment_id=payment_id,
        redemption_id=redemption_id,
        amount=amount,
        currency=currency,
        refund_id=fresh("refund") if kind == "refunded" else None,
    )


def disclose() -> m.DiscloseCvc:
    return m.DiscloseCvc(disclosed_to="crm-1", purpose="notification", notification_id=None)


def a_message_of_each_class() -> tuple[m.Message, ...]:
    """One message of every class of the union, about the default reservation and redemption; of lines see ``lives``."""
    return (
        spending(),
        lapsed(),
        m.UnpaidDeadlinePassed(),
        m.RefundDeadlinePassed("none"),
        hold_lapsed(),
        m.NotificationOverdue("none", NOON),
        m.ValidityEnded(),
        reserve(),
        extended(),
        given_back(),
        hold(),
        unhold(),
        resolve(),
        m.RequestNotification("support-1"),
        block(),
        unblock(),
        retire(),
        disclose(),
        m.LockVerification(attempts=5, since=NOON, channel="pos"),
        m.UnlockVerification(reason="called", by="support-1"),
    )
