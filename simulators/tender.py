"""Payments of ``All_Payments`` in which a certificate is the tender. Amounts are minor units."""

from dataclasses import dataclass

from simulators.messages import Order, PaymentMessage, new_event_id, now


@dataclass(frozen=True, slots=True)
class Purchase:
    """An order for which a certificate shall pay ``amount``. Without ``redemption_id`` nothing was held for it."""

    order: Order
    certificate_id: str
    amount: int
    redemption_id: str | None = None

    @property
    def payment_id(self) -> str:
        """The payment with the certificate; the order may have others beside it."""
        return f"P-{self.order.order_id}-GC"


def spending_authorized(purchase: Purchase) -> PaymentMessage:
    """Return the promise of what is held."""
    return _payment(purchase, "payment.authorized", purchase.amount)


def spending_captured(purchase: Purchase, amount: int | None = None) -> PaymentMessage:
    """Return the capture of all that was meant, unless an amount is given."""
    spent = purchase.amount if amount is None else amount
    return _payment(purchase, "payment.captured", spent, capture_id=f"{purchase.payment_id}-1")


def spending_voided(purchase: Purchase) -> PaymentMessage:
    """Return that the purchase is given up before it was captured."""
    return _payment(purchase, "payment.voided", purchase.amount)


def spending_refunded(purchase: Purchase, amount: int, refund: int = 1) -> PaymentMessage:
    """Return that so much of what was spent goes back onto the certificate; ``refund`` distinguishes several."""
    refund_id = f"R-{purchase.order.order_id}-GC-{refund}"
    return _payment(purchase, "payment.refunded", amount, refund_id=refund_id)


def _payment(
    purchase: Purchase,
    event_type: str,
    amount: int,
    *,
    capture_id: str | None = None,
    refund_id: str | None = None,
) -> PaymentMessage:
    return PaymentMessage(
        event_id=new_event_id(event_type),
        event_type=event_type,
        occurred_at=now(),
        channel=purchase.order.channel,
        order_id=purchase.order.order_id,
        payment_id=purchase.payment_id,
        tender="giftCertificate",
        amount=amount,
        currency=purchase.order.currency,
        capture_id=capture_id,
        refund_id=refund_id,
        certificate_id=purchase.certificate_id,
        redemption_id=purchase.redemption_id,
    )
