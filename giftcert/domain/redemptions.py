"""What a certificate pays for: its redemptions, and what they leave of the balance. Pure functions over the state."""

from dataclasses import replace

from giftcert.domain import events as e
from giftcert.domain.state import (
    ISSUED_STATUSES,
    CertificateState,
    Redemption,
    RedemptionState,
    Status,
)

HOLD_LAPSED = "holdLapsed"
"""The reason of ``redemption.voided`` that time gives."""

# Questions ----------------------------------------------------------------------------------------


def find_redemption(state: CertificateState, redemption_id: str | None) -> Redemption | None:
    """Return the redemption with this id."""
    return next((one for one in state.redemptions if one.redemption_id == redemption_id), None)


def open_holds(state: CertificateState) -> tuple[Redemption, ...]:
    """Return the redemptions whose amount is held."""
    return tuple(one for one in state.redemptions if one.state == RedemptionState.AUTHORIZED)


def lapsed_holds(state: CertificateState) -> tuple[Redemption, ...]:
    """Return the redemptions whose hold ran out before anything was captured."""
    return tuple(one for one in state.redemptions if one.state == RedemptionState.LAPSED)


def spent(state: CertificateState) -> int:
    """Return what purchases took and did not give back, in minor units."""
    return sum(one.restorable for one in state.redemptions)


# Folds --------------------------------------------------------------------------------------------


def authorized(state: CertificateState, event: e.RedemptionAuthorized) -> CertificateState:
    """Return the state with part of the balance held."""
    hold = Redemption(
        redemption_id=event.redemption_id,
        state=RedemptionState.AUTHORIZED,
        order_id=event.order_id,
        payment_id=event.payment_id,
        held=event.amount,
    )
    return _money(_put(state, hold), freed=-event.amount, released=-event.amount)


def captured(state: CertificateState, event: e.RedemptionCaptured) -> CertificateState:
    """Return the state with an amount spent: out of its hold, the rest of which is free, or of the balance."""
    known = _redemption(state, event)
    paid = replace(
        known,
        state=RedemptionState.CAPTURED,
        payment_id=event.payment_id or known.payment_id,
        held=0,
        spent=known.spent + event.amount,
    )
    return _money(_put(state, paid), freed=known.held - event.amount, released=known.held)


def voided(state: CertificateState, event: e.RedemptionVoided) -> CertificateState:
    """Return the state with a hold given back."""
    known = _redemption(state, event)
    ended = RedemptionState.LAPSED if event.reason == HOLD_LAPSED else RedemptionState.VOIDED
    given_back = replace(known, state=ended, held=0)
    return _money(_put(state, given_back), freed=known.held, released=known.held)


def restored(state: CertificateState, event: e.RedemptionRestored) -> CertificateState:
    """Return the state with a spent amount back on the balance."""
    known = _redemption(state, event)
    return _money(_put(state, replace(known, restored=known.restored + event.amount)), freed=event.amount)


def hold_opened(state: CertificateState, event: e.HoldOpened) -> CertificateState:
    """Return the state with what only we need to know of a hold."""
    kept = tuple(
        replace(one, channel=event.channel, expires_at=event.expires_at)
        if one.redemption_id == event.redemption_id
        else one
        for one in state.redemptions
    )
    return replace(state, redemptions=kept)


def spending_recorded(state: CertificateState, event: e.SpendingRecorded) -> CertificateState:
    """Return the state that knows a payment by its key, and which purchase it belongs to; who held it, stays."""
    known = find_redemption(state, event.redemption_id)
    if known is not None:
        payment_id, channel = known.payment_id or event.payment_id, known.channel or event.channel
        state = _put(state, replace(known, payment_id=payment_id, channel=channel))
    return replace(state, spending_keys=(*state.spending_keys, event.key))


def _redemption(
    state: CertificateState, event: e.RedemptionCaptured | e.RedemptionVoided | e.RedemptionRestored
) -> Redemption:
    """Return the redemption of an event; one that was never held begins with its capture."""
    return find_redemption(state, event.redemption_id) or Redemption(
        redemption_id=event.redemption_id, state=RedemptionState.CAPTURED, order_id=event.order_id
    )


def _put(state: CertificateState, redemption: Redemption) -> CertificateState:
    known = find_redemption(state, redemption.redemption_id)
    if known is None:
        return replace(state, redemptions=(*state.redemptions, redemption))
    kept = tuple(redemption if one is known else one for one in state.redemptions)
    return replace(state, redemptions=kept)


def _money(state: CertificateState, freed: int, released: int = 0) -> CertificateState:
    """Add to the balance what is free, take from what is held; the status follows."""
    state = replace(state, balance=state.balance + freed, held=state.held - released)
    return replace(state, status=status_of_money(state))


def status_of_money(state: CertificateState) -> Status:
    """Return the status that the money gives a certificate that is in the buyer's hands; a hold changes none."""
    if state.status not in ISSUED_STATUSES:
        return state.status
    if spent(state) == 0:
        return Status.ISSUED
    return Status.REDEEMED if state.balance == state.held == 0 else Status.PARTIALLY_REDEEMED
