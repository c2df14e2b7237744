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

from giftcert.domain.clients import Recipient
from giftcert.domain.explained import ExplainedWord, OneOf
from giftcert.domain.money import MinorUnits


class ReleaseReason(ExplainedWord):
    """Why a certificate went back to the pool."""

    RESERVATION_EXPIRED = "reservationExpired", "No order named it before `reservedUntil`."
    CHANNEL_RELEASED = "channelReleased", "The channel gave its reservation back."
    ORDER_CANCELLED = "orderCancelled", "Order or line was cancelled before any money was captured for it."
    LINE_REMOVED = (
        "lineRemoved",
        "A newer version of the order lacks the line, or names another certificate on it.",
    )
    UNPAID = "unpaid", "Nothing was captured for the line before its deadline."
    REFUNDED_BEFORE_ISSUE = (
        "refundedBeforeIssue",
        "All that was captured for the line went back before issue.",
    )


class RefundReason(ExplainedWord):
    """Why a refund cannot be carried out as it stands."""

    CURRENCY_MISMATCH = (
        "currencyMismatch",
        "Money came back in another currency than the sale's. Decide what it is worth in the certificate's.",
    )
    CERTIFICATE_REDEEMED = (
        "certificateRedeemed",
        "The certificate was spent, in part or whole. Approve to take what is left, or reject to leave it usable.",
    )
    NOT_CAPTURED = (
        "notCaptured",
        "Money came back that was never seen captured. Have Payments send the capture, or decide.",
    )
    EXCEEDS_CAPTURED = (
        "exceedsCaptured",
        "More came back than was captured for the line. Check the refund with Payments, then decide.",
    )
    ALREADY_REFUNDED = (
        "alreadyRefunded",
        "The price was refunded before. Check whether the buyer was paid twice, then decide.",
    )
    CERTIFICATE_EXPIRED = (
        "certificateExpired",
        "The certificate has expired, so there is no balance to take. Approve or reject to close the case.",
    )
    CERTIFICATE_BLOCKED = (
        "certificateBlocked",
        "The certificate is blocked. Unblock it and the refund is judged again, or decide now.",
    )
    REDEMPTION_IN_PROGRESS = (
        "redemptionInProgress",
        "A purchase holds part of the balance. The refund is judged again when the hold ends; wait, or decide now.",
    )
    AMOUNT_MISMATCH = (
        "amountMismatch",
        "What came back is not the price of the line. Approve the part that it is worth, or reject.",
    )
    REFUND_PAYMENT_MISSING = (
        "refundPaymentMissing",
        "The line was returned or cancelled and no money came back. Have Payments refund it, or reject.",
    )
    ALLOCATION_MISSING = (
        "allocationMissing",
        "Money came back and names no line. Approve on the line that it is for, reject on the others.",
    )


class RejectionReason(ExplainedWord):
    """Why a certificate does not pay for a purchase."""

    NOT_ACTIVE = "notActive", "It is not issued yet, or redeemed, refunded or retired. Ask for other means."
    BLOCKED = "blocked", "Support blocked it. The buyer has to ask support."
    EXPIRED = "expired", "Its validity has ended."
    REFUND_IN_PROGRESS = "refundInProgress", "A refund of it is open; it may pay again once that is rejected."
    CURRENCY_MISMATCH = "currencyMismatch", "It is in another currency than the purchase."
    INSUFFICIENT_BALANCE = (
        "insufficientBalance",
        "Its balance is below the amount. Take less, and the rest otherwise.",
    )
    HOLD_REQUIRED = "holdRequired", "A capture without a hold. Make one with `POST /redemptions` first."
    EXCEEDS_HOLD = "exceedsHold", "The capture is above what was held; the hold stays. Capture at most that."
    NOT_THE_HOLDER = "notTheHolder", "The hold belongs to another channel or another order."


class RestoreRefusal(ExplainedWord):
    """Why money that comes back for a purchase is not put on the certificate again."""

    CERTIFICATE_REFUNDED = (
        "certificateRefunded",
        "The certificate was refunded meanwhile. Pay the buyer otherwise.",
    )
    CERTIFICATE_EXPIRED = (
        "certificateExpired",
        "The certificate has expired meanwhile. Pay the buyer otherwise.",
    )


class VoidReason(ExplainedWord):
    """Why a hold was given back."""

    PAYMENT_VOIDED = "paymentVoided", "`payment.voided` named it."
    CHANNEL_VOIDED = "channelVoided", "The channel called `DELETE /redemptions/{redemptionId}`."
    HOLD_LAPSED = "holdLapsed", "No capture came before `expiresAt`."


class ExpiryReason(ExplainedWord):
    """What ended a certificate's use."""

    VALIDITY_ENDED = "validityEnded", "`validUntil` has passed; what was left is breakage."
    HOLD_ENDED = "holdEnded", "A hold outlived the validity and was given back; what it left is breakage."


class DisclosureRefusal(ExplainedWord):
    """Why number and CVC are not given out: they may be later, or for this sale never again."""

    NOT_ISSUED = (
        "not-issued",
        "Not now: reserved, ordered, blocked, or a refund is open. Ask again when that ends.",
    )
    NOT_ACTIVE = "not-active", "Not any more: available, redeemed, refunded, expired or retired."


class UnpaidReason(ExplainedWord):
    """How far from paid a line was at its deadline."""

    NOTHING_CAPTURED = "nothingCaptured", "Nothing was captured; the certificate is back in the pool."
    PARTLY_CAPTURED = (
        "partlyCaptured",
        "Part was captured. Capture `missing`, or cancel the line and refund it.",
    )
    TENDER_NOT_ALLOWED = (
        "tenderNotAllowed",
        "It was paid with a certificate, which may not buy another. Refund it.",
    )
    EARLIER_PAYMENTS_UNKNOWN = (
        "earlierPaymentsUnknown",
        "The order named a certificate only after its payments were forgotten. Have Payments send them again.",
    )


class LateMoneyReason(ExplainedWord):
    """Why money came for a line that has no certificate, beside the reasons for which a line is refused."""

    UNKNOWN_CERTIFICATE = (
        "unknownCertificate",
        "The line names a certificate that does not exist. Correct the order.",
    )
    NO_LONGER_FREE = (
        "noLongerFree",
        "It was released and sold again. Reserve another and put that on the line.",
    )
    CERTIFICATE_REFUNDED = (
        "certificateRefunded",
        "The certificate was refunded. Refund the payment, or order anew.",
    )
    CURRENCY_MISMATCH = (
        "currencyMismatch",
        "It is in another currency than the order, so it pays nothing. Refund it.",
    )


class ConflictReason(ExplainedWord):
    """Why an order line could not be applied to the certificate that it names."""

    ALREADY_ISSUED = "alreadyIssued", "Amount or nominal changed after issue. Return the line and order anew."
    LINE_ALREADY_ISSUED = (
        "lineAlreadyIssued",
        "Another certificate was issued on the line. Use a line of its own.",
    )
    LINE_WITHDRAWN = "lineWithdrawn", "The line was cancelled or returned, for good. Use a new line."
    HELD_BY_ANOTHER_ORDER = "heldByAnotherOrder", "Another order holds the certificate. Reserve another."
    NOT_FOR_SALE = "notForSale", "The certificate was withdrawn from sale. Reserve another."
    BLOCKED = "blocked", "The certificate is blocked. Reserve another, or have support unblock it."
    NOT_RESERVED = (
        "notReserved",
        "Its last reservation is not this order's. Reserve one and name its reservationId.",
    )
    RESERVED_BY_ANOTHER = "reservedByAnother", "It is under another reservation. Reserve another."
    CURRENCY_MISMATCH = "currencyMismatch", "The product is sold in another currency. Correct the order."
    NOMINAL_OUT_OF_BOUNDS = (
        "nominalOutOfBounds",
        "`GET /products` says which nominals there are. Correct the line.",
    )
    AMOUNT_OUT_OF_BOUNDS = (
        "amountOutOfBounds",
        "The price is above the nominal, or the discount is more than the product allows. Correct the line.",
    )


class UnexpectedReason(ExplainedWord):
    """Why a payment by certificate does not fit what came before."""

    NOT_THE_HOLDER = "notTheHolder", "The redemption belongs to another channel or order. Check the ids."
    REDEMPTION_CAPTURED = (
        "redemptionCaptured",
        "A captured redemption is refunded, not voided. Send `payment.refunded`.",
    )
    CURRENCY_MISMATCH = "currencyMismatch", "The certificate is in another currency. Check the payment."
    RESTORE_EXCEEDS_SPENT = "restoreExceedsSpent", "More would come back than was spent. Check the refund."


class UndeliverableReason(ExplainedWord):
    """Why the client does not get number and CVC."""

    NO_ADDRESSEE = (
        "noAddressee",
        "The order names neither buyer nor recipient. Ask the channel whom it sold to.",
    )
    CLIENT_BLOCKED = (
        "clientBlocked",
        "CRM has blocked the client, so the request is suppressed. Unblock, or refund the order.",
    )
    CLIENT_ERASED = (
        "clientErased",
        "CRM has erased the client, and with it the recipient. Ask the channel, or refund the order.",
    )
    NOT_FETCHED = "notFetched", "CRM has not fetched number and CVC in time. Find out why, then ask anew."


class Awaited(ExplainedWord):
    """What an open refund case waits for before a person is asked."""

    PAYMENT = "payment", "the money that goes back"
    CAPTURE = "capture", "the capture of what is refunded"
    ALLOCATION = "allocation", "a message that says which line the money was for"
    REST = "rest", "the rest of the price"


class RefundDecision(ExplainedWord):
    """What a person may decide about a refund case."""

    APPROVE = "approve", "The refund is right: its worth is taken from the balance."
    REJECT = "reject", "It is not this certificate's: the certificate works again."


class NotificationKind(ExplainedWord):
    """What a client is written to about."""

    CERTIFICATE_ISSUED = "certificateIssued", "The certificate is active; fetch number and CVC and send them."


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
