"""The state of a certificate: complete, immutable, changed only by ``evolve``."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from giftcert.domain.events import Awaited, RefundReason, ReleaseReason
from giftcert.domain.messages import (
    Allocation,
    Line,
    OwnLine,
)


class Status(StrEnum):
    """Where a certificate stands in its life; ``blocked`` is a flag beside it."""

    AVAILABLE = "available"
    RESERVED = "reserved"
    ORDERED = "ordered"
    ISSUED = "issued"
    PARTIALLY_REDEEMED = "partiallyRedeemed"
    REDEEMED = "redeemed"
    REFUNDED = "refunded"
    EXPIRED = "expired"
    RETIRED = "retired"


ISSUED_STATUSES = frozenset({Status.ISSUED, Status.PARTIALLY_REDEEMED, Status.REDEEMED})
"""Sold and in the buyer's hands."""


class RefundState(StrEnum):
    """The refund state of a case, or of all cases of a sale."""

    NONE = "none"
    REQUESTED = "requested"
    AWAITING_CAPTURE = "awaitingCapture"
    PENDING_DETAILS = "pendingDetails"
    COMPLETED = "completed"
    REJECTED = "rejected"


OPEN_REFUND_STATES = frozenset(
    {RefundState.REQUESTED, RefundState.AWAITING_CAPTURE, RefundState.PENDING_DETAILS}
)
REFUND_STATE_PRECEDENCE = (
    RefundState.PENDING_DETAILS,
    RefundState.AWAITING_CAPTURE,
    RefundState.REQUESTED,
    RefundState.COMPLETED,
    RefundState.REJECTED,
)


class PaymentKind(StrEnum):
    """What a payment message says happened to the money."""

    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    VOIDED = "voided"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment message of an order, in the order in which its topic told it."""

    key: str
    kind: PaymentKind
    payment_id: str
    tender: str
    amount: int
    currency: str
    occurred_at: datetime
    refund_id: str | None = None
    allocations: tuple[Allocation, ...] = ()
    extends_until: datetime | None = None


class RedemptionState(StrEnum):
    """How far a redemption has come."""

    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    VOIDED = "voided"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """One purchase that the certificate pays for, in minor units.

    ``held`` is what waits for its capture until ``expires_at``, ``spent`` what was captured, ``restored`` what of
    that was given back. A purchase that was never held has no ``expires_at``.
    """

    redemption_id: str
    state: RedemptionState
    order_id: str
    channel: str | None = None
    payment_id: str | None = None
    held: int = 0
    spent: int = 0
    restored: int = 0
    expires_at: datetime | None = None

    @property
    def restorable(self) -> int:
        """What may still be given back."""
        return self.spent - self.restored


class Withdrawal(StrEnum):
    """How a line left an order."""

    CANCELLED = "cancelled"
    REMOVED = "removed"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalTold:
    """A cancellation or return as told; ``line_ids`` is ``None`` for all lines."""

    version: int
    how: Withdrawal
    line_ids: tuple[str, ...] | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawnLine:
    """A line that was cancelled, removed or returned; ``at`` is business time, ``version`` that which said so first."""

    line: Line
    how: Withdrawal
    at: datetime
    version: int = 0
    said_again: int = 0


@dataclass(frozen=True, slots=True)
class Absence:
    """A line was removed and later put into the order again: between these instants of business time it was out."""

    line_id: str
    out_at: datetime
    back_at: datetime


@dataclass(frozen=True, slots=True)
class AssignedShare:
    """How much of a refund without allocations a person gave to a line; 0: the refund does not mean the line."""

    refund_id: str
    line_id: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFacts:
    """All that a certificate has been told of one order, whoever holds its lines.

    ``stated_version`` is that of the newest full version, ``withdrawals`` what was told since it, by version.
    """

    order_id: str
    version: int = 0
    stated_version: int = 0
    channel: str | None = None
    customer_id: str | None = None
    currency: str | None = None
    total: int = 0
    lines: tuple[Line, ...] = ()
    own: OwnLine | None = None
    withdrawn: tuple[WithdrawnLine, ...] = ()
    absences: tuple[Absence, ...] = ()
    withdrawals: tuple[WithdrawalTold, ...] = ()
    payments: tuple[Payment, ...] = ()
    assigned: tuple[AssignedShare, ...] = ()
    earlier_payments_unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A channel's claim on the certificate; ``ended`` tells a past one."""

    reservation_id: str
    reserved_until: datetime
    channel: str | None = None
    reserved_at: datetime | None = None
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Agreement:
    """What one person wants to decide about a refund that takes two."""

    decision: str
    amount: int | None
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundCase:
    """One refund of one sale.

    ``counted`` is the money that its completion counted, ``counted_refunds`` the refunds that it came of,
    ``before_issue`` whether the certificate was not issued then. ``taken`` is in nominal units; so is ``approved``,
    what a person allows to be taken once the money is back. ``agreement`` waits for a second person.
    ``foreign_currency`` is that of ``amount``, if it is not the sale's.
    """

    refund_case_id: str
    state: RefundState
    amount: int
    refund_id: str | None = None
    awaiting: Awaited | None = None
    waits_until: datetime | None = None
    overdue: bool = False
    reason: RefundReason | None = None
    opened_at: datetime | None = None
    pending_since: datetime | None = None
    alerts: int = 0
    alerted_at: datetime | None = None
    counted: int = 0
    counted_refunds: tuple[str, ...] = ()
    before_issue: bool = False
    taken: int = 0
    approved: int | None = None
    agreement: Agreement | None = None
    foreign_currency: str | None = None

    @property
    def asks_which_line(self) -> bool:
        """Whether all that is open is which line the refund means."""
        unasked = self.reason is None or self.reason == RefundReason.ALLOCATION_MISSING
        return unasked and self.awaiting == Awaited.ALLOCATION

    @property
    def is_open(self) -> bool:
        """Whether anything is still to come or to be decided."""
        return self.state in OPEN_REFUND_STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """One certificate under one order line; money, refund cases and deadlines belong to it.

    ``withdrawal_decided`` is the version of the order up to which a person decided about a line that had been returned,
    cancelled or removed, so that no further money is awaited for it; a newer version that says so again reopens that.
    """

    order_id: str
    line_id: str
    amount: int
    nominal: int = 0
    channel: str | None = None
    customer_id: str | None = None
    opened_at: datetime | None = None
    unpaid_until: datetime | None = None
    unpaid_alerts: int = 0
    unpaid_alerted_at: datetime | None = None
    issued_at: datetime | None = None
    valid_until: datetime | None = None
    ended: ReleaseReason | None = None
    alerted_amount: int = 0
    withdrawal_decided: int = 0
    cases: tuple[RefundCase, ...] = ()

    @property
    def open_case(self) -> RefundCase | None:
        """The case that is not closed; there is at most one at a time."""
        return next((case for case in self.cases if case.is_open), None)

    @property
    def refund_state(self) -> RefundState:
        """The first state in precedence that any case has."""
        states = {case.state for case in self.cases}
        return next((state for state in REFUND_STATE_PRECEDENCE if state in states), RefundState.NONE)

    def is_for(self, order_id: str, line_id: str) -> bool:
        """Return whether this is the sale under that order line."""
        return self.order_id == order_id and self.line_id == line_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An order line that was not given this certificate; money that comes for it is reported."""

    order_id: str
    line_id: str
    reason: str
    alerted_amount: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """How a buyer wants to be written to, as CRM last said."""

    client_id: str
    occurred_at: datetime
    locale: str | None = None
    preferred_channel: str | None = None
    merged_into: str | None = None
    blocked: bool = False
    erased: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateState:
    """Everything the rules need to know of one certificate. Amounts in minor units of ``currency``."""

    certificate_id: str
    product: str
    currency: str
    nominal: int
    status: Status = Status.AVAILABLE
    blocked: bool = False
    balance: int = 0
    held: int = 0
    reservation: Reservation | None = None
    sale: Sale | None = None
    past_sales: tuple[Sale, ...] = ()
    orders: tuple[OrderFacts, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    clients: tuple[Client, ...] = ()
    redemptions: tuple[Redemption, ...] = ()
    spending_keys: tuple[str, ...] = ()

    @property
    def refund_state(self) -> RefundState:
        """The refund state of the current sale."""
        return self.sale.refund_state if self.sale else RefundState.NONE

    @property
    def any_refund_state(self) -> RefundState:
        """The refund state over current and earlier sales, as support searches it."""
        sales = (*self.past_sales, self.sale) if self.sale else self.past_sales
        states = {sale.refund_state for sale in sales}
        return next((state for state in REFUND_STATE_PRECEDENCE if state in states), RefundState.NONE)

    @property
    def shown_status(self) -> str:
        """The status as the outside sees it: ``blocked`` while the flag is set."""
        return "blocked" if self.blocked else self.status.value

    @property
    def sale_channel(self) -> str | None:
        """Who sold it; before an order, who reserved it."""
        if self.sale:
            return self.sale.channel
        live = self.reservation and not self.reservation.ended
        return self.reservation.channel if self.reservation and live else None

    def is_past_validity(self, at: datetime) -> bool:
        """Return whether it was sold and its validity ends no later than an instant, told or not."""
        until = self.sale.valid_until if self.sale else None
        return until is not None and at >= until

    def order(self, order_id: str) -> OrderFacts:
        """Return what is known of an order; nothing known is an empty ``OrderFacts``."""
        known = next((order for order in self.orders if order.order_id == order_id), None)
        return known or OrderFacts(order_id=order_id)
