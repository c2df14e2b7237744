"""What is said about an order: its own messages, its payments, and what a person said of a refund.

Amounts are minor units of the message's currency; times are aware UTC instants.
"""

from dataclasses import dataclass
from typing import TypeAlias

from giftcert.domain.cause import Cause

GIFT_CERTIFICATE = "giftCertificate"
"""The kind of a line that sells a certificate, and the tender of a payment that spends one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """One line of a version. ``certificate_id`` and what follows stand on certificate lines alone."""

    line_id: str
    kind: str
    amount: int
    certificate_id: str | None = None
    reservation_id: str | None = None
    nominal: int | None = None

    @property
    def is_certificate(self) -> bool:
        """Whether a gift certificate is sold on this line."""
        return self.kind == GIFT_CERTIFICATE


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStated:
    """``order.created``, ``order.changed``: the whole order as it now is.

    ``recipients_digest`` tells whether a repeat names the same recipients; they are kept apart, to be erased.
    """

    cause: Cause
    event_type: str
    order_id: str
    version: int
    channel: str
    customer_id: str | None
    currency: str
    total: int
    lines: tuple[OrderLine, ...]
    recipients_digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCancelled:
    """``order.cancelled``: these lines by lineId, or the whole order where ``line_ids`` is ``None``.

    ``certificates`` are (lineId, certificateId) where the message names them: it may be the first of its order.
    """

    cause: Cause
    order_id: str
    version: int
    channel: str
    line_ids: tuple[str, ...] | None
    certificates: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesReturned:
    """``order.returned``: what was sold on these lines came back; ``certificates`` as in a cancellation."""

    cause: Cause
    order_id: str
    version: int
    channel: str
    line_ids: tuple[str, ...]
    certificates: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Allocation:
    """How much of a payment is meant for the line that bears this lineId (see "Line identity")."""

    line_id: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentAuthorized:
    """``payment.authorized``: money is promised for the order."""

    cause: Cause
    order_id: str
    payment_id: str
    tender: str
    amount: int
    currency: str
    capture_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentCaptured:
    """``payment.captured``: money of the order is taken."""

    cause: Cause
    order_id: str
    payment_id: str
    tender: str
    amount: int
    currency: str
    capture_id: str | None = None
    allocations: tuple[Allocation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentVoided:
    """``payment.voided``: an authorisation is given up."""

    cause: Cause
    order_id: str
    payment_id: str
    tender: str
    amount: int
    currency: str
    capture_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRefunded:
    """``payment.refunded``: money of the order went back; parts of one refund share its ``refund_id``."""

    cause: Cause
    order_id: str
    payment_id: str
    refund_id: str
    tender: str
    amount: int
    currency: str
    allocations: tuple[Allocation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundShareDecided:
    """A person said how much of a refund, in ``currency``, is the money of a line; 0: it does not mean that line.

    The newest word on a refund and a line stands.
    """

    order_id: str
    refund_id: str
    currency: str
    line_key: int
    amount: int


OrderVersion: TypeAlias = OrderStated | OrderCancelled | LinesReturned
Payment: TypeAlias = PaymentAuthorized | PaymentCaptured | PaymentVoided | PaymentRefunded
OrderMessage: TypeAlias = OrderVersion | Payment | RefundShareDecided
