"""What workflows and activities say to each other; fields added later have defaults."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """Look at a certificate at ``now``.

    ``timer_at`` is what the run's timer is set to, ``sealed_by`` the key of the secrets that it holds, 0 if none.
    """

    certificate_id: str
    now: datetime
    timer_at: datetime | None = None
    sealed_by: int = 0


@dataclass(frozen=True, slots=True)
class Reconciled:
    """How many violations there are by invariant, those that have none left out, and how many were newly reported."""

    violations: dict[str, int]
    reported: int = 0
