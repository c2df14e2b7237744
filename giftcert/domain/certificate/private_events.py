"""What is known of a certificate beside what the stream tells: private events only change the state.

Amounts are minor units of the certificate's currency.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from giftcert.domain.certificate.public_events import ConflictReason
from giftcert.domain.certificate.state import Line
from giftcert.domain.money import MinorUnits


@dataclass(frozen=True, slots=True)
class LineObserved:
    """Private: an order line now stands so."""

    line: Line


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationOpened:
    """Private: what the reservation needs beside the public ``issue.reserved``."""

    channel: str
    reserved_at: datetime
    nominal: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationExtended:
    """Private: the channel keeps the certificate longer."""

    reserved_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleOpened:
    """Private: what the sale needs beside the public ``issue.ordered``; ``listed_amount`` is before any discount."""

    channel: str
    customer_id: str | None
    listed_amount: MinorUnits
    nominal: int
    opened_at: datetime
    unpaid_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleRepriced:
    """Private: the order gave the unissued line another amount or nominal, or another share of a discount."""

    amount: MinorUnits
    listed_amount: MinorUnits
    nominal: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleFollowed:
    """Private: Orders renumbered the line, or gave the order another customer."""

    line_id: str
    customer_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRefused:
    """Private: it was told that the line cannot have this certificate, or not as newest version wants it."""

    order_id: str
    line_key: int
    reason: ConflictReason
    terms_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineAwaited:
    """Private: another certificate holds the line that names this one; it waits until that lets go."""

    order_id: str
    line_key: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineGivenUp:
    """Private: the line names this certificate no more, so it neither waits for it nor refuses it any longer."""

    order_id: str
    line_key: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LateMoneyReported:
    """Private: money of a line without a certificate was told; so much was captured for the line until then."""

    order_id: str
    line_key: int
    captured: MinorUnits


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignCaptureReported:
    """Private: a capture in another currency was told, or what of it went back; once, whoever holds the line."""

    order_id: str
    line_key: int
    identity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyCounted:
    """Private: what a closed refund case has counted of its line's money, and of each refund in its currency."""

    order_id: str
    line_key: int
    captured: MinorUnits
    refunds: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalDecided:
    """Private: a person decided about a line that had left the order, as versions up to this one say."""

    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundApproved:
    """Private: a person allows so much (nominal units) to be taken once the money is back."""

    refund_case_id: str
    amount: int
    waits_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundAgreed:
    """Private: one of the two persons that a refund of this size takes has agreed."""

    refund_case_id: str
    decision: str
    amount: int | None
    by: str


@dataclass(frozen=True, slots=True)
class RefundOverdue:
    """Private: what the case waited for has not come in time."""

    refund_case_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOpened:
    """Private: what a hold needs beside the public ``redemption.authorized``."""

    redemption_id: str
    channel: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RedemptionIdentified:
    """Private: the payment and channel that a redemption belongs to; who held it, stays."""

    redemption_id: str
    payment_id: str
    channel: str | None


PrivateEvent: TypeAlias = (
    LineObserved
    | ReservationOpened
    | ReservationExtended
    | SaleOpened
    | SaleRepriced
    | SaleFollowed
    | LineRefused
    | LineAwaited
    | LineGivenUp
    | LateMoneyReported
    | ForeignCaptureReported
    | MoneyCounted
    | WithdrawalDecided
    | RefundApproved
    | RefundAgreed
    | RefundOverdue
    | HoldOpened
    | RedemptionIdentified
)
