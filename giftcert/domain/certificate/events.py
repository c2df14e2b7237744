"""The public events of a certificate; imported as ``e``.

Field names are the stream's payload names in snake case; a docstring is the event's description in ``specs``: what
happened, and what its reader is to do. Words that are folded into the state are enums; others are texts of ``OneOf``
a set, so that an event with a word of a later version is still read. Amounts are minor units of the certificate's
currency, or of ``foreign_currency`` where that is set. ``line_key`` numbers the lines of an order and stays where
Orders renumbers them.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, TypeAlias

from giftcert.domain.certificate.words import (
    Awaited,
    ConflictReason,
    DisclosureRefusal,
    ExpiryReason,
    LateMoneyReason,
    NotificationKind,
    RefundDecision,
    RefundReason,
    RejectionReason,
    ReleaseReason,
    RestoreRefusal,
    UndeliverableReason,
    UnexpectedReason,
    UnpaidReason,
    VoidReason,
)
from giftcert.domain.clients import Recipient
from giftcert.domain.explained import OneOf
from giftcert.domain.money import MinorUnits


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
    """The client is to be written to.

    CRM fetches number and CVC with `GET /certificates/{certificateId}/cvc`, and writes; unless it is `suppressed`.
    """

    type: ClassVar[str] = "notification.requested"
    notification_id: str
    kind: Annotated[str, OneOf(NotificationKind)]
    order_id: str
    customer_id: str | None
    recipient: Recipient | None
    preferred_channel: str | None
    locale: str | None
    valid_until: datetime
    suppressed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationUndeliverableAlerted:
    """The client does not get number and CVC: there is nobody to write to, or CRM has not fetched them in time.

    CRM: mend what `reason` says; then `POST /certificates/{certificateId}/notifications` asks anew.
    """

    type: ClassVar[str] = "alert.notificationUndeliverable"
    notification_id: str
    order_id: str
    line_id: str
    customer_id: str | None
    reason: UndeliverableReason
    since: datetime
    web_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Purchase:
    redemption_id: str
    amount: MinorUnits
    order_id: str
    payment_id: str | None
    reason: Annotated[str, OneOf(VoidReason)] | None = None  # of one that is voided; the others have none


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
    """A hold is given back."""

    type: ClassVar[str] = "redemption.voided"
    reason: Annotated[str, OneOf(VoidReason)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RedemptionRestored(_Purchase):
    """What was spent is on the certificate again."""

    type: ClassVar[str] = "redemption.restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedemptionRejected:
    """The certificate does not pay for this purchase."""

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
    """A refund of this certificate is under way; it pays for nothing until that is over."""

    type: ClassVar[str] = "refund.requested"
    awaiting: Awaited
    waits_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundCompleted(_Refund):
    """Money that is back is counted, once; `status` says whether the certificate is void."""

    type: ClassVar[str] = "refund.completed"
    excess: MinorUnits  # part of amount beyond the price
    taken: MinorUnits  # from the balance, in nominal units
    uncovered: MinorUnits  # in nominal units
    before_issue: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundPendingDetails(_Refund):
    """The refund cannot be carried out as it stands; a person decides.

    CRM or support answers with `POST /refunds/{refundCaseId}/resolution`.
    """

    type: ClassVar[str] = "refund.pendingDetails"
    reason: RefundReason
    allowed_decisions: tuple[Annotated[str, OneOf(RefundDecision)], ...]
    web_url: str | None
    foreign_currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundResolved:
    """A decision about a refund case: a person's, or ``system`` where nothing is left to decide."""

    type: ClassVar[str] = "refund.resolved"
    refund_case_id: str
    order_id: str
    line_id: str
    decision: Annotated[str, OneOf(RefundDecision)]
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
    reason: Annotated[str, OneOf(DisclosureRefusal)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Act:
    reason: str
    by: str
    breakage: MinorUnits | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired(_Act):
    """Validity ended; what was left is breakage."""

    type: ClassVar[str] = "audit.expired"
    reason: Annotated[str, OneOf(ExpiryReason)]
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
    """Support or operations did something that no other event reports."""

    type: ClassVar[str] = "audit.operatorActed"
    who: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpaidAlerted:
    """The line was not paid in time.

    The channel captures what is missing, or cancels the line and refunds what was captured. With nothing captured the
    certificate is back in the pool, and nothing need be done.
    """

    type: ClassVar[str] = "alert.unpaid"
    order_id: str
    line_id: str
    amount: MinorUnits
    captured: MinorUnits
    missing: MinorUnits
    reason: Annotated[str, OneOf(UnpaidReason)]
    attempt: int
    web_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentWithoutCertificateAlerted:
    """Money came for a line that has no certificate (any more), or in another currency than the order's.

    The channel reserves another certificate and puts it on the line with `order.changed`, the money is there already;
    or it refunds the payment.
    """

    type: ClassVar[str] = "alert.paymentWithoutCertificate"
    order_id: str
    line_id: str
    amount: MinorUnits
    reason: Annotated[str, OneOf(LateMoneyReason, ConflictReason)]
    web_url: str | None
    payment_id: str | None = None  # with money in another currency
    foreign_currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundStuckAlerted:
    """A refund case waits for a person too long.

    CRM or support decides it with `POST /refunds/{refundCaseId}/resolution`.
    """

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
    """Money of a cancelled or removed line has not gone back.

    Payments refunds the buyer; or support rejects the case if nothing is owed.
    """

    type: ClassVar[str] = "alert.cancelledWithoutRefund"
    refund_case_id: str
    order_id: str
    line_id: str
    amount: MinorUnits
    web_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RedemptionUncoveredAlerted:
    """Goods were sold, or money came back, for which the certificate can answer no more.

    The channel settles `amount` with the buyer by other means.
    """

    type: ClassVar[str] = "alert.redemptionUncovered"
    redemption_id: str | None
    order_id: str
    payment_id: str | None
    amount: MinorUnits
    reason: Annotated[str, OneOf(RejectionReason, RestoreRefusal)]
    web_url: str | None
    foreign_currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationLocked:
    """Too many wrong CVCs came with this number: it is not checked until support unlocks it, or for a time.

    Support unlocks it for a buyer who only mistyped; many at once mean that somebody guesses.
    """

    type: ClassVar[str] = "alert.verificationLocked"
    attempts: int
    since: datetime
    channel: str
    web_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderConflicted:
    """An order line could not be applied to this certificate.

    The channel sends a newer version of the order that mends what `reason` names.
    """

    type: ClassVar[str] = "error.orderConflict"
    order_id: str
    line_id: str | None
    reason: ConflictReason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnexpectedMessage:
    """A message that does not fit what came before; nothing of it is applied.

    The owner of the topic looks at what `reason` names, and sends what is right.
    """

    type: ClassVar[str] = "error.unexpectedEvent"
    reason: Annotated[str, OneOf(UnexpectedReason)]
    detail: str


PublicEvent: TypeAlias = (
    Reserved
    | Released
    | Ordered
    | Issued
    | NotificationRequested
    | NotificationUndeliverableAlerted
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
