"""The messages to a certificate: facts, deadlines and requests. Amounts are minor units, times aware UTC instants."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from giftcert.domain.cause import Cause


@dataclass(frozen=True, slots=True)
class LineChanged:
    """An order line that concerns the certificate stands otherwise than before; the state has it."""


class SpendingKind(StrEnum):
    """What a payment with a certificate as its tender says happened."""

    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    VOIDED = "voided"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingReported:
    """A payment with this certificate as its tender; its channel is that of the cause."""

    cause: Cause
    kind: SpendingKind
    order_id: str
    payment_id: str
    redemption_id: str | None
    amount: int
    currency: str
    capture_id: str | None = None
    refund_id: str | None = None


@dataclass(frozen=True, slots=True)
class ReservationLapsed:
    """``reservedUntil`` has passed, and release on time alone is allowed."""

    reservation_id: str


@dataclass(frozen=True, slots=True)
class UnpaidDeadlinePassed:
    """The order had until now to be paid."""


@dataclass(frozen=True, slots=True)
class RefundDeadlinePassed:
    """What a refund case waited for has not come, or its next alert is due."""

    refund_case_id: str


@dataclass(frozen=True, slots=True)
class HoldLapsed:
    """The time of a redemption's hold has passed."""

    redemption_id: str


@dataclass(frozen=True, slots=True)
class NotificationOverdue:
    """CRM had until now to fetch number and CVC and write to the client, as it was asked at ``since``."""

    notification_id: str
    since: datetime


@dataclass(frozen=True, slots=True)
class ValidityEnded:
    """``validUntil`` has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """A channel takes the certificate from the pool."""

    channel: str
    reservation_id: str
    nominal: int | None = None


@dataclass(frozen=True, slots=True)
class ExtendReservation:
    """The channel asks to keep the certificate longer."""

    reservation_id: str


@dataclass(frozen=True, slots=True)
class ReleaseReservation:
    """The channel gives the certificate back."""

    reservation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizeRedemption:
    """A channel wants to hold part of the balance."""

    channel: str
    redemption_id: str
    order_id: str
    amount: int
    currency: str
    hold_seconds: int | None = None  # None: as long as the product says


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidRedemption:
    """A channel gives a hold back."""

    channel: str
    redemption_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveRefund:
    """CRM or support decides an open refund case."""

    refund_case_id: str
    decision: str
    amount: int | None  # in nominal units
    resolved_by: str
    note: str


@dataclass(frozen=True, slots=True)
class RequestNotification:
    """CRM or support asks to write to the client again."""

    requested_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Act:
    reason: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Block(_Act):
    """Support stops spending and disclosure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unblock(_Act):
    """Support lifts a block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire(_Act):
    """Operations withdraw the certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscloseCvc:
    """CRM asks for number and CVC."""

    disclosed_to: str
    purpose: str
    notification_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockVerification:
    """Too many wrong CVCs came with the number."""

    attempts: int
    since: datetime
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockVerification(_Act):
    """Support lets the number be checked again."""

    is_locked: bool = True  # else nothing changes


Fact: TypeAlias = LineChanged | SpendingReported
DeadlinePassed: TypeAlias = (
    ReservationLapsed
    | UnpaidDeadlinePassed
    | RefundDeadlinePassed
    | HoldLapsed
    | NotificationOverdue
    | ValidityEnded
)
Request: TypeAlias = (
    Reserve
    | ExtendReservation
    | ReleaseReservation
    | AuthorizeRedemption
    | VoidRedemption
    | ResolveRefund
    | RequestNotification
    | Block
    | Unblock
    | Retire
    | DiscloseCvc
    | LockVerification
    | UnlockVerification
)
Message: TypeAlias = Fact | DeadlinePassed | Request
