"""What a transaction leaves to be known of a certificate: for its workflow, for support, and for those concerned."""

from dataclasses import dataclass
from datetime import datetime

from giftcert.temporal.search_attributes import Visibility
from giftcert.temporal.signals import Wake


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSecrets:
    """Number and CVC as they were sealed when they were made."""

    number_sealed: bytes
    cvc_sealed: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A certificate after a decision was committed."""

    status: str
    over: bool  # nothing is open, its run may end
    next_instant: datetime | None
    details: str  # in words, where it stands
    waiting_for: str  # in words, what the timer of next_instant is for
    visibility: Visibility
    sealed: SealedSecrets | None = None  # with the first snapshot of a run
    wakes: tuple[Wake, ...] = ()  # to be sent
