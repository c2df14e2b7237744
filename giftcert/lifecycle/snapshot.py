"""What a transaction leaves to be known of a certificate: for its workflow, for support, and for those concerned."""

from dataclasses import dataclass
from datetime import datetime

from giftcert.security.data_keys import key_id_of
from giftcert.temporal.search_attributes import Visibility
from giftcert.temporal.signals import Wake
from giftcert.texts import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSecrets:
    """Number and CVC, sealed by the same key."""

    number_sealed: bytes
    cvc_sealed: bytes

    @property
    def key_id(self) -> int:
        """The data key that sealed them."""
        return key_id_of(self.cvc_sealed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A certificate after a decision was committed."""

    status: str
    over: bool  # nothing is open, its run may end
    next_instant: datetime | None
    details: str  # in words, where it stands
    waiting_for: str  # in words, what the timer of next_instant is for
    visibility: Visibility
    language: Language = "en"  # of details
    sealed: SealedSecrets | None = None  # with the first snapshot of a run, and after a rotation of keys
    wakes: tuple[Wake, ...] = ()  # to be sent
