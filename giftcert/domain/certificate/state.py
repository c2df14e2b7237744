"""The state of a certificate: complete, immutable, changed only by ``evolve``. Amounts are minor units."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from giftcert.domain.certificate.words import Awaited, ConflictReason, RefundReason, ReleaseReason
from giftcert.domain.clients import Recipient
from giftcert.domain.order.standing import CountedMoney, LineStanding


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


FOR_SALE = frozenset({Status.AVAILABLE, Status.RESERVED})  # no order has it

SOLD = frozenset({Status.ISSUED, Status.PARTIALLY_REDEEMED, Status.REDEEMED})  # in the buyer's hands

SPENDABLE = frozenset({Status.ISSUED, Status.PARTIALLY_REDEEMED})  # its status lets it pay

ENDED = frozenset({Status.REFUNDED, Status.EXPIRED, Status.RETIRED})  # never sold or spent again

FINISHED = ENDED | {Status.REDEEMED}  # its workflow is over once nothing is open


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


class LineRef(NamedTuple):
    """A line of an order, by its number within the order, which stays whatever lineId Orders gives it."""

    order_id: str
    line_key: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A channel's claim on the certificate, the present one or the last."""

    reservation_id: str
    reserved_until: datetime
    channel: str | None = None
    reserved_at: datetime | None = None
    ended: bool = False


class RedemptionState(StrEnum):
    """How far a redemption has come."""

    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    VOIDED = "voided"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """One purchase that the certificate pays for."""

    redemption_id: str
    state: RedemptionState
    order_id: str
    channel: str | None = None
    payment_id: str | None = None
    held: int = 0  # waits for its capture until expires_at
    lapsed: int = 0  # was held until the time was over
    spent: int = 0  # captured
    unheld: int = 0  # part of spent that no hold covered
    restored: int = 0  # given back of spent
    expires_at: datetime | None = None  # None: it was never held

    @property
    def restorable(self) -> int:
        """What may still be given back."""
        return self.spent - self.restored


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the first person wants to decide about a refund that takes two."""

    decision: str
    amount: int | None
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundCase:
    """One refund of one sale."""

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
    counted: int = 0  # money back that its completion counted
    excess: int = 0  # its part beyond the price
    before_issue: bool = False  # the certificate was not issued then
    taken: int = 0  # from the balance, in nominal units
    approved: int | None = None  # may be taken once the money is back, in nominal units
    agreement: Agreement | None = None  # waits for a second person
    foreign_currency: str | None = None  # of amount, if it is not the sale's

    @property
    def asks_which_line(self) -> bool:
        """Whether all that is open is which line the refund means."""
        unasked = self.reason is None or self.reason == RefundReason.ALLOCATION_MISSING
        return unasked and self.awaiting == Awaited.ALLOCATION

    @property
    def is_open(self) -> bool:
        """Whether anything is still to come or to be decided."""
        return self.state in OPEN_REFUND_STATES


@dataclass(frozen=True, slots=True)
class AwaitedFetch:
    """CRM was asked to write to the client, and has not fetched number and CVC yet."""

    notification_id: str
    requested_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """One certificate under one order line; money, refund cases and deadlines belong to it."""

    order_id: str
    line_key: int
    line_id: str
    amount: int  # its price
    listed_amount: int = 0  # before any discount of the whole order
    nominal: int = 0
    channel: str | None = None
    customer_id: str | None = None
    unpaid_until: datetime | None = None
    unpaid_alerts: int = 0
    unpaid_alerted_at: datetime | None = None
    issued_at: datetime | None = None
    valid_until: datetime | None = None
    awaited_fetch: AwaitedFetch | None = None  # None too where nobody waits for it any more
    ended: ReleaseReason | None = None
    released_terms: int = 0  # newest version that had changed the line when the sale was released
    alerted_captured: int = 0  # captured when it was last published that money has no certificate
    # The version up to which a person decided about a withdrawn line: no further money is awaited for it.
    withdrawal_decided: int = 0
    cases: tuple[RefundCase, ...] = ()

    @property
    def ref(self) -> LineRef:
        """The line that it is for."""
        return LineRef(self.order_id, self.line_key)

    @property
    def open_case(self) -> RefundCase | None:
        """The case that is not closed; there is at most one."""
        return next((case for case in self.cases if case.is_open), None)

    @property
    def refund_state(self) -> RefundState:
        """The refund state shown for all its cases."""
        return first_refund_state({case.state for case in self.cases})


def first_refund_state(states: set[RefundState]) -> RefundState:
    """Return the refund state that is shown for several."""
    precedence = (
        RefundState.PENDING_DETAILS,
        RefundState.AWAITING_CAPTURE,
        RefundState.REQUESTED,
        RefundState.COMPLETED,
        RefundState.REJECTED,
    )
    return next((state for state in precedence if state in states), RefundState.NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a line cannot have this certificate, or not as the newest version wants it."""

    order_id: str
    line_key: int
    reason: ConflictReason
    terms_version: int  # it stands until a newer version changes the line
    alerted_captured: int = 0  # as in Sale

    @property
    def ref(self) -> LineRef:
        """The line that was refused."""
        return LineRef(self.order_id, self.line_key)


@dataclass(frozen=True, slots=True)
class Holder:
    """The certificate that has a line, and how far it has come: ``ordered`` or later."""

    certificate_id: str
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The row of an order line as a certificate sees it: its standing, and what certificates have done with it."""

    standing: LineStanding
    counted: CountedMoney = field(default_factory=CountedMoney)
    holder: Holder | None = None
    names_ours: bool = True  # the newest version names a certificate of ours
    unpaid_until: datetime | None = None
    open_case: RefundCase | None = None  # of a holder that let go before issue; who judges next has it
    recipient: Recipient | None = None
    waiters: tuple[str, ...] = ()  # certificates named on it while another holds it
    reported: tuple[str, ...] = ()  # identities of foreign captures that were published, by whomever

    @property
    def ref(self) -> LineRef:
        """The line's key."""
        return LineRef(self.standing.order_id, self.standing.line_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateState:
    """Everything the rules need to know of one certificate, in minor units of ``currency``."""

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
    refusals: tuple[Refusal, ...] = ()
    waits_for: tuple[LineRef, ...] = ()  # lines that name it while one not issued yet holds them
    redemptions: tuple[Redemption, ...] = ()
    lines: tuple[Line, ...] = ()  # rows as loaded under their locks; never stored with the state

    @property
    def sales(self) -> tuple[Sale, ...]:
        """All sales, the current one last."""
        return (*self.past_sales, self.sale) if self.sale else self.past_sales

    @property
    def refund_state(self) -> RefundState:
        """The refund state of the current sale."""
        return self.sale.refund_state if self.sale else RefundState.NONE

    @property
    def any_refund_state(self) -> RefundState:
        """The refund state over current and earlier sales, as support searches it."""
        return first_refund_state({sale.refund_state for sale in self.sales})

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
        """Return whether it was sold and its validity has ended by an instant."""
        until = self.sale.valid_until if self.sale else None
        return until is not None and at >= until

    def line(self, ref: LineRef) -> Line | None:
        """Return the row of a line, if it was loaded."""
        return next((line for line in self.lines if line.ref == ref), None)


def known_lines(state: CertificateState) -> tuple[LineRef, ...]:
    """Return the lines to load with the state: of its sale, of open cases, and those that it waits for."""
    sales = (sale.ref for sale in state.sales if sale is state.sale or sale.open_case)
    return tuple(sorted({*sales, *state.waits_for}))
