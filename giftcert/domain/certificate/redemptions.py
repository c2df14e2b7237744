"""Spending: a channel holds part of the balance, a payment spends it, gives it back or restores it.

What happened to money is a fact, recorded whatever the certificate's status; only what is asked for may be refused.
"""

from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import assert_never

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.decision import Decision
from giftcert.domain.certificate.messages import (
    AuthorizeRedemption,
    HoldLapsed,
    SpendingKind,
    SpendingReported,
    VoidRedemption,
)
from giftcert.domain.certificate.redemption_state import (
    find_redemption,
    hold_of,
    open_holds,
    with_redemption,
)
from giftcert.domain.certificate.state import (
    OPEN_REFUND_STATES,
    SPENDABLE,
    CertificateState,
    Redemption,
    RedemptionState,
    Status,
)
from giftcert.domain.certificate.words import (
    ExpiryReason,
    RejectionReason,
    RestoreRefusal,
    UnexpectedReason,
    VoidReason,
)


class VoidRefusal(StrEnum):
    """Why a channel cannot give a hold back."""

    CAPTURED = "captured"
    NOT_THE_HOLDER = "notTheHolder"


def authorize(decision: Decision, message: AuthorizeRedemption) -> None:
    """Hold part of the balance, or refuse and say why; a redemption that is known is left as it is."""
    if find_redemption(decision.state, message.redemption_id) is not None:
        return
    reason = _refusal(decision, message.amount, message.currency)
    if reason is not None:
        decision.refusal = reason
        _reject(decision, message, reason)
        return
    asked = decision.product.hold if message.hold_seconds is None else timedelta(seconds=message.hold_seconds)
    event = e.RedemptionAuthorized(
        redemption_id=message.redemption_id,
        amount=message.amount,
        order_id=message.order_id,
        payment_id=None,
    )
    decision.record(event)
    expires_at = decision.now + min(asked, decision.product.hold_limit)
    hold = replace(hold_of(event), channel=message.channel, expires_at=expires_at)
    decision.change(with_redemption(decision.state, hold))


def void(decision: Decision, message: VoidRedemption) -> None:
    """Give a hold back; one that has ended without a capture stays as it is."""
    known = find_redemption(decision.state, message.redemption_id)
    if known is None or known.channel != message.channel:
        decision.refusal = VoidRefusal.NOT_THE_HOLDER
    elif known.state == RedemptionState.CAPTURED:
        decision.refusal = VoidRefusal.CAPTURED
    elif known.state == RedemptionState.AUTHORIZED:
        _give_back(decision, known, VoidReason.CHANNEL_VOIDED)


def hold_lapsed(decision: Decision, message: HoldLapsed) -> None:
    """The time of a hold is over; every capture that was known by then has been applied."""
    for hold in open_holds(decision.state):
        if hold.redemption_id == message.redemption_id:
            _give_back(decision, hold, VoidReason.HOLD_LAPSED)


def _refusal(decision: Decision, amount: int, currency: str) -> RejectionReason | None:
    """Why the certificate cannot pay so much now; the first reason that applies."""
    state = decision.state
    checks = (
        (state.is_past_validity(decision.now), RejectionReason.EXPIRED),
        (state.status not in SPENDABLE, RejectionReason.NOT_ACTIVE),
        (state.blocked, RejectionReason.BLOCKED),
        (state.refund_state in OPEN_REFUND_STATES, RejectionReason.REFUND_IN_PROGRESS),
        (currency != state.currency, RejectionReason.CURRENCY_MISMATCH),
        (amount > state.balance, RejectionReason.INSUFFICIENT_BALANCE),
    )
    return next((reason for applies, reason in checks if applies), None)


def spending_reported(decision: Decision, message: SpendingReported) -> None:
    """Apply a payment with this certificate as its tender."""
    purchase = _purchase(decision.state, message)
    # Of another channel or order: where goods have left for it, a person has to know.
    is_stranger = purchase is not None and not _is_of(purchase, message)
    match message.kind:
        case SpendingKind.AUTHORIZED if is_stranger:
            _reject(decision, message, RejectionReason.NOT_THE_HOLDER)
        case SpendingKind.CAPTURED if is_stranger:
            _uncovered(decision, message, RejectionReason.NOT_THE_HOLDER)
        case SpendingKind.VOIDED | SpendingKind.REFUNDED if is_stranger:
            detail = "the redemption belongs to another channel or another order"
            _unexpected(decision, UnexpectedReason.NOT_THE_HOLDER, detail)
        case SpendingKind.AUTHORIZED:  # it refers to a hold and never makes one
            if purchase is None and message.cause.channel not in decision.policy.direct_spend_channels:
                _reject(decision, message, RejectionReason.HOLD_REQUIRED)
        case SpendingKind.CAPTURED:
            _captured(decision, message, purchase)
        case SpendingKind.VOIDED:
            _voided(decision, message, purchase)
        case SpendingKind.REFUNDED:
            _refunded(decision, message, purchase)
        case _:
            assert_never(message.kind)
    if not is_stranger:
        _identify(decision, message)


def _purchase(state: CertificateState, message: SpendingReported) -> Redemption | None:
    """The redemption that a payment is about: by its id, its payment, or as the only hold of its order."""
    if message.redemption_id is not None:
        return find_redemption(state, message.redemption_id)
    of_payment = [one for one in state.redemptions if one.payment_id == message.payment_id]
    if of_payment:
        return of_payment[-1]
    of_order = [one for one in state.redemptions if one.order_id == message.order_id]
    # Lapsed holds where none is open: what the payment is about does not depend on the minute.
    for waiting in (RedemptionState.AUTHORIZED, RedemptionState.LAPSED):
        holds = [one for one in of_order if one.state == waiting]
        meant = [one for one in holds if _is_of(one, message)] or holds
        if meant:
            return meant[0] if len(meant) == 1 else None
    return None


def _is_of(purchase: Redemption, message: SpendingReported) -> bool:
    return (purchase.channel, purchase.order_id) == (message.cause.channel, message.order_id)


def _captured(decision: Decision, message: SpendingReported, purchase: Redemption | None) -> None:
    """Spend the hold, once; without one, spend of the balance if the rules allow it."""
    reason = _capture_refusal(decision, message, purchase)
    if reason is not None:
        _uncovered(decision, message, reason)
        return
    redemption_id = purchase.redemption_id if purchase else message.redemption_id
    decision.record(
        e.RedemptionCaptured(
            redemption_id=redemption_id or decision.new_id(),
            amount=message.amount,
            order_id=message.order_id,
            payment_id=message.payment_id,
        )
    )
    _closed(decision)


def _capture_refusal(
    decision: Decision, message: SpendingReported, purchase: Redemption | None
) -> RejectionReason | None:
    """Why the capture is not covered: by its hold, by what was held until that lapsed, or without any."""
    if message.currency != decision.state.currency:
        return RejectionReason.CURRENCY_MISMATCH
    if purchase is not None and purchase.state == RedemptionState.AUTHORIZED:
        return RejectionReason.EXCEEDS_HOLD if message.amount > purchase.held else None
    if purchase is not None and purchase.state == RedemptionState.LAPSED:
        if message.amount > purchase.lapsed:
            return RejectionReason.EXCEEDS_HOLD
    elif not _may_spend_without_hold(decision, message, purchase):
        return RejectionReason.HOLD_REQUIRED
    return _refusal(decision, message.amount, message.currency)


def _may_spend_without_hold(
    decision: Decision, message: SpendingReported, purchase: Redemption | None
) -> bool:
    """Only some channels may, up to a cap over all captures of the purchase."""
    policy = decision.policy
    so_far = min(purchase.unheld, purchase.restorable) if purchase else 0
    is_capped = so_far + message.amount <= policy.direct_spend_cap
    return is_capped and message.cause.channel in policy.direct_spend_channels


def _voided(decision: Decision, message: SpendingReported, purchase: Redemption | None) -> None:
    """Give the hold back. What was captured is given back by a refund, not by a void."""
    if purchase is not None and purchase.state == RedemptionState.CAPTURED:
        _unexpected(
            decision, UnexpectedReason.REDEMPTION_CAPTURED, "a captured redemption is refunded, not voided"
        )
    elif purchase is not None and purchase.state == RedemptionState.AUTHORIZED:
        _give_back(decision, purchase, VoidReason.PAYMENT_VOIDED, message.payment_id)


def _refunded(decision: Decision, message: SpendingReported, purchase: Redemption | None) -> None:
    """Restore what was spent, never more; onto a refunded or expired certificate it is a case for support."""
    if message.currency != decision.state.currency:
        _unexpected(decision, UnexpectedReason.CURRENCY_MISMATCH, "the certificate is in another currency")
    elif purchase is None or message.amount > purchase.restorable:
        _unexpected(
            decision,
            UnexpectedReason.RESTORE_EXCEEDS_SPENT,
            "more would be restored than the redemption spent",
        )
    elif decision.state.status == Status.REFUNDED:
        _alert(decision, message, purchase.redemption_id, RestoreRefusal.CERTIFICATE_REFUNDED)
    elif decision.state.is_past_validity(decision.now):
        _alert(decision, message, purchase.redemption_id, RestoreRefusal.CERTIFICATE_EXPIRED)
    else:
        decision.record(
            e.RedemptionRestored(
                redemption_id=purchase.redemption_id,
                amount=message.amount,
                order_id=message.order_id,
                payment_id=message.payment_id,
            )
        )


def _identify(decision: Decision, message: SpendingReported) -> None:
    """Remember the purchase's payment and, if it was never held, its channel."""
    purchase = _purchase(decision.state, message)
    if purchase is not None and (purchase.payment_id is None or purchase.channel is None):
        known = replace(
            purchase,
            payment_id=purchase.payment_id or message.payment_id,
            channel=purchase.channel or message.cause.channel,
        )
        decision.change(with_redemption(decision.state, known))


def _give_back(
    decision: Decision, hold: Redemption, reason: VoidReason, payment_id: str | None = None
) -> None:
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
    """A hold has ended: what it leaves of an expired certificate is breakage."""
    left = decision.state.balance
    if decision.state.status == Status.EXPIRED and left > 0:
        decision.record(e.Expired(reason=ExpiryReason.HOLD_ENDED, by="system", breakage=left))


def _uncovered(decision: Decision, message: SpendingReported, reason: RejectionReason) -> None:
    """The goods have left and the certificate does not pay: refuse, and alert a person."""
    _reject(decision, message, reason)
    _alert(decision, message, message.redemption_id, reason)


def _reject(
    decision: Decision, message: AuthorizeRedemption | SpendingReported, reason: RejectionReason
) -> None:
    decision.record(
        e.RedemptionRejected(
            redemption_id=message.redemption_id,
            amount=message.amount,
            order_id=message.order_id,
            payment_id=message.payment_id if isinstance(message, SpendingReported) else None,
            reason=reason,
            foreign_currency=_foreign(decision, message.currency),
        )
    )


def _alert(
    decision: Decision,
    message: SpendingReported,
    redemption_id: str | None,
    reason: RejectionReason | RestoreRefusal,
) -> None:
    decision.record(
        e.RedemptionUncoveredAlerted(
            redemption_id=redemption_id,
            order_id=message.order_id,
            payment_id=message.payment_id,
            amount=message.amount,
            reason=reason,
            web_url=decision.terms.web_url,
            foreign_currency=_foreign(decision, message.currency),
        )
    )


def _unexpected(decision: Decision, reason: UnexpectedReason, detail: str) -> None:
    decision.record(e.UnexpectedMessage(reason=reason, detail=detail))


def _foreign(decision: Decision, currency: str) -> str | None:
    return None if currency == decision.state.currency else currency
