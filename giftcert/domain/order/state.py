"""The state of an order: what all messages about it add up to. Changed only by ``apply``.

Amounts are minor units of the order's currency unless a field names another; times are aware UTC instants.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from giftcert.domain.cause import Cause
from giftcert.domain.order.messages import Allocation, RefundShareDecided
from giftcert.domain.order.standing import LineWithdrawal, Naming, Withdrawal
from giftcert.domain.policy import Policy

MOST_CERTIFICATE_LINES, MOST_PAYMENTS = 1_000, 5_000


# An order may have thousands of payments and is stored anew with each: rows without field names. New fields go last.
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
        """The record that told of it."""
        return Cause(self.topic, self.event_id, self.occurred_at, self.channel)


class RefundPart(NamedTuple):
    """Money given back of one payment; all parts under one ``refund_id`` and currency are one refund.

    ``captures_before``: how many captures the payments' topic told before it. ``applied_at`` is our clock.
    """

    payment_id: str
    refund_id: str
    amount: int
    currency: str
    allocations: tuple[Allocation, ...]
    captures_before: int
    applied_at: datetime
    cause: Cause


class Bearing(NamedTuple):
    """From this business time on the line bore the lineId."""

    line_id: str
    occurred_at: datetime
    line_key: int


class Absence(NamedTuple):
    """A line was removed and put back: between these instants of business time it was out of the order."""

    out_at: datetime
    back_at: datetime


class PaidPrice(NamedTuple):
    """A price at which the captures of the order first paid a line, and the money that did.

    ``captures`` is the shortest run of captures, in the order of their topic, that paid it; ``by_allocation``: those
    allocated to the line were enough. ``unallocated`` is the unallocated money of the run that the line keeps.
    ``any_tender``: only if certificates may buy certificates.
    """

    certificate_id: str
    price: int
    captures: int
    by_allocation: bool = True
    unallocated: int = 0
    any_tender: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLine:
    """A line that the order has or had. ``naming`` and what follows it stand on certificate lines alone.

    ``price`` is the amount less its share of a discount of the whole order. ``listed``: the newest full version lists
    it. ``stated_withdrawal``: how it had left when that came. ``listed_in``: the first full version that lists it again
    after it was cancelled or returned.
    ``certificates``: all that it ever named, newest last.
    """

    key: int
    line_id: str
    amount: int = 0
    price: int = 0
    listed: bool = True
    withdrawal: LineWithdrawal | None = None
    stated_withdrawal: LineWithdrawal | None = None
    absences: tuple[Absence, ...] = ()
    naming: Naming | None = None
    nominal: int | None = None
    listed_in: int = 0
    certificates: tuple[str, ...] = ()
    paid: tuple[PaidPrice, ...] = ()

    @property
    def is_final(self) -> bool:
        """Whether it was cancelled or returned, which is for good."""
        return self.withdrawal is not None and self.withdrawal.how is not Withdrawal.REMOVED

    @property
    def kept(self) -> int:
        """How much unallocated money that once paid it stays with it."""
        return max((paid.unallocated for paid in self.paid), default=0)

    @property
    def is_in_total(self) -> bool:
        """Whether the order's total asks for it: listed and not cancelled. What was returned had been paid."""
        cancelled = self.withdrawal is not None and self.withdrawal.how is Withdrawal.CANCELLED
        return self.listed and not cancelled

    def is_out_at(self, at: datetime) -> bool:
        """Return whether it was out of the order at an instant of business time, also if it was put back later."""
        if self.withdrawal is not None and self.withdrawal.cause.occurred_at <= at:
            return True
        return any(absence.out_at <= at < absence.back_at for absence in self.absences)


class SaidWithdrawal(NamedTuple):
    """A cancellation or return of lines by lineId, or where ``line_ids`` is ``None`` of the whole order."""

    line_ids: tuple[str, ...] | None
    withdrawal: LineWithdrawal


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order, whole. ``version`` is the newest seen, 0 while only payments are known.

    ``stated_version`` is the newest full one, ``withdrawals`` are what was told under it or since, by version.
    ``authorizations`` are those not given up: our clock by paymentId. ``contents`` has a digest of the content of each
    message by a digest of its identity.
    """

    order_id: str
    revision: int = 0
    version: int = 0
    stated_version: int = 0
    channel: str = ""
    customer_id: str | None = None
    currency: str | None = None
    total: int = 0
    lines: tuple[KnownLine, ...] = ()
    bearings: tuple[Bearing, ...] = ()
    withdrawals: tuple[SaidWithdrawal, ...] = ()
    captures: tuple[Capture, ...] = ()
    refunds: tuple[RefundPart, ...] = ()
    authorizations: Mapping[str, datetime] = field(default_factory=dict)
    voided_at: datetime | None = None
    shares: tuple[RefundShareDecided, ...] = ()
    payment_count: int = 0
    contents: Mapping[bytes, bytes] = field(default_factory=dict)
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
