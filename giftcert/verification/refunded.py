"""Invariant 4: what was refunded was captured, per payment and line, or a refund case says that it was not."""

from collections.abc import Iterator

from giftcert.domain import line_money, orders, refund_lines
from giftcert.domain.refund_lines import RefundShares
from giftcert.domain.state import CertificateState, OrderFacts, RefundCase, Sale
from giftcert.verification.violations import Violation


def refunded_too_much(state: CertificateState) -> Iterator[Violation]:
    """Yield the lines of a certificate's sales that got more money back than came, and of which no case speaks."""
    sales = (*state.past_sales, state.sale) if state.sale else state.past_sales
    for sale in sales:
        if not _is_elsewhere(state, sale) and not any(case.is_open for case in sale.cases):
            yield from _of_line(state, sale)


def _is_elsewhere(state: CertificateState, sale: Sale) -> bool:
    """Whether the line names another certificate now: its money went there with it."""
    return orders.is_replaced(state.order(sale.order_id), sale.line_id)


def _of_line(state: CertificateState, sale: Sale) -> Iterator[Violation]:
    facts = state.order(sale.order_id)
    shares = refund_lines.refund_shares(facts)
    refunded, captured = shares.of(sale.line_id), _captured(facts, sale)
    if any(case.pending_since is not None for case in sale.cases):  # a person may have let more pass
        captured = max(captured, sum(map(_seen, sale.cases)))
    if refunded > captured:
        seen = f"{refunded} refunded, and no refund case about it"
        yield _violation(state, sale, "refundedUncaptured", f"at most {captured} as captured", seen)
    elif not any(case.pending_since is not None for case in sale.cases):
        yield from _of_payments(state, sale, facts, shares)


def _seen(case: RefundCase) -> int:
    """The money that a person saw; an amount in another currency is none of the line's."""
    return case.counted if case.foreign_currency else max(case.counted, case.amount)


def _captured(facts: OrderFacts, sale: Sale) -> int:
    """An issued certificate was paid: a later version of the order takes nothing of that away."""
    captured = line_money.captured_for_line(facts, sale.line_id)
    return captured if sale.issued_at is None else max(captured, sale.amount)


def _of_payments(
    state: CertificateState, sale: Sale, facts: OrderFacts, shares: RefundShares
) -> Iterator[Violation]:
    """A refund names its payment: that payment alone must have brought as much."""
    paid_by = {one.refund_id: one.payment_id for one in line_money.refunds(facts)}
    returned: dict[str, int] = {}
    for share in shares.shares:
        if share.line_id == sale.line_id and share.refund_id in paid_by:
            payment = paid_by[share.refund_id]
            returned[payment] = returned.get(payment, 0) + share.amount
    for payment, amount in returned.items():
        captured = sum(one.amount for one in line_money.captures(facts) if one.payment_id == payment)
        if amount > captured:
            seen = f"{amount} refunded of payment {payment}, and no refund case about it"
            yield _violation(
                state, sale, "refundedOfOther", f"at most {captured} as captured by it", seen, payment
            )


def _violation(
    state: CertificateState, sale: Sale, rule: str, expected: str, seen: str, payment: str = ""
) -> Violation:
    return Violation(
        invariant=4,
        rule=rule,
        kind="certificate",
        subject=state.certificate_id,
        about=f"{sale.order_id} {sale.line_id} {payment}".rstrip(),
        expected=f"order {sale.order_id}, line {sale.line_id}: {expected}",
        seen=seen,
    )
