"""What is known of a certificate beside what the stream tells: private events only change the state.

Amounts are minor units of the certificate's currency.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from giftcert.domain.messages import (
    ClientUpdated,
    LinesReturned,
    OrderCancelled,
    OrderStated,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentRefunded,
    PaymentVoided,
)
from giftcert.domain.money import MinorUnits


@dataclass(frozen=True, slots=True)
class OrderRecorded:
    """Private: a message about an order is known."""

    message: OrderStated | OrderCancelled | LinesReturned


@dataclass(frozen=True, slots=True)
class PaymentRecorded:
    """Private: a payment is known; an authorisation or void keeps an unpaid order until ``extends_until``."""

    message: PaymentAuthorized | PaymentCaptured | PaymentVoided | PaymentRefunded
    extends_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ClientRecorded:
    """Private: the buyer's settings are known."""

    message: ClientUpdated


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationOpened:
    """Private: what the reservation needs beside the public ``issue.reserved``."""

    channel: str
    reserved_at: datetime
    nominal: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleOpened:
    """Private: what the sale needs beside the public ``issue.ordered``."""

    channel: str
    customer_id: str | None
    nominal: int
    opened_at: datetime
    unpaid_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleRepriced:
    """Private: the order gave the unissued line another amount or nominal."""

    amount: MinorUnits
    nominal: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRefused:
    """Private: this order line got no certificate, so that its money can be reported."""

    order_id: str
    line_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationExtended:
    """Private: the channel keeps the certificate longer."""

    reserved_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOpened:
    """Private: what a hold needs beside the public ``redemption.authorized``."""

    redemption_id: str
    channel: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingRecorded:
    """Private: a payment with this certificate as tender is known; ``redemption_id`` is the purchase it belongs to."""

    key: str
    payment_id: str
    redemption_id: str | None
    channel: str


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareAssigned:
    """Private: a person said how much of a refund is a line's money; 0: it does not mean that line.

    ``here`` says that it was decided about this certificate's own line, so that the others have yet to hear of it.
    """

    order_id: str
    refund_id: str
    line_id: str
    amount: int
    here: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundOverdue:
    """Private: what the case waited for has not come in time."""

    refund_case_id: str


PrivateEvent: TypeAlias = (
    OrderRecorded
    | PaymentRecorded
    | ClientRecorded
    | ReservationOpened
    | SaleOpened
    | SaleRepriced
    | LineRefused
    | ReservationExtended
    | HoldOpened
    | SpendingRecorded
    | RefundApproved
    | RefundAgreed
    | ShareAssigned
    | RefundOverdue
)
