"""Names and answers of the maintenance activities; safe for the workflow sandbox."""

from dataclasses import dataclass

RELEASE_LAPSED_RESERVATIONS = "release_lapsed_reservations"
FORGET_IDEMPOTENCY_KEYS = "forget_idempotency_keys"
DROP_PAYMENT_DAYS = "drop_payment_days"
RECONCILE = "reconcile"


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What to hold against the invariants: a sample of so many certificates, or everything (``None``)."""

    sample: int | None = None


@dataclass(frozen=True, slots=True)
class Reconciled:
    """How many violations there are by invariant, those that have none left out, and how many were newly told."""

    violations: dict[str, int]
    told: int


@dataclass(frozen=True, slots=True)
class Expired:
    """What was forgotten: idempotency keys, and whole days of unmatched payments by the names of their partitions."""

    keys: int
    days: tuple[str, ...]
