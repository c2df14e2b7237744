"""What is said about an order: versions, payments, persons' words on a refund. Minor units, aware UTC instants."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple, TypeAlias, assert_never

from giftcert.domain.cause import Cause

GIFT_CERTIFICATE = "giftCertificate"
"""The kind of a line that sells a certificate, and the tender of a payment that spends one."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class OrderLine:
    """One line of a version; the last three fields are set on certificate lines alone."""

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
class _OrderVersion:
    cause: Cause
    order_id: str
    version: int
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStated(_OrderVersion):
    """``order.created``, ``order.changed``: the whole order as it now is."""

    event_type: str
    customer_id: str | None
    currency: str
    total: int
    lines: tuple[OrderLine, ...]
    recipients_digest: str | None = None  # distinguishes repeats; recipients are kept elsewhere, to be erased


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCancelled(_OrderVersion):
    """``order.cancelled``."""

    line_ids: tuple[str, ...] | None  # None: the whole order
    certificates: tuple[tuple[str, str], ...] = ()  # (lineId, certificateId): it may come before any version


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesReturned(_OrderVersion):
    """``order.returned``: what was sold on these lines came back; fields as in ``OrderCancelled``."""

    line_ids: tuple[str, ...]
    certificates: tuple[tuple[str, str], ...] = ()


class Allocation(NamedTuple):
    """How much of a payment is meant for the line that bears this lineId (see "Line identity")."""

    line_id: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Payment:
    cause: Cause
    order_id: str
    payment_id: str
    tender: str
    amount: int
    currency: str
    capture_id: str | None = None
    allocations: tuple[Allocation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentAuthorized(_Payment):
    """``payment.authorized``: money is promised for the order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentCaptured(_Payment):
    """``payment.captured``: money of the order is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentVoided(_Payment):
    """``payment.voided``: an authorisation is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRefunded(_Payment):
    """``payment.refunded``: money of the order went back; parts of one refund share its ``refund_id``."""

    refund_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundShareDecided:
    """A person said how much of a refund is the money of a line; 0: not this line. The newest word stands."""

    order_id: str
    refund_id: str
    currency: str
    line_key: int
    amount: int


OrderVersion: TypeAlias = OrderStated | OrderCancelled | LinesReturned
Payment: TypeAlias = PaymentAuthorized | PaymentCaptured | PaymentVoided | PaymentRefunded
OrderMessage: TypeAlias = OrderVersion | Payment | RefundShareDecided


def identity_of(message: OrderMessage) -> bytes:
    """Return a digest of what all repeats share (contracts.md, "What makes two messages the same")."""
    kind = type(message).__name__
    match message:
        case OrderStated():
            return _digest(12, kind, message.event_type, message.version)
        case OrderCancelled() | LinesReturned():
            return _digest(12, kind, message.version)
        case PaymentRefunded():
            return _digest(12, kind, message.payment_id, message.refund_id)
        case _Payment(capture_id=None):
            return _digest(
                12, kind, message.payment_id, message.amount, message.cause.occurred_at.isoformat()
            )
        case _Payment():
            return _digest(12, kind, message.payment_id, message.capture_id)
        case RefundShareDecided():
            return _digest(12, kind, message.refund_id, message.currency, message.line_key)
        case _:
            assert_never(message)


def content_of(message: OrderMessage) -> bytes:
    """Return a digest of what a message says; the same identity with another content is a contradiction."""
    match message:
        case OrderStated():
            buyer = message.channel, message.customer_id, message.recipients_digest
            return _digest(8, buyer, message.currency, message.total, sorted(message.lines))
        case OrderCancelled() | LinesReturned():
            named = None if message.line_ids is None else sorted(message.line_ids)
            return _digest(8, message.channel, named, sorted(message.certificates))
        case _Payment():
            paid = message.tender, message.amount, message.currency
            return _digest(8, message.cause.channel, paid, sorted(message.allocations))
        case RefundShareDecided():
            return _digest(8, message.amount)
        case _:
            assert_never(message)


def _digest(size: int, *of: object) -> bytes:
    return blake2b(repr(of).encode(), digest_size=size).digest()
