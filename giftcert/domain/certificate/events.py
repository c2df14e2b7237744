"""What happened to a certificate, as the stream tells it; imported as ``e``.

Field names are the stream's payload names in snake case; the first line of a docstring is the event's description in
``specs``. Amounts are minor units of the certificate's currency, or of ``foreign_currency`` where that is set.
``line_key`` numbers the lines of an order and stays where Orders renumbers them.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, TypeAlias

from giftcert.domain.clients import Recipient
from giftcert.domain.money import MinorUnits


class ReleaseReason(StrEnum):
    """Why a certificate went back to the pool."""

    RESERVATION_EXPIRED = "reservationExpired"
    CHANNEL_RELEASED = "channelReleased"
    ORDER_CANCELLED = "orderCancelled"
    LINE_REMOVED = "lineRemoved"
    UNPAID = "unpaid"
    REFUNDED_BEFORE_ISSUE = "refundedBeforeIssue"


class RefundReason(StrEnum):
    """Why a refund cannot be carried out as it stands."""

    CURRENCY_MISMATCH = "currencyMismatch"
    CERTIFICATE_REDEEMED = "certificateRedeemed"
    NOT_CAPTURED = "notCaptured"
    EXCEEDS_CAPTURED = "exceedsCaptured"
    ALREADY_REFUNDED = "alreadyRefunded"
    CERTIFICATE_EXPIRED = "certificateExpired"
    CERTIFICATE_BLOCKED = "certificateBlocked"
    REDEMPTION_IN_PROGRESS = "redemptionInProgress"
    AMOUNT_MISMATCH = "amountMismatch"
    REFUND_PAYMENT_MISSING = "refundPaymentMissing"
    ALLOCATION_MISSING = "allocationMissing"


class RejectionReason(StrEnum):
    """Why a certificate does not pay for a purchase."""

    NOT_ACTIVE = "notActive"
    BLOCKED = "blocked"
    EXPIRED = "expired"
    REFUND_IN_PROGRESS = "refundInProgress"
    CURRENCY_MISMATCH = "currencyMismatch"
    INSUFFICIENT_BALANCE = "insufficientBalance"
    HOLD_REQUIRED = "holdRequired"
    EXCEEDS_HOLD = "exceedsHold"
    NOT_THE_HOLDER = "notTheHolder"


class ConflictReason(StrEnum):
    """Why an order line could not be applied to the certificate that it names."""

    ALREADY_ISSUED = "alreadyIssued"
    LINE_ALREADY_ISSUED = "lineAlreadyIssued"
    LINE_WITHDRAWN = "lineWithdrawn"
    HELD_BY_ANOTHER_ORDER = "heldByAnotherOrder"
    NOT_FOR_SALE = "notForSale"
    BLOCKED = "blocked"
    NOT_RESERVED = "notReserved"
    RESERVED_BY_ANOTHER = "reservedByAnother"
    CURRENCY_MISMATCH = "currencyMismatch"
    NOMINAL_OUT_OF_BOUNDS = "nominalOutOfBounds"
    AMOUNT_OUT_OF_BOUNDS = "amountOutOfBounds"


class Awaited(StrEnum):
    """What an open refund case waits for before a person is asked."""

    PAYMENT = "payment"
    CAPTURE = "capture"
    ALLOCATION = "allocation"
    REST = "rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """A channel got the certificate."""

    type: ClassVar[str] = "issue.reserved"
    reservation_id: str
    reserved_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """The certificate is back in the pool."""

    type: ClassVar[str] = "issue.released"
    reservation_id: str | None
    order_id: str | None
    reason: ReleaseReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """An order names the certificate. ``amount`` is the price of the line."""

    type: ClassVar[str] = "issue.ordered"
    order_id: str
    line_id: str
    line_key: int
    amount: MinorUnits
    reclaimed: bool = False
    replaces: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """The line is paid and the certificate active."""

    type: ClassVar[str] = "issue.completed"
    order_id: str
    line_id: str
    amount: MinorUnits
    payment_ids: tuple[str, ...]
    valid_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationRequested:
    """CRM shall fetch the CVC and write to the client."""

    type: ClassVar[str] = "notification.requested"
    notification_id: str
    kind: str
    order_id: str
    customer_id: str | None
    recipient: Recipient | None
    preferred_channel: str | None
    locale: str | None
    valid_until: datetime
    suppressed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Purchase:
    redemption_id: str
    amount: MinorUnits
    order_id: str
    payment_id: str | None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedemptionAuthorized(_Purchase):
    """Part of the balance is held for a purchase."""

    type: ClassVar[str] = "redemption.authorized"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedemptionCaptured(_Purchase):
    """A purchase is paid with the certificate; what was held beyond ``amount`` is free again."""

    type: ClassVar[str] = "redemption.captured"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedemptionVoided(_Purchase):
    """A hold is given back; ``reason`` is paymentVoided, channelVoided or holdLapsed."""

    type: ClassVar[str] = "redemption.voided"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RedemptionRestored(_Purchase):
    """What was spent is on the certificate again."""

    type: ClassVar[str] = "redemption.restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedemptionRejected:
    """The certificate does not pay for this purchase; ``foreign_currency`` as in ``refund.pendingDetails``."""

    type: ClassVar[str] = "redemption.rejected"
    redemption_id: str | None
    amount: MinorUnits
    order_id: str
    payment_id: str | None
    reason: RejectionReason
    foreign_currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refund:
    refund_case_id: str
    refund_id: str | None
    amount: MinorUnits
    order_id: str
    line_id: str
    line_key: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRequested(_Refund):
    """A refund of this certificate is under way; ``awaiting`` says what has yet to come, until when."""

    type: ClassVar[str] = "refund.requested"
    awaiting: Awaited
    waits_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundCompleted(_Refund):
    """Money that is back is counted, once."""

    type: ClassVar[str] = "refund.completed"
    excess: MinorUnits  # part of amount beyond the price
    taken: MinorUnits  # from the balance, in nominal units
    uncovered: MinorUnits  # in nominal units
    before_issue: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundPendingDetails(_Refund):
    """The refund cannot be carried out as it stands; a person decides."""

    type: ClassVar[str] = "refund.pendingDetails"
    reason: RefundReason
    allowed_decisions: tuple[str, ...]
    web_url: str | None
    foreign_currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundResolved:
    """A decision about a refund case: a person's, or ``system`` where nothing is left to decide."""

    type: ClassVar[str] = "refund.resolved"
    refund_case_id: str
    order_id: str
    line_id: str
    decision: str
    amount: MinorUnits
    uncovered: MinorUnits
    resolved_by: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Disclosure:
    disclosed_to: str
    purpose: str
    notification_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CvcDisclosed(_Disclosure):
    """Number and CVC are about to be given out."""

    type: ClassVar[str] = "audit.cvcDisclosed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CvcRefused(_Disclosure):
    """Number and CVC were asked for and not given; ``reason`` is the type of the problem answered."""

    type: ClassVar[str] = "audit.cvcRefused"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Act:
    reason: str
    by: str
    breakage: MinorUnits | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired(_Act):
    """Validity ended; what was left is breakage."""

    type: ClassVar[str] = "audit.expired"
    breakage: MinorUnits


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked(_Act):
    """Support stopped the certificate."""

    type: ClassVar[str] = "audit.blocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unblocked(_Act):
    """Support lifted the block."""

    type: ClassVar[str] = "audit.unblocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired(_Act):
    """Operations withdrew the certificate."""

    type: ClassVar[str] = "audit.retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorActed:
    """Support or operations did something that no other event tells."""

    type: ClassVar[str] = "audit.operatorActed"
    who: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpaidAlerted:
    """The line was not paid in time. ``captured`` and ``missing`` are of its price."""

    type: ClassVar[str] = "alert.unpaid"
    order_id: str
    line_id: str
    amount: MinorUnits
    captured: MinorUnits
    missing: MinorUnits
    reason: str
    attempt: int
    web_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentWithoutCertificateAlerted:
    """Money came for a line that has no certificate (any more), or in another currency than the order's."""

    type: ClassVar[str] = "alert.paymentWithoutCertificate"
    order_id: str
    line_id: str
    amount: MinorUnits
    reason: str
    web_url: str | None
    payment_id: str | None = None  # with money in another currency
    foreign_currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundStuckAlerted:
    """A refund case waits for a person too long; ``foreign_currency`` as in ``refund.pendingDetails``."""

    type: ClassVar[str] = "alert.refundStuck"
    refund_case_id: str
    order_id: str
    line_id: str
    reason: RefundReason
    amount: MinorUnits
    since: datetime
    attempt: int
    web_url: str | None
    foreign_currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelledWithoutRefundAlerted:
    """Money of a cancelled or removed line has not gone back."""

    type: ClassVar[str] = "alert.cancelledWithoutRefund"
    refund_case_id: str
    order_id: str
    line_id: str
    amount: MinorUnits
    web_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedemptionUncoveredAlerted:
    """Goods were sold, or money came back, for which the certificate can answer no more."""

    type: ClassVar[str] = "alert.redemptionUncovered"
    redemption_id: str | None
    order_id: str
    payment_id: str | None
    amount: MinorUnits
    reason: str
    web_url: str | None
    foreign_currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationLocked:
    """Too many wrong CVCs came with this number: it is not checked until support unlocks it, or for a time."""

    type: ClassVar[str] = "alert.verificationLocked"
    attempts: int
    since: datetime
    channel: str
    web_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderConflicted:
    """An order line could not be applied to this certificate."""

    type: ClassVar[str] = "error.orderConflict"
    order_id: str
    line_id: str | None
    reason: ConflictReason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnexpectedMessage:
    """A message that does not fit the certificate's status."""

    type: ClassVar[str] = "error.unexpectedEvent"
    reason: str
    detail: str


PublicEvent: TypeAlias = (
    Reserved
    | Released
    | Ordered
    | Issued
    | NotificationRequested
    | RedemptionAuthorized
    | RedemptionCaptured
    | RedemptionVoided
    | RedemptionRestored
    | RedemptionRejected
    | RefundRequested
    | RefundCompleted
    | RefundPendingDetails
    | RefundResolved
    | CvcDisclosed
    | CvcRefused
    | Expired
    | Blocked
    | Unblocked
    | Retired
    | OperatorActed
    | UnpaidAlerted
    | PaymentWithoutCertificateAlerted
    | RefundStuckAlerted
    | CancelledWithoutRefundAlerted
    | RedemptionUncoveredAlerted
    | VerificationLocked
    | OrderConflicted
    | UnexpectedMessage
)
