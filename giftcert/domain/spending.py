"""Rules of spending: a channel holds part of the balance, a payment spends it, gives it back or restores it.

"Spending" in the lifecycle. What has happened to money is a fact and is recorded whatever the certificate's standing;
what is only asked for may be refused.
"""

from collections.abc import Callable

from giftcert.domain import events as e
from giftcert.domain import redemptions, sale
from giftcert.domain.decision import Decision
from giftcert.domain.events import RejectionReason
from giftcert.domain.messages import AuthorizeRedemption, HoldLapsed, SpendingReported, VoidRedemption
from giftcert.domain.state import (
    OPEN_REFUND_STATES,
    CertificateState,
    Redemption,
    RedemptionState,
    Status,
)

# Asked for over HTTP ------------------------------------------------------------------------------


def authorize(decision: Decision, message: AuthorizeRedemption) -> None:
    """Hold part of the balance, or refuse and say why; a redemption that is known is left as it is."""
    if redemptions.find_redemption(decision.state, message.redemption_id) is not None:
        return
    reason = _refusal(decision, message.amount, message.currency)
    if reason is not None:
        decision.record(_rejected(message, message.redemption_id, None, reason))
        return
    latest = decision.now + decision.product.hold_limit
    decision.record(
        e.RedemptionAuthorized(
            redemption_id=message.redemption_id,
            amount=message.amount,
            order_id=message.order_id,
            payment_id=None,
        ),
        e.HoldOpened(
            redemption_id=message.redemption_id,
            channel=message.channel,
            expires_at=min(message.expires_at, latest),
        ),
    )


def void(decision: Decision, message: VoidRedemption) -> None:
    """Give a hold back; one that has ended stays as it is."""
    known = redemptions.find_redemption(decision.state, message.redemption_id)
    if known is not None and known.state == RedemptionState.AUTHORIZED:
        _give_back(decision, known, "channelVoided")


def hold_lapsed(decision: Decision, message: HoldLapsed) -> None:
    """The time of a hold is over; the loop has applied every capture that was waiting."""
    known = redemptions.find_redemption(decision.state, message.redemption_id)
    if known is None or known.state != RedemptionState.AUTHORIZED or known.expires_at is None:
        return
    if decision.now >= known.expires_at:
        _give_back(decision, known, redemptions.HOLD_LAPSED)


def _refusal(decision: Decision, amount: int, currency: str) -> RejectionReason | None:
    """Return why the certificate cannot pay so much now; the first that applies."""
    state = decision.state
    checks = (
        (state.is_past_validity(decision.now), RejectionReason.EXPIRED),
        (state.status not in {Status.ISSUED, Status.PARTIALLY_REDEEMED}, RejectionReason.NOT_ACTIVE),
        (state.blocked, RejectionReason.BLOCKED),
        (state.refund_state in OPEN_REFUND_STATES, RejectionReason.REFUND_IN_PROGRESS),
        (currency != state.currency, RejectionReason.CURRENCY_MISMATCH),
        (amount > state.balance, RejectionReason.INSUFFICIENT_BALANCE),
    )
    return next((reason for applies, reason in checks if applies), None)


# Reported by payments -----------------------------------------------------------------------------


def spending_reported(decision: Decision, message: SpendingReported) -> None:
    """A payment with this certificate as its tender; one that is known changes nothing."""
    if message.key in decision.state.spending_keys:
        return
    purchase = _purchase(decision.state, message)
    _REPORTED[message.event_type](decision, message, purchase)
    belongs_to = purchase or _purchase(decision.state, message)
    decision.record(
        e.SpendingRecorded(
            key=message.key,
            payment_id=message.payment_id,
            redemption_id=belongs_to.redemption_id if belongs_to else None,
            channel=message.channel,
        )
    )


def _purchase(state: CertificateState, message: SpendingReported) -> Redemption | None:
    """Return the redemption that a payment is about: by its id, its payment, or as the only hold of the order.

    One that has lapsed is found where none is open: what the payment is about does not depend on the minute.
    """
    if message.redemption_id is not None:
        return redemptions.find_redemption(state, message.redemption_id)
    of_payment = [one for one in state.redemptions if one.payment_id == message.payment_id]
    if of_payment:
        return of_payment[-1]
    waiting = redemptions.open_holds(state), redemptions.lapsed_holds(state)
    held, lapsed = ([one for one in some if one.order_id == message.order_id] for some in waiting)
    of_order = held or lapsed
    return of_order[0] if len(of_order) == 1 else None


def _authorized(decision: Decision, message: SpendingReported, purchase: Redemption | None) -> None:
    """It refers to a hold and never makes one."""
    if purchase is None and message.channel not in decision.policy.direct_spend_channels:
        decision.record(
            _rejected(message, message.redemption_id, message.payment_id, RejectionReason.HOLD_REQUIRED)
        )


def _captured(decision: Decision, message: SpendingReported, purchase: Redemption | None) -> None:
    """Spend the hold; without one, what the balance allows, if that is allowed at all."""
    if message.currency != decision.state.currency:
        _uncovered(decision, message, RejectionReason.CURRENCY_MISMATCH)
    elif purchase is not None and purchase.state == RedemptionState.AUTHORIZED:
        if message.amount > purchase.held:
            _uncovered(decision, message, RejectionReason.EXCEEDS_HOLD)
        else:
            _spend(decision, message, purchase.redemption_id)
    else:
        _spend_directly(decision, message, purchase)


def _spend_directly(decision: Decision, message: SpendingReported, purchase: Redemption | None) -> None:
    """Spend what was held before its hold ended; what never was held, only for some channels up to a cap.

    A purchase captured in parts is capped as a whole.
    """
    policy = decision.policy
    in_all = message.amount + (purchase.restorable if purchase else 0)
    direct = message.channel in policy.direct_spend_channels and in_all <= policy.direct_spend_cap
    was_held = purchase is not None and purchase.expires_at is not None
    if not was_held and not direct:
        _uncovered(decision, message, RejectionReason.HOLD_REQUIRED)
        return
    reason = _refusal(decision, message.amount, message.currency)
    if reason is not None:
        _uncovered(decision, message, reason)
        return
    redemption_id = purchase.redemption_id if purchase else message.redemption_id
    _spend(decision, message, redemption_id or decision.new_id())


def _spend(decision: Decision, message: SpendingReported, redemption_id: str) -> None:
    decision.record(
        e.RedemptionCaptured(
            redemption_id=redemption_id,
            amount=message.amount,
            order_id=message.order_id,
            payment_id=message.payment_id,
        )
    )
    _closed(decision)


def _voided(decision: Decision, message: SpendingReported, purchase: Redemption | None) -> None:
    """Give the hold back. What was captured is given back by a refund, not by a void."""
    if purchase is None or purchase.state in {RedemptionState.VOIDED, RedemptionState.LAPSED}:
        return
    if purchase.state == RedemptionState.CAPTURED:
        decision.record(_unexpected("redemptionCaptured", "a captured redemption is refunded, not voided"))
        return
    _give_back(decision, purchase, "paymentVoided", message.payment_id)


def _refunded(decision: Decision, message: SpendingReported, purchase: Redemption | None) -> None:
    """Restore what was spent, never more; onto a certificate that is no more it is a case for support."""
    if message.currency != decision.state.currency:
        decision.record(_unexpected("currencyMismatch", "the certificate is in another currency"))
    elif purchase is None or message.amount > purchase.restorable:
        decision.record(
            _unexpected("restoreExceedsSpent", "more would be restored than the redemption spent")
        )
    elif (reason := _takes_nothing_back(decision)) is not None:
        decision.record(_alert(decision, message, purchase.redemption_id, reason))
    else:
        decision.record(
            e.RedemptionRestored(
                redemption_id=purchase.redemption_id,
                amount=message.amount,
                order_id=message.order_id,
                payment_id=message.payment_id,
            )
        )
        sale.settle(decision)


def _takes_nothing_back(decision: Decision) -> str | None:
    """Return why nothing can be put on the certificate again; one that was spent whole expires too."""
    if decision.state.status == Status.REFUNDED:
        return "certificateRefunded"
    return "certificateExpired" if decision.state.is_past_validity(decision.now) else None


_REPORTED: dict[str, Callable[[Decision, SpendingReported, Redemption | None], None]] = {
    "payment.authorized": _authorized,
    "payment.captured": _captured,
    "payment.voided": _voided,
    "payment.refunded": _refunded,
}

# What follows -------------------------------------------------------------------------------------


def _give_back(decision: Decision, hold: Redemption, reason: str, payment_id: str | None = None) -> None:
    decision.record(
        e.RedemptionVoided(
            redemption_id=hold.redemption_id,
            amount=hold.held,
            order_id=hold.order_id,
            payment_id=payment_id or hold.payment_id,
            reason=reason,
        )
    )
    _closed(decision)


def _closed(decision: Decision) -> None:
    """A hold has ended: what it leaves of an expired certificate is breakage, and refunds are judged again."""
    left = decision.state.balance
    if decision.state.status == Status.EXPIRED and left > 0:
        decision.record(e.Expired(reason="holdEnded", by="system", breakage=left))
    sale.settle(decision)


def _uncovered(decision: Decision, message: SpendingReported, reason: RejectionReason) -> None:
    """The goods have left and the certificate does not pay: refuse, and tell a person."""
    decision.record(
        _rejected(message, message.redemption_id, message.payment_id, reason),
        _alert(decision, message, message.redemption_id, reason.value),
    )


def _rejected(
    message: AuthorizeRedemption | SpendingReported,
    redemption_id: str | None,
    payment_id: str | None,
    reason: RejectionReason,
) -> e.RedemptionRejected:
    return e.RedemptionRejected(
        redemption_id=redemption_id,
        amount=message.amount,
        order_id=message.order_id,
        payment_id=payment_id,
        reason=reason,
    )


def _alert(
    decision: Decision, message: SpendingReported, redemption_id: str | None, reason: str
) -> e.RedemptionUncoveredAlerted:
    return e.RedemptionUncoveredAlerted(
        redemption_id=redemption_id,
        order_id=message.order_id,
        payment_id=message.payment_id,
        amount=message.amount,
        reason=reason,
        web_url=decision.terms.web_url,
    )


def _unexpected(reason: str, detail: str) -> e.UnexpectedMessage:
    return e.UnexpectedMessage(reason=reason, detail=detail)
