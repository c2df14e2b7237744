"""What the payments of an order mean for one of its lines: captured, paid, until when it may stay unpaid.

Pure functions over ``OrderFacts``, computed anew from all that is known. Amounts are minor units of its currency.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from giftcert.domain.messages import Line
from giftcert.domain.orders import all_lines, find_line, withdrawal_of
from giftcert.domain.policy import Policy
from giftcert.domain.state import OrderFacts, Payment, PaymentKind, Sale, Withdrawal

CERTIFICATE_TENDER = "giftCertificate"


def captures(facts: OrderFacts) -> tuple[Payment, ...]:
    """Return the captures of the order, in the order of their topic."""
    return tuple(payment for payment in facts.payments if payment.kind == PaymentKind.CAPTURED)


def refunds(facts: OrderFacts) -> tuple[Payment, ...]:
    """Return the refunds of the order, in the order of their topic."""
    return tuple(payment for payment in facts.payments if payment.kind == PaymentKind.REFUNDED)


def in_order_currency(facts: OrderFacts, payments: tuple[Payment, ...]) -> tuple[Payment, ...]:
    """Return the payments in the order's currency; until the order is known, all."""
    return tuple(one for one in payments if facts.currency is None or one.currency == facts.currency)


def captured_sum(facts: OrderFacts) -> int:
    """Return the sum of captures in the order's currency, refunds not deducted."""
    return sum(payment.amount for payment in in_order_currency(facts, captures(facts)))


def refunded_sum(facts: OrderFacts) -> int:
    """Return the sum of refunds in the order's currency."""
    return sum(payment.amount for payment in in_order_currency(facts, refunds(facts)))


def allocated_sum(payments: tuple[Payment, ...], *line_ids: str) -> int:
    """Return how much of the payments is allocated to these lines."""
    return sum(part.amount for one in payments for part in one.allocations if part.line_id in line_ids)


def unallocated(payment: Payment) -> int:
    """Return how much of a payment is allocated to no line."""
    return max(0, payment.amount - sum(part.amount for part in payment.allocations))


def overdrawn(payments: tuple[Payment, ...], payment_id: str) -> bool:
    """Return whether a payment gave back more than it brought."""
    own = tuple(one for one in payments if one.payment_id == payment_id)
    brought = sum(one.amount for one in own if one.kind == PaymentKind.CAPTURED)
    return sum(one.amount for one in own if one.kind == PaymentKind.REFUNDED) > brought


# The order's total --------------------------------------------------------------------------------


def gone_lines(facts: OrderFacts) -> tuple[str, ...]:
    """Return the lines that the order's total no longer asks for: cancelled, or in its last version no more."""
    there = {line.line_id for line in facts.lines}
    return tuple(
        one.line.line_id
        for one in facts.withdrawn
        if one.how == Withdrawal.CANCELLED or one.line.line_id not in there
    )


def effective_total(facts: OrderFacts) -> int:
    """Return what the order costs without the lines that were cancelled since its last full version."""
    gone = gone_lines(facts)
    return facts.total - sum(line.amount for line in facts.lines if line.line_id in gone)


def _for_live_lines(facts: OrderFacts, counted: tuple[Payment, ...]) -> int:
    """The money of captures that may pay for what is in the order now."""
    gone = gone_lines(facts)
    return _for_lines(counted, {line.line_id for line in facts.lines if line.line_id not in gone})


def _for_lines(counted: tuple[Payment, ...], line_ids: Collection[str]) -> int:
    """The money of captures that may pay for these lines: what another line was given is its own."""
    elsewhere = (part for one in counted for part in one.allocations if part.line_id not in line_ids)
    return sum(payment.amount for payment in counted) - sum(part.amount for part in elsewhere)


def _is_in_reached_total(facts: OrderFacts, line: Line, counted: tuple[Payment, ...], returned: int) -> bool:
    """Whether the captures reach a total that this line is part of; nothing is said of a line left out of it."""
    if line not in facts.lines:
        return False
    if withdrawal_of(facts, line.line_id) == Withdrawal.CANCELLED:
        return _for_lines(counted, {one.line_id for one in facts.lines}) - returned >= facts.total > 0
    return _for_live_lines(facts, counted) - returned >= effective_total(facts) > 0


# Captured -----------------------------------------------------------------------------------------


def captured_for_line(facts: OrderFacts, line_id: str, returned: int = 0) -> int:
    """Return the money captured for a line: its allocations, or its amount once the order's sum reaches its total.

    Under the total, unallocated money goes to goods first; what they cannot have taken is counted for the
    certificate lines, so that no captured money of a certificate-only order goes unaccounted for.

    Args:
        facts: all that is known of the order.
        line_id: the line.
        returned: money of the line that went back and was counted; what is left, or came again, is returned.
    """
    line = find_line(facts, line_id)
    if line is None:
        return 0
    counted = in_order_currency(facts, captures(facts))
    allocated = allocated_sum(counted, line_id)
    own = max(0, allocated - returned)
    if _is_in_reached_total(facts, line, counted, returned):
        return max(own, line.amount)
    return own + _spill(facts, counted, line, returned)


def _spill(facts: OrderFacts, counted: tuple[Payment, ...], line: Line, returned: int) -> int:
    """Unallocated money beyond what the lines before this one lack."""
    own = allocated_sum(counted, line.line_id)
    left = sum(unallocated(payment) for payment in counted) - max(0, returned - own)
    for one in takewhile(lambda one: one != line, _by_claim(facts, line, last=returned > 0)):
        left -= max(0, one.amount - allocated_sum(counted, one.line_id))
    return min(max(0, left), max(0, line.amount - max(0, own - returned)))


def _by_claim(facts: OrderFacts, line: Line, *, last: bool) -> list[Line]:
    """Who takes unallocated money first: lines still in the order, goods, then by lineId.

    A line whose money went back before comes last: what others may need is not its own again.
    """
    gone = gone_lines(facts)
    return sorted(
        all_lines(facts),
        key=lambda one: (last and one == line, one.line_id in gone, one.is_certificate, one.line_id),
    )


# Paid ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PaymentTest:
    """How a line is judged as paid.

    ``amount`` is the price that the sale stands by, whatever a refused version of the order says; ``returned`` is
    money of the line that went back and was counted, ``returned_elsewhere`` that of lines no longer in the order.
    """

    line_id: str
    amount: int
    any_tender: bool = False
    returned: int = 0
    returned_elsewhere: int = 0


def is_paid(facts: OrderFacts, test: PaymentTest) -> bool:
    """Return whether captures pay for a line ("Paid" in the lifecycle); amount 0 is paid when ordered."""
    return _is_paid_by(facts, test, captures(facts))


def _is_paid_by(facts: OrderFacts, test: PaymentTest, told: tuple[Payment, ...]) -> bool:
    if test.amount == 0:
        return True
    counted = in_order_currency(facts, told)
    allowed = counted if test.any_tender else _without_certificates(counted)
    if allocated_sum(allowed, test.line_id) - test.returned >= test.amount:
        return True
    if sum(payment.amount for payment in counted) - refunded_sum(facts) < test.amount:
        return False  # whatever it was for, what is left does not pay for this line
    returned = test.returned + test.returned_elsewhere
    total_reached = _for_live_lines(facts, counted) - returned >= effective_total(facts)
    return total_reached and _for_live_lines(facts, allowed) - returned >= _certificates_cost(facts, test)


def _without_certificates(payments: tuple[Payment, ...]) -> tuple[Payment, ...]:
    return tuple(one for one in payments if one.tender != CERTIFICATE_TENDER)


def _certificates_cost(facts: OrderFacts, test: PaymentTest) -> int:
    """What the certificate lines still in the order cost together."""
    live = (one for one in facts.lines if one.is_certificate and withdrawal_of(facts, one.line_id) is None)
    return test.amount + sum(line.amount for line in live if line.line_id != test.line_id)


def paying_ids(facts: OrderFacts, test: PaymentTest) -> tuple[str, ...]:
    """Return the payments that pay for the line: the shortest run of captures, as told, that does.

    Captures told later do not count, so that the answer does not depend on how topics interleave.
    """
    told = captures(facts)
    runs = (told[:count] for count in range(len(told) + 1))
    paying = next((run for run in runs if _is_paid_by(facts, test, run)), told)
    return tuple(dict.fromkeys(payment.payment_id for payment in paying))


# Unpaid -------------------------------------------------------------------------------------------


def unpaid_at(facts: OrderFacts, sale: Sale, policy: Policy) -> datetime | None:
    """Return when an unpaid order is next acted upon: the latest of what order, authorisations and voids granted.

    After an alert the next is due ever later.
    """
    granted = [sale.unpaid_until] if sale.unpaid_until is not None else []
    granted += [
        payment.extends_until
        for place, payment in enumerate(facts.payments)
        if payment.extends_until is not None and not _is_voided_later(facts, place)
    ]
    if sale.unpaid_alerted_at is not None:
        granted.append(sale.unpaid_alerted_at + policy.escalation(sale.unpaid_alerts))
    return max(granted, default=None)


def _is_voided_later(facts: OrderFacts, place: int) -> bool:
    """Whether an authorisation was given up since; one made anew under the same payment counts again."""
    payment = facts.payments[place]
    return payment.kind == PaymentKind.AUTHORIZED and any(
        later.kind == PaymentKind.VOIDED and later.payment_id == payment.payment_id
        for later in facts.payments[place + 1 :]
    )
