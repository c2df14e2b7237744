"""Messages, products and certificates of the domain's tests: what a test does not say has a plain default."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

from giftcert.domain import messages as m
from giftcert.domain.policy import Policy, Terms
from giftcert.domain.products import Product
from giftcert.domain.state import CertificateState

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PRICE = 500_000
FIXED = Product(id="GC-5000", currency="RUB", nominal=PRICE)
OPEN_VALUE = Product(
    id="GC-OPEN", currency="RUB", nominal=None, least_nominal=100_000, greatest_nominal=900_000
)
ORDER = "IM-1001"
LINE = "2"
RESERVATION = "R-1"
_numbers = count(1)


def terms(product: Product = FIXED, **policy: object) -> Terms:
    return Terms(product=product, policy=replace(Policy(), **policy), web_url="http://web/certificate")  # type: ignore[arg-type]


def certificate(product: Product = FIXED, name: str = "certificate-1") -> CertificateState:
    return CertificateState(
        certificate_id=name, product=product.id, currency=product.currency, nominal=product.nominal or 0
    )


def fresh(prefix: str) -> str:
    """A name that no other message has."""
    return f"{prefix}-{next(_numbers)}"


def cause(topic: str) -> m.Cause:
    return m.Cause(topic=topic, event_id=fresh("event"))


# Pool ---------------------------------------------------------------------------------------------


def reserve(
    reservation_id: str = RESERVATION,
    channel: str = "im",
    until: datetime = NOON + 30 * MINUTE,
    nominal: int | None = None,
) -> m.Reserve:
    return m.Reserve(
        key=fresh("reserve"),
        channel=channel,
        reservation_id=reservation_id,
        reserved_until=until,
        nominal=nominal,
    )


def lapsed(reservation_id: str = RESERVATION) -> m.ReservationLapsed:
    return m.ReservationLapsed(key=fresh("lapsed"), reservation_id=reservation_id)


def given_back(reservation_id: str = RESERVATION) -> m.ReleaseReservation:
    return m.ReleaseReservation(key=fresh("release"), reservation_id=reservation_id)


def extended(until: datetime, reservation_id: str = RESERVATION) -> m.ExtendReservation:
    return m.ExtendReservation(key=fresh("extend"), reservation_id=reservation_id, reserved_until=until)


# Orders -------------------------------------------------------------------------------------------


def gift(line_id: str = LINE, amount: int = PRICE) -> m.Line:
    return m.Line(line_id=line_id, kind="giftCertificate", amount=amount)


def goods(line_id: str = "1", amount: int = 250_000) -> m.Line:
    return m.Line(line_id=line_id, kind="goods", amount=amount)


def ordered(
    *lines: m.Line,
    own: str | None = LINE,
    version: int = 1,
    order_id: str = ORDER,
    total: int | None = None,
    at: datetime = NOON,
    channel: str = "im",
    currency: str = "RUB",
    customer_id: str | None = "C-77",
    reservation_id: str | None = RESERVATION,
    nominal: int | None = None,
    recipient: m.Recipient | None = None,
    replaces: str | None = None,
    line_holder: m.LineHolder | None = None,
    earlier_payments_unknown: bool = False,
) -> m.OrderStated:
    """The whole order as one certificate sees it: on line ``own``, or on none."""
    lines = lines or (gift(),)
    on = next((line for line in lines if line.line_id == own), None)
    line = (
        m.OwnLine(
            line_id=on.line_id,
            amount=on.amount,
            nominal=nominal,
            reservation_id=reservation_id,
            recipient=recipient,
            replaces=replaces,
        )
        if on
        else None
    )
    return m.OrderStated(
        key=f"order:{order_id}:{version}:stated",
        cause=cause("All_SalesOrder"),
        occurred_at=at,
        channel=channel,
        order_id=order_id,
        order_version=version,
        customer_id=customer_id,
        currency=currency,
        total=sum(line.amount for line in lines) if total is None else total,
        lines=lines,
        own=line,
        line_holder=line_holder,
        earlier_payments_unknown=earlier_payments_unknown,
    )


def cancelled(
    *line_ids: str, version: int = 2, order_id: str = ORDER, at: datetime = NOON
) -> m.OrderCancelled:
    """These lines, or all of them if none is named."""
    return m.OrderCancelled(
        key=f"order:{order_id}:{version}:cancelled",
        cause=cause("All_SalesOrder"),
        occurred_at=at,
        channel="im",
        order_id=order_id,
        order_version=version,
        line_ids=line_ids or None,
    )


def returned(*line_ids: str, version: int = 2, order_id: str = ORDER, at: datetime = NOON) -> m.LinesReturned:
    return m.LinesReturned(
        key=f"order:{order_id}:{version}:returned",
        cause=cause("All_SalesOrder"),
        occurred_at=at,
        channel="im",
        order_id=order_id,
        order_version=version,
        line_ids=line_ids or (LINE,),
    )


# Payments -----------------------------------------------------------------------------------------


def _allocations(given: Mapping[str, int] | None) -> tuple[m.Allocation, ...]:
    return tuple(m.Allocation(line_id, amount) for line_id, amount in (given or {}).items())


def authorized(amount: int = PRICE, payment_id: str = "P-1", order_id: str = ORDER) -> m.PaymentAuthorized:
    return m.PaymentAuthorized(
        key=fresh("authorized"),
        cause=cause("All_Payments"),
        occurred_at=NOON,
        channel="im",
        order_id=order_id,
        payment_id=payment_id,
        tender="card",
        amount=amount,
        currency="RUB",
    )


def captured(
    amount: int = PRICE,
    payment_id: str = "P-1",
    *,
    to: Mapping[str, int] | None = None,
    order_id: str = ORDER,
    tender: str = "card",
    currency: str = "RUB",
) -> m.PaymentCaptured:
    return m.PaymentCaptured(
        key=fresh("captured"),
        cause=cause("All_Payments"),
        occurred_at=NOON,
        channel="im",
        order_id=order_id,
        payment_id=payment_id,
        capture_id=None,
        tender=tender,
        amount=amount,
        currency=currency,
        allocations=_allocations(to),
    )


def voided(payment_id: str = "P-1", amount: int = PRICE, order_id: str = ORDER) -> m.PaymentVoided:
    return m.PaymentVoided(
        key=fresh("voided"),
        cause=cause("All_Payments"),
        occurred_at=NOON,
        channel="im",
        order_id=order_id,
        payment_id=payment_id,
        tender="card",
        amount=amount,
        currency="RUB",
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
) -> m.PaymentRefunded:
    return m.PaymentRefunded(
        key=fresh("refunded"),
        cause=cause("All_Payments"),
        occurred_at=at,
        channel="im",
        order_id=order_id,
        payment_id=payment_id,
        refund_id=refund_id or fresh("refund"),
        tender="card",
        amount=amount,
        currency=currency,
        allocations=_allocations(to),
    )


# People and time ----------------------------------------------------------------------------------


def client(
    client_id: str = "C-77",
    *,
    at: datetime = NOON,
    locale: str | None = "ru-RU",
    preferred_channel: str | None = "email",
    merged_into: str | None = None,
    blocked: bool = False,
    erased: bool = False,
) -> m.ClientUpdated:
    return m.ClientUpdated(
        key=fresh("client"),
        cause=cause("All_Clients"),
        occurred_at=at,
        client_id=client_id,
        locale=locale,
        preferred_channel=preferred_channel,
        merged_into=merged_into,
        blocked=blocked,
        erased=erased,
    )


def block() -> m.Block:
    return m.Block(key=fresh("block"), reason="lost", by="support-1")


def unblock() -> m.Unblock:
    return m.Unblock(key=fresh("unblock"), reason="found", by="support-1")


def retire() -> m.Retire:
    return m.Retire(key=fresh("retire"), reason="misprint", by="ops-1")


# Spending -----------------------------------------------------------------------------------------


def hold(
    amount: int = 100_000,
    redemption_id: str = "D-1",
    *,
    order_id: str = "POS-5",
    currency: str = "RUB",
    until: datetime = NOON + 30 * MINUTE,
) -> m.AuthorizeRedemption:
    return m.AuthorizeRedemption(
        key=fresh("hold"),
        channel="pos",
        redemption_id=redemption_id,
        order_id=order_id,
        amount=amount,
        currency=currency,
        expires_at=until,
    )


def unhold(redemption_id: str = "D-1") -> m.VoidRedemption:
    return m.VoidRedemption(key=fresh("void"), channel="pos", redemption_id=redemption_id)


def spending(
    event_type: str = "payment.captured",
    amount: int = 100_000,
    redemption_id: str | None = None,
    *,
    order_id: str = "POS-5",
    payment_id: str = "P-5",
    currency: str = "RUB",
    channel: str = "pos",
) -> m.SpendingReported:
    return m.SpendingReported(
        key=fresh("spending"),
        cause=cause("All_Payments"),
        occurred_at=NOON,
        channel=channel,
        event_type=event_type,
        order_id=order_id,
        payment_id=payment_id,
        redemption_id=redemption_id,
        amount=amount,
        currency=currency,
        refund_id=fresh("refund") if event_type == "payment.refunded" else None,
    )


def hold_lapsed(redemption_id: str = "D-1") -> m.HoldLapsed:
    return m.HoldLapsed(key=fresh("hold-lapsed"), redemption_id=redemption_id)


# Refund cases -------------------------------------------------------------------------------------


def resolve(
    refund_case_id: str = "none",
    decision: str = "approve",
    amount: int | None = None,
    *,
    by: str = "support-1",
) -> m.ResolveRefund:
    return m.ResolveRefund(
        key=fresh("resolve"),
        refund_case_id=refund_case_id,
        decision=decision,
        amount=amount,
        resolved_by=by,
        note="agreed by telephone",
    )


def assigned(
    refund_id: str = "r-1", line_id: str = "3", amount: int = 0, order_id: str = ORDER
) -> m.RefundAssigned:
    return m.RefundAssigned(
        key=f"assigned:{order_id}:{refund_id}:{line_id}",
        order_id=order_id,
        refund_id=refund_id,
        line_id=line_id,
        amount=amount,
    )


def a_message_of_each_class() -> tuple[m.Message, ...]:
    """One message of every class of the union, about the default order and reservation."""
    deadline = {"key": "deadline"}
    return (
        reserve(),
        extended(NOON + HOUR),
        given_back(),
        lapsed(),
        ordered(),
        cancelled(),
        returned(),
        authorized(),
        captured(),
        voided(),
        refunded(),
        spending(),
        client(),
        m.UnpaidDeadlinePassed(**deadline),
        m.RefundDeadlinePassed(**deadline, refund_case_id="none"),
        m.ValidityEnded(**deadline),
        hold_lapsed(),
        hold(),
        unhold(),
        resolve(),
        assigned(),
        m.RequestNotification(key=fresh("notify"), requested_by="support-1"),
        block(),
        unblock(),
        retire(),
    )
