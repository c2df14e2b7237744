"""The words of a certificate's events: why something happened, was refused or waits, and what was decided.

Each carries what it means and asks of its reader, which the published specs and guides repeat.
"""

from giftcert.domain.explained import ExplainedWord


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
