"""What a certificate pays for: its redemptions, and what they leave of the balance."""

from dataclasses import replace

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.state import SOLD, CertificateState, Redemption, RedemptionState, Status
from giftcert.domain.certificate.words import VoidReason


def find_redemption(state: CertificateState, redemption_id: str | None) -> Redemption | None:
    """Return the redemption with this id."""
    return next((one for one in state.redemptions if one.redemption_id == redemption_id), None)


def open_holds(state: CertificateState) -> tuple[Redemption, ...]:
    """Return the redemptions whose amount is held."""
    return tuple(one for one in state.redemptions if one.state == RedemptionState.AUTHORIZED)


def spent(state: CertificateState) -> int:
    """Return what purchases took and did not give back, in minor units."""
    return sum(one.restorable for one in state.redemptions)


def with_redemption(state: CertificateState, redemption: Redemption) -> CertificateState:
    """Put in a redemption, new or changed."""
    known = {one.redemption_id: one for one in state.redemptions}
    known[redemption.redemption_id] = redemption
    return replace(state, redemptions=tuple(known.values()))


def hold_of(event: e.RedemptionAuthorized) -> Redemption:
    """Return the hold of an event."""
    return Redemption(
        redemption_id=event.redemption_id,
        state=RedemptionState.AUTHORIZED,
        order_id=event.order_id,
        held=event.amount,
    )


def authorized(state: CertificateState, event: e.RedemptionAuthorized) -> CertificateState:
    """Hold part of the balance."""
    return _money(with_redemption(state, hold_of(event)), freed=-event.amount, released=-event.amount)


def captured(state: CertificateState, event: e.RedemptionCaptured) -> CertificateState:
    """Spend an amount out of its hold, the rest of which is free again, or of the balance."""
    known = _redemption(state, event)
    was_held = known.state in {RedemptionState.AUTHORIZED, RedemptionState.LAPSED}
    paid = replace(
        known,
        state=RedemptionState.CAPTURED,
        payment_id=event.payment_id or known.payment_id,
        held=0,
        spent=known.spent + event.amount,
        unheld=known.unheld if was_held else known.unheld + event.amount,
    )
    return _money(with_redemption(state, paid), freed=known.held - event.amount, released=known.held)


def voided(state: CertificateState, event: e.RedemptionVoided) -> CertificateState:
    """Give a hold back."""
    known = _redemption(state, event)
    has_lapsed = event.reason == VoidReason.HOLD_LAPSED
    given_back = replace(
        known,
        state=RedemptionState.LAPSED if has_lapsed else RedemptionState.VOIDED,
        payment_id=event.payment_id or known.payment_id,
        held=0,
        lapsed=known.held if has_lapsed else 0,
    )
    return _money(with_redemption(state, given_back), freed=known.held, released=known.held)


def restored(state: CertificateState, event: e.RedemptionRestored) -> CertificateState:
    """Put a spent amount back on the balance."""
    known = _redemption(state, event)
    return _money(
        with_redemption(state, replace(known, restored=known.restored + event.amount)), freed=event.amount
    )


def _redemption(
    state: CertificateState, event: e.RedemptionCaptured | e.RedemptionVoided | e.RedemptionRestored
) -> Redemption:
    """The redemption of an event; one that was never held begins with its capture."""
    return find_redemption(state, event.redemption_id) or Redemption(
        redemption_id=event.redemption_id, state=RedemptionState.CAPTURED, order_id=event.order_id
    )


def _money(state: CertificateState, freed: int, released: int = 0) -> CertificateState:
    """Add what is free to the balance and take it from what is held; the status follows."""
    state = replace(state, balance=state.balance + freed, held=state.held - released)
    return replace(state, status=_status_of_money(state))


def _status_of_money(state: CertificateState) -> Status:
    """The status that the money gives a certificate in the buyer's hands; a hold changes none."""
    if state.status not in SOLD:
        return state.status
    if spent(state) == 0:
        return Status.ISSUED
    return Status.REDEEMED if state.balance == state.held == 0 else Status.PARTIALLY_REDEEMED
