"""What a workflow and its activities say to each other: names and dataclasses only, safe for the sandbox."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from giftcert.contracts.records import EventRecord
from giftcert.domain.messages import LineHolder, RefundAssigned
from giftcert.domain.policy import Terms
from giftcert.domain.state import CertificateState, Redemption

LOAD_CERTIFICATE = "load_certificate"
APPLY_TRANSITION = "apply_transition"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A certificate as stored, with its terms and its sealed secrets; ``version`` is that of the lifecycle.

    ``build`` is the deployment whose worker read it.
    """

    state: CertificateState
    version: int
    terms: Terms
    number_sealed: bytes
    cvc_sealed: bytes
    build: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """All that one decision of the workflow changes, to be committed in one transaction or not at all.

    ``keys`` are the messages it applies. ``caught_up_beyond`` is set where time alone releases the certificate:
    the transaction then requires that ingest has read past that instant and that no other delivery waits. ``assigned``
    is what a person said of a refund: the other certificates of its order hear of it. ``redemptions`` are those that
    changed.
    """

    certificate_id: str
    expected_version: int
    keys: tuple[str, ...]
    events: tuple[EventRecord, ...]
    state: CertificateState
    at: datetime
    caught_up_beyond: datetime | None = None
    assigned: tuple[RefundAssigned, ...] = ()
    redemptions: tuple[Redemption, ...] = ()


class Outcome(StrEnum):
    """What became of a transition."""

    APPLIED = "applied"
    ALREADY_APPLIED = "alreadyApplied"
    STALE = "stale"
    LINE_HELD = "lineHeld"
    NOT_CAUGHT_UP = "notCaughtUp"
    ASSIGNED_ELSEWHERE = "assignedElsewhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionAnswer:
    """The outcome; ``current`` is the stored certificate where the workflow has to decide again.

    ``applied_keys`` are those of the transition's messages that had been applied before; ``holder`` is how far
    the certificate that stands on the order line has come; ``build`` the deployment whose worker carried it out.
    ``assigned`` is what was said elsewhere of the same refund, to be heard first.
    """

    outcome: Outcome
    version: int = 0
    current: Loaded | None = None
    applied_keys: tuple[str, ...] = ()
    build: str = ""
    holder: LineHolder | None = None
    assigned: tuple[RefundAssigned, ...] = ()
