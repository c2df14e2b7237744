"""May the CVC of a certificate be given out? Rule of ``GET /certificates/{id}/cvc``."""

from enum import StrEnum

from giftcert.domain.state import OPEN_REFUND_STATES, CertificateState, Status

_FINAL = frozenset({Status.AVAILABLE, Status.REDEEMED, Status.REFUNDED, Status.EXPIRED, Status.RETIRED})
_SPENDABLE = frozenset({Status.ISSUED, Status.PARTIALLY_REDEEMED})


class DisclosureRefusal(StrEnum):
    """Why not: it may be given later, or for this sale never again."""

    NOT_ISSUED = "not-issued"
    NOT_ACTIVE = "not-active"


def refuse_disclosure(state: CertificateState) -> DisclosureRefusal | None:
    """Return why the CVC may not be given out now, or None if it may.

    Only a spendable certificate's: issued or partly redeemed, not blocked, no refund of its sale open.
    """
    if state.status in _FINAL:
        return DisclosureRefusal.NOT_ACTIVE
    spendable = state.status in _SPENDABLE and not state.blocked
    if spendable and state.refund_state not in OPEN_REFUND_STATES:
        return None
    return DisclosureRefusal.NOT_ISSUED
