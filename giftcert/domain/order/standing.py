"""How a certificate line of an order now stands: all that a certificate needs of its order, and nothing of other lines.

A level, not an edge: the newest standing contains whatever came before it. Amounts are minor units of ``currency`` over
the whole life of the line; what closed refund cases have counted of them is in ``CountedMoney``.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from giftcert.domain.cause import Cause


class Withdrawal(StrEnum):
    """How a line left its order; only a removed line can come back."""

    CANCELLED = "cancelled"
    REMOVED = "removed"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineWithdrawal:
    """How and when a line left its order."""

    how: Withdrawal
    said_in: int  # the newest version that says so
    cause: Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedBy:
    """A version that names a certificate on a line."""

    version: int
    cause: Cause
    applied_at: datetime  # our clock when the version was folded
    reservation_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """How the newest version that has the line names its certificate."""

    certificate_id: str
    began: NamedBy  # the version since which it has been named without a break
    terms: NamedBy  # the newest that changed certificate, amount, nominal or reservationId
    replaces: str | None = None  # the certificate that the line named before


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRefund:
    """What one refund gives back of a line in one currency, all parts together; foreign money net of captures."""

    refund_id: str
    currency: str
    certain: int  # means this line: allocated, said by a person, or inferred by the rules
    possible: int  # may mean it; once persons spoke of every line, only the last of them has the rest
    decided: int | None  # what a person gave to this line, 0: not this line; None: nobody spoke
    last_candidate: bool  # persons have spoken of every other line that it may mean
    overdrawn: bool  # one of its payments gave back more than it brought
    added_at: datetime  # our clock when it last grew
    cause: Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignCapture:
    """Money captured in another currency than the order's; it pays for nothing."""

    identity: str
    payment_id: str
    amount: int
    currency: str
    refunded: int  # went back under the same paymentId in that currency
    cause: Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedMoney:
    """What closed refund cases have counted of a line's money, whoever held the line then."""

    captured: int = 0  # the line's money that went back with them, in the order's currency
    refunds: tuple[tuple[str, str, int], ...] = ()  # refundId, currency, amount in that currency

    def plus(self, captured: int, refunds: tuple[tuple[str, str, int], ...]) -> "CountedMoney":
        """Add what one more case counts."""
        return CountedMoney(captured=self.captured + captured, refunds=(*self.refunds, *refunds))

    def of(self, refund_id: str, currency: str) -> int:
        """Return how much of a refund was counted."""
        return sum(amount for known, of, amount in self.refunds if (known, of) == (refund_id, currency))


@dataclass(frozen=True, slots=True, kw_only=True)
class LineStanding:
    """How one certificate line stands after all that was said of its order."""

    order_id: str
    line_key: int  # numbers the lines of an order as they came; never changes
    line_id: str  # what the newest version that has the line calls it
    revision: int  # the order's, when the standing last changed
    currency: str
    channel: str
    customer_id: str | None
    naming: Naming
    amount: int
    nominal: int | None
    price: int  # amount less its share of an order-wide discount; once paid, the price that was paid
    listed: bool  # by the newest full version
    listed_in: int  # the first full version that lists it after a cancellation or return; 0: none
    withdrawal: LineWithdrawal | None
    captured: int  # for the line, also beyond its price
    is_paid: bool  # captures less certain refunds reach the price, by tenders that may buy certificates
    is_paid_by_any_tender: bool  # the same where certificates may buy certificates
    paying: tuple[str, ...]  # the payments that first paid it
    paying_by_any_tender: tuple[str, ...]
    missing: int  # what the price lacks, or where only the order as a whole lacks money, the order
    captured_cause: Cause | None
    foreign_captures: tuple[ForeignCapture, ...]
    refunds: tuple[LineRefund, ...]
    other_lines_money: bool  # the order has other kinds of lines, which foreign money may mean
    earlier_payments_unknown: bool
