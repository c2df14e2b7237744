"""What a run of the certificate's workflow takes and gives. Passed through the sandbox, which would proxy datetime."""

from dataclasses import dataclass
from datetime import datetime

from workflows.shown import Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What a run hands to the next beside the stored state; ``schema`` rises when its meaning changes.

    ``waiting`` are messages taken but not yet stored, as (codec text, instant).
    """

    schema: int = 1
    waiting: tuple[tuple[str, datetime], ...] = ()
    seen: tuple[str, ...] = ()
    shown: Shown | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateInput:
    """Input of a run: the id alone, and what an earlier run carried over."""

    certificate_id: str
    carried: Carried | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSecrets:
    """Number and CVC as sealed when they were made, and the status as the workflow knows it."""

    number_sealed: bytes
    cvc_sealed: bytes
    status: str
    version: int
