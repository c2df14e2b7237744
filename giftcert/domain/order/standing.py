"""How a certificate line of an order now stands: all that a certificate needs of its order, and nothing of other lines.

A level, not an edge: the newest standing holds whatever came before it. Amounts are minor units of ``currency``, over
the whole life of the line; what closed refund cases have counted of them stands beside it in ``CountedMoney``.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from giftcert.domain.cause import Cause


class Withdrawal(StrEnum):
    """How a line left its order; only a removed one can come back."""

    CANCELLED = "cancelled"
    REMOVED = "removed"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineWithdrawal:
    """How and when the line left the order. ``said_in`` is the newest version that says so."""

    how: Withdrawal
    said_in: int
    cause: Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedBy:
    """A version that names a certificate on a line. ``applied_at`` is our clock when it was folded."""

    version: int
    cause: Cause
    applied_at: datetime
    reservation_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """How the newest version that has the line names a certificate on it.

    ``began``: the version that began to name it without a break; ``terms``: the newest that changed the line's
    certificate, amount, nominal or reservationId. ``replaces``: the certificate that the line named before this one.
    """

    certificate_id: str
    began: NamedBy
    terms: NamedBy
    replaces: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRefund:
    """What one refund, in one currency, gives back of the line: the sum of its parts.

    ``certain`` means this line: allocated, said by a person, or following from the rules. ``possible`` may mean it, but
    nobody said so; ``last_candidate``: persons have spoken of every other line that it may mean. ``decided`` is what a
    person gave to this line (0: not this line), ``None`` while nobody spoke; where persons spoke of every line, what no
    line took is ``possible`` for the one that they spoke of last. In another currency than the order's both are net of
    captures of the same payment in that currency. ``overdrawn``: a payment that it is of gave back more than it
    brought. ``added_at`` is our clock when it last grew. The refunds of a line stand in the order of their topic.
    """

    refund_id: str
    currency: str
    certain: int
    possible: int
    decided: int | None
    last_candidate: bool
    overdrawn: bool
    added_at: datetime
    cause: Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignCapture:
    """Money captured in another currency than the order's; it pays for nothing.

    ``refunded`` is what of it went back under the same paymentId in that currency.
    """

    identity: str
    payment_id: str
    amount: int
    currency: str
    refunded: int
    cause: Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedMoney:
    """What closed refund cases of a line have counted of its money, whoever held it then.

    ``refunds`` holds (refundId, currency, amount in that currency); ``captured`` the money of the line, in the order's
    currency, that went back with them.
    """

    captured: int = 0
    refunds: tuple[tuple[str, str, int], ...] = ()

    def plus(self, captured: int, refunds: tuple[tuple[str, str, int], ...]) -> "CountedMoney":
        """Return it with what one more case counts."""
        return CountedMoney(captured=self.captured + captured, refunds=(*self.refunds, *refunds))

    def of(self, refund_id: str, currency: str) -> int:
        """Return what was counted of a refund."""
        return sum(amount for known, of, amount in self.refunds if (known, of) == (refund_id, currency))


@dataclass(frozen=True, slots=True, kw_only=True)
class LineStanding:
    """How one certificate line of an order stands after all that was said of the order.

    ``line_key`` numbers the lines of an order in the order in which they came; ``line_id`` is what the newest version
    that has the line calls it. ``revision`` is that of the order when the standing last changed.

    ``amount`` and ``nominal`` are as the newest version says, ``price`` is the amount less its share of a discount of
    the whole order; once the line was paid, that which was paid. ``listed_in`` is the first full version that lists the
    line again although it was cancelled or returned, 0 if none does. ``captured`` includes ``excess``, what was
    captured beyond the price.

    ``is_paid``: the captures, less all that certainly went back, pay the price by tenders that may, and ``paying`` are
    the payments that first did; the same ``by_any_tender``, where certificates may buy certificates. ``missing`` is
    what the price lacks, or where only the order as a whole lacks money, the order.
    ``other_lines_money``: the order has lines of other kinds, so that money in another currency may mean them.
    """

    order_id: str
    line_key: int
    line_id: str
    revision: int
    currency: str
    channel: str
    customer_id: str | None
    naming: Naming
    amount: int
    nominal: int | None
    price: int
    listed: bool
    listed_in: int
    withdrawal: LineWithdrawal | None
    captured: int
    excess: int
    is_paid: bool
    is_paid_by_any_tender: bool
    paying: tuple[str, ...]
    paying_by_any_tender: tuple[str, ...]
    missing: int
    captured_cause: Cause | None
    foreign_captures: tuple[ForeignCapture, ...]
    refunds: tuple[LineRefund, ...]
    other_lines_money: bool
    earlier_payments_unknown: bool
