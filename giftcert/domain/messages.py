"""What a certificate may be told, each a fact or a request in one frozen dataclass.

``key`` is the identity under which a repeat is recognised; ``cause`` is where the message came from (``None`` for
HTTP and time). Amounts are minor units; times are aware UTC instants.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, TypeAlias


@dataclass(frozen=True, slots=True)
class Cause:
    """The record on a topic that a message was made from."""

    topic: str
    event_id: str


class LineHolder(StrEnum):
    """How far another certificate, which stands on the same order line, has come."""

    ORDERED = "ordered"
    ISSUED = "issued"


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom the certificate is for: an opaque reference, never an address."""

    ref: str | None = None
    channel: str | None = None
    locale: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an order as every certificate of the order sees it."""

    line_id: str
    kind: str
    amount: int

    GIFT_CERTIFICATE: ClassVar[str] = "giftCertificate"

    @property
    def is_certificate(self) -> bool:
        """Whether a gift certificate is sold on this line."""
        return self.kind == Line.GIFT_CERTIFICATE


@dataclass(frozen=True, slots=True)
class OwnLine:
    """The line that names this certificate. ``replaces`` is the certificate named there one version earlier."""

    line_id: str
    amount: int
    nominal: int | None = None
    reservation_id: str | None = None
    recipient: Recipient | None = None
    replaces: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStated:
    """The whole order as it now is (``order.created``, ``order.changed``); ``own`` is ``None`` if it names others."""

    key: str
    cause: Cause | None
    occurred_at: datetime
    channel: str
    order_id: str
    order_version: int
    customer_id: str | None
    currency: str
    total: int
    lines: tuple[Line, ...]
    own: OwnLine | None
    line_holder: LineHolder | None = None
    earlier_payments_unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCancelled:
    """``order.cancelled``: these lines, or all of them where ``line_ids`` is ``None``."""

    key: str
    cause: Cause | None
    occurred_at: datetime
    channel: str
    order_id: str
    order_version: int
    line_ids: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesReturned:
    """``order.returned``: the goods of these lines came back."""

    key: str
    cause: Cause | None
    occurred_at: datetime
    channel: str
    order_id: str
    order_version: int
    line_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Allocation:
    """How much of a payment is meant for one line."""

    line_id: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentAuthorized:
    """``payment.authorized``: money is promised for the order."""

    key: str
    cause: Cause | None
    occurred_at: datetime
    channel: str
    order_id: str
    payment_id: str
    tender: str
    amount: int
    currency: str
    allocations: tuple[Allocation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentCaptured:
    """``payment.captured``: money of the order is taken."""

    key: str
    cause: Cause | None
    occurred_at: datetime
    channel: str
    order_id: str
    payment_id: str
    capture_id: str | None
    tender: str
    amount: int
    currency: str
    allocations: tuple[Allocation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentVoided:
    """``payment.voided``: an authorisation is given up."""

    key: str
    cause: Cause | None
    occurred_at: datetime
    channel: str
    order_id: str
    payment_id: str
    tender: str
    amount: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRefunded:
    """``payment.refunded``: money of the order went back."""

    key: str
    cause: Cause | None
    occurred_at: datetime
    channel: str
    order_id: str
    payment_id: str
    refund_id: str
    tender: str
    amount: int
    currency: str
    allocations: tuple[Allocation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingReported:
    """A payment with this certificate as its tender; ``event_type`` is that of the topic."""

    key: str
    cause: Cause | None
    occurred_at: datetime
    channel: str
    event_type: str
    order_id: str
    payment_id: str
    redemption_id: str | None
    amount: int
    currency: str
    capture_id: str | None = None
    refund_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientUpdated:
    """``client.updated``: how the buyer wants to be written to. Erasure comes as all settings ``None``."""

    key: str
    cause: Cause | None
    occurred_at: datetime
    client_id: str
    locale: str | None
    preferred_channel: str | None
    merged_into: str | None = None
    blocked: bool = False
    erased: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """A channel takes the certificate from the pool (HTTP)."""

    key: str
    channel: str
    reservation_id: str
    reserved_until: datetime
    nominal: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendReservation:
    """The channel asks to keep the certificate longer (HTTP)."""

    key: str
    reservation_id: str
    reserved_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseReservation:
    """The channel gives the certificate back (HTTP)."""

    key: str
    reservation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationLapsed:
    """``reservedUntil`` has passed and ingest has caught up beyond it."""

    key: str
    reservation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpaidDeadlinePassed:
    """The order had until now to be paid."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundDeadlinePassed:
    """What a refund case waited for has not come, or its next alert is due."""

    key: str
    refund_case_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidityEnded:
    """``validUntil`` has passed."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldLapsed:
    """The time of a redemption's hold has passed."""

    key: str
    redemption_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizeRedemption:
    """A channel wants to hold part of the balance (HTTP)."""

    key: str
    channel: str
    redemption_id: str
    order_id: str
    amount: int
    currency: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidRedemption:
    """A channel gives a hold back (HTTP)."""

    key: str
    channel: str
    redemption_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundAssigned:
    """A person said how much of a refund, which named no line, is a line's money; 0: it does not mean that line.

    It comes from the certificate of one line to all other certificates of the order, with what was agreed so far.
    """

    key: str
    order_id: str
    refund_id: str
    line_id: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveRefund:
    """CRM or support decides an open refund case (HTTP or CLI); ``amount`` is in nominal units."""

    key: str
    refund_case_id: str
    decision: str
    amount: int | None
    resolved_by: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestNotification:
    """CRM or support asks to write to the client again (HTTP)."""

    key: str
    requested_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Support stops spending and disclosure (HTTP)."""

    key: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unblock:
    """Support lifts a block (HTTP)."""

    key: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire:
    """Operations withdraw the certificate (CLI, HTTP)."""

    key: str
    reason: str
    by: str


OrderMessage: TypeAlias = OrderStated | OrderCancelled | LinesReturned
PaymentMessage: TypeAlias = PaymentAuthorized | PaymentCaptured | PaymentVoided | PaymentRefunded
PoolMessage: TypeAlias = Reserve | ExtendReservation | ReleaseReservation | ReservationLapsed
InternalMessage: TypeAlias = RefundAssigned
DeadlineMessage: TypeAlias = UnpaidDeadlinePassed | RefundDeadlinePassed | ValidityEnded | HoldLapsed
SpendingMessage: TypeAlias = SpendingReported | AuthorizeRedemption | VoidRedemption
PersonMessage: TypeAlias = ResolveRefund | RequestNotification | Block | Unblock | Retire
Message: TypeAlias = (
    OrderMessage
    | PaymentMessage
    | ClientUpdated
    | InternalMessage
    | PoolMessage
    | DeadlineMessage
    | SpendingMessage
    | PersonMessage
)
