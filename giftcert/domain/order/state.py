"""What all messages about an order add up to; changed only by ``apply``. Minor units, aware UTC instants."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from giftcert.domain.cause import Cause
from giftcert.domain.order.messages import Allocation, RefundShareDecided
from giftcert.domain.order.standing import LineWithdrawal, Naming, Withdrawal
from giftcert.domain.policy import Policy

MOST_CERTIFICATE_LINES, MOST_PAYMENTS = 1_000, 5_000


# Named tuples: an order may have thousands of payments and is stored anew with each. New fields go last.
class Capture(NamedTuple):
    """Money taken."""

    payment_id: str
    capture_id: str | None
    by_certificate: bool
    amount: int
    currency: str
    allocations: tuple[Allocation, ...]
    occurred_at: datetime
    topic: str
    event_id: str
    channel: str | None

    @property
    def cause(self) -> Cause:
        """The record that reported it."""
        return Cause(self.topic, self.event_id, self.occurred_at, self.channel)


class RefundPart(NamedTuple):
    """What one payment gave back; all parts under one ``refund_id`` and currency are one refund."""

    payment_id: str
    refund_id: str
    amount: int
    currency: str
    allocations: tuple[Allocation, ...]
    captures_before: int  # how many captures came on the payments topic before it
    applied_at: datetime  # our clock
    cause: Cause


class Bearing(NamedTuple):
    """From this business time on the line bore the lineId."""

    line_id: str
    occurred_at: datetime
    line_key: int


class Absence(NamedTuple):
    """A line was removed and put back: it was out of the order between these business times."""

    out_at: datetime
    back_at: datetime


class PaidPrice(NamedTuple):
    """A price at which the captures of the order first paid a line, and the money that did."""

    certificate_id: str
    price: int
    captures: int  # length of the shortest run of captures, in topic order, that paid it
    by_allocation: bool = True  # those allocated to the line were enough
    unallocated: int = 0  # what the line keeps of the run's unallocated money
    any_tender: bool = False  # only if certificates may buy certificates


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLine:
    """A line that the order has or had. ``naming`` and the fields after it are set on certificate lines alone."""

    key: int
    line_id: str
    amount: int = 0
    price: int = 0  # amount less its share of an order-wide discount
    listed: bool = True  # by the newest full version
    withdrawal: LineWithdrawal | None = None
    stated_withdrawal: LineWithdrawal | None = None  # how it had left when that version came
    absences: tuple[Absence, ...] = ()
    naming: Naming | None = None
    nominal: int | None = None
    listed_in: int = 0  # the first full version that lists it after a cancellation or return
    certificates: tuple[str, ...] = ()  # all that it ever named, newest last
    paid: tuple[PaidPrice, ...] = ()

    @property
    def is_final(self) -> bool:
        """Whether it was cancelled or returned, which is for good."""
        return self.withdrawal is not None and self.withdrawal.how is not Withdrawal.REMOVED

    @property
    def kept(self) -> int:
        """How much of the unallocated money that once paid it stays with it."""
        return max((paid.unallocated for paid in self.paid), default=0)

    @property
    def is_in_total(self) -> bool:
        """Whether the order's total asks for it: listed and not cancelled. What was returned had been paid."""
        cancelled = self.withdrawal is not None and self.withdrawal.how is Withdrawal.CANCELLED
        return self.listed and not cancelled

    def is_out_at(self, at: datetime) -> bool:
        """Return whether it was out of the order at a business time, even if it was put back later."""
        if self.withdrawal is not None and self.withdrawal.cause.occurred_at <= at:
            return True
        return any(absence.out_at <= at < absence.back_at for absence in self.absences)


class SaidWithdrawal(NamedTuple):
    """A cancellation or return of these lineIds; ``None``: of the whole order."""

    line_ids: tuple[str, ...] | None
    withdrawal: LineWithdrawal


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order, whole."""

    order_id: str
    revision: int = 0
    version: int = 0  # newest seen; 0 while only payments are known
    stated_version: int = 0  # newest full version
    channel: str = ""
    customer_id: str | None = None
    currency: str | None = None
    total: int = 0
    lines: tuple[KnownLine, ...] = ()
    bearings: tuple[Bearing, ...] = ()
    withdrawals: tuple[SaidWithdrawal, ...] = ()  # said in that version or later, sorted by version
    captures: tuple[Capture, ...] = ()
    refunds: tuple[RefundPart, ...] = ()
    authorizations: Mapping[str, datetime] = field(default_factory=dict)  # not voided: our clock by paymentId
    voided_at: datetime | None = None
    shares: tuple[RefundShareDecided, ...] = ()
    payment_count: int = 0
    contents: Mapping[bytes, bytes] = field(default_factory=dict)  # digest of content by digest of identity
    earlier_payments_unknown: bool = False

    @property
    def certificate_lines(self) -> int:
        """How many lines sell or sold a certificate."""
        return sum(line.naming is not None for line in self.lines)

    @property
    def size_exceeded(self) -> bool:
        """Whether it is too large to be decided on; payments beyond the bound are only counted."""
        return self.payment_count > MOST_PAYMENTS or self.certificate_lines > MOST_CERTIFICATE_LINES

    def unpaid_until(self, policy: Policy) -> datetime | None:
        """Return until when authorisations not voided, and the last void, keep the order from being unpaid."""
        granted = [at + policy.unpaid_after_authorization for at in self.authorizations.values()]
        if self.voided_at is not None:
            granted.append(self.voided_at + policy.unpaid_after_void)
        return max(granted, default=None)
