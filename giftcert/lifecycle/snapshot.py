"""What a transaction leaves to be known of a certificate: for its workflow, for support, and for those it concerns."""

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
    """A certificate after a decision was committed.

    ``over``: nothing is open, its run may end. ``details`` says in words where it stands, ``waiting_for`` what the
    timer of ``next_instant`` is for. ``sealed`` comes with the first snapshot of a run. ``wakes`` are to be sent.
    """

    status: str
    over: bool
    next_instant: datetime | None
    details: str
    waiting_for: str
    visibility: Visibility
    sealed: SealedSecrets | None = None
    wakes: tuple[Wake, ...] = ()
