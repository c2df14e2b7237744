"""A sale: an order line takes the certificate, its terms change, it is paid and issued, or unpaid and let go.

"Sale" in the lifecycle; ``settlement`` says when each of these rules is asked.
"""

from dataclasses import replace
from datetime import datetime

from giftcert.domain.cause import Cause
from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.decision import Decision
from giftcert.domain.certificate.lines import (
    find_past_sale,
    find_refusal,
    terms_version,
    with_alerted_money,
    with_refusal,
)
from giftcert.domain.certificate.notification import announce
from giftcert.domain.certificate.sale_money import SaleMoney
from giftcert.domain.certificate.state import FOR_SALE, Line, Refusal, Reservation, Sale, Status
from giftcert.domain.certificate.validity import valid_until
from giftcert.domain.certificate.words import ConflictReason, LateMoneyReason, ReleaseReason, UnpaidReason
from giftcert.domain.order.standing import LineStanding
from giftcert.domain.policy import Policy


def take(decision: Decision, line: Line) -> None:
    """Take a free line that names the certificate, or refuse it and say why."""
    _open_sale(decision, line, _conflict(decision, line), line.standing.naming.terms.cause)


def reclaim(decision: Decision, line: Line) -> None:
    """Take the certificate back, still free, for a released sale whose money came late."""
    _open_sale(decision, line, _out_of_bounds(decision, line.standing), line.standing.captured_cause)


def _conflict(decision: Decision, line: Line) -> ConflictReason | None:
    state = decision.state
    if state.status not in FOR_SALE:
        return ConflictReason.HELD_BY_ANOTHER_ORDER if state.sale else ConflictReason.NOT_FOR_SALE
    if state.blocked:
        return ConflictReason.BLOCKED
    return _out_of_bounds(decision, line.standing) or _reserved_otherwise(decision, line.standing)


def _out_of_bounds(decision: Decision, standing: LineStanding) -> ConflictReason | None:
    product = decision.product
    if standing.currency != product.currency:
        return ConflictReason.CURRENCY_MISMATCH
    if not product.allows_nominal(standing.nominal):
        return ConflictReason.NOMINAL_OUT_OF_BOUNDS
    if not product.allows_price(standing.price, _nominal_of(decision, standing)):
        return ConflictReason.AMOUNT_OUT_OF_BOUNDS
    return None


def _nominal_of(decision: Decision, standing: LineStanding) -> int:
    return decision.product.nominal or standing.nominal or decision.state.nominal


def _reserved_otherwise(decision: Decision, standing: LineStanding) -> ConflictReason | None:
    """The line gives the live or last reservation; without one, its channel must have reserved before."""
    reservation = decision.state.reservation
    if reservation is None:
        return ConflictReason.NOT_RESERVED
    given = (standing.naming.began.reservation_id, standing.naming.terms.reservation_id)
    if any(_matches(one, standing, reservation, decision.policy) for one in given):
        return None
    reserved = decision.state.status == Status.RESERVED
    return ConflictReason.RESERVED_BY_ANOTHER if reserved else ConflictReason.NOT_RESERVED


def _matches(given: str | None, standing: LineStanding, reservation: Reservation, policy: Policy) -> bool:
    if given is not None:
        return given == reservation.reservation_id
    if standing.channel != reservation.channel or reservation.reserved_at is None:
        return False
    return standing.naming.began.cause.occurred_at >= reservation.reserved_at - policy.clock_skew


def _open_sale(decision: Decision, line: Line, conflict: ConflictReason | None, cause: Cause | None) -> None:
    if conflict is not None:
        refuse(decision, line, conflict)
        return
    standing = line.standing
    unpaid_until = _terms_applied_at(decision, line) + decision.policy.unpaid_after_order
    decision.record(
        e.Ordered(
            order_id=standing.order_id,
            line_id=standing.line_id,
            line_key=standing.line_key,
            amount=standing.price,
            reclaimed=decision.state.status == Status.AVAILABLE,
            replaces=standing.naming.replaces,
        ),
        cause=cause,
    )
    decision.change_sale(
        lambda sale: replace(
            sale,
            channel=standing.channel,
            customer_id=standing.customer_id,
            listed_amount=standing.amount,
            nominal=_nominal_of(decision, standing),
            unpaid_until=unpaid_until,
        )
    )


def _terms_applied_at(decision: Decision, line: Line) -> datetime:
    """When the version was applied that began to name the certificate, or changed the line after a release."""
    naming, past = line.standing.naming, find_past_sale(decision.state, line.ref)
    if past is not None and terms_version(line.standing) > past.released_terms:
        return max(naming.began.applied_at, naming.terms.applied_at)
    return naming.began.applied_at


def follow(decision: Decision, sale: Sale, standing: LineStanding) -> None:
    """Take over a lineId or customer that Orders changed; nothing is published."""
    if (sale.line_id, sale.customer_id) != (standing.line_id, standing.customer_id):
        decision.change_sale(
            lambda known: replace(known, line_id=standing.line_id, customer_id=standing.customer_id)
        )


def reprice(decision: Decision, sale: Sale, line: Line) -> None:
    """Before issue the sale follows the line's terms within the product's bounds."""
    standing = line.standing
    nominal = _nominal_of(decision, standing)
    terms = (standing.price, standing.amount, nominal, standing.currency)
    if terms == (sale.amount, sale.listed_amount, sale.nominal, decision.product.currency):
        return
    reason = _out_of_bounds(decision, standing)
    if reason is not None:
        refuse(decision, line, reason)
        return
    decision.change_sale(
        lambda known: replace(known, amount=standing.price, listed_amount=standing.amount, nominal=nominal)
    )


def hold_to_terms(decision: Decision, sale: Sale, line: Line) -> None:
    """Once issued, amount and nominal cannot change."""
    standing = line.standing
    if (standing.amount, _nominal_of(decision, standing)) != (sale.listed_amount, sale.nominal):
        refuse(decision, line, ConflictReason.ALREADY_ISSUED)


_DETAILS = {
    ConflictReason.ALREADY_ISSUED: "amount and nominal cannot change once the certificate is issued",
    ConflictReason.LINE_ALREADY_ISSUED: "the line's certificate has been issued; return the line and order anew",
    ConflictReason.LINE_WITHDRAWN: "the line was cancelled or returned, which is for good",
    ConflictReason.HELD_BY_ANOTHER_ORDER: "another order has the certificate",
    ConflictReason.NOT_FOR_SALE: "the certificate was withdrawn from sale",
    ConflictReason.BLOCKED: "the certificate is blocked",
    ConflictReason.NOT_RESERVED: "the certificate's last reservation is not the order's",
    ConflictReason.RESERVED_BY_ANOTHER: "the certificate is under another reservation",
    ConflictReason.CURRENCY_MISMATCH: "the product is sold in another currency",
    ConflictReason.NOMINAL_OUT_OF_BOUNDS: "the nominal is not one of the product's",
    ConflictReason.AMOUNT_OUT_OF_BOUNDS: "the price is not within the product's greatest discount of the nominal",
}


def refuse(decision: Decision, line: Line, reason: ConflictReason) -> None:
    """Say once why a line cannot have the certificate as it wants it; a newer version of the line asks again."""
    if refusal_stands(decision, line):
        return
    standing = line.standing
    decision.record(
        e.OrderConflicted(
            order_id=standing.order_id, line_id=standing.line_id, reason=reason, detail=_DETAILS[reason]
        ),
        cause=standing.naming.terms.cause,
    )
    remember_refusal(decision, line, reason)


def remember_refusal(decision: Decision, line: Line, reason: ConflictReason) -> None:
    """Remember that the line cannot have the certificate, so that it and its money are published once."""
    known = Refusal(
        order_id=line.ref.order_id,
        line_key=line.ref.line_key,
        reason=reason,
        terms_version=terms_version(line.standing),
    )
    decision.change(with_refusal(decision.state, known))


def refusal_stands(decision: Decision, line: Line) -> bool:
    """Return whether the line was refused and no newer version has changed it since."""
    refusal = find_refusal(decision.state, line.ref)
    return refusal is not None and refusal.terms_version >= terms_version(line.standing)


def is_paid(decision: Decision, money: SaleMoney) -> bool:
    """Return whether the line is paid at the sale's own price, by tenders that may buy a certificate."""
    standing, any_tender = money.line.standing, decision.policy.certificates_buy_certificates
    paid = standing.is_paid_by_any_tender if any_tender else standing.is_paid
    return paid and money.owed >= money.price and standing.currency == decision.product.currency


def issue(decision: Decision, sale: Sale, standing: LineStanding) -> None:
    """The line is paid: the certificate is the buyer's, and CRM shall write."""
    any_tender = decision.policy.certificates_buy_certificates
    cause = standing.captured_cause if sale.amount else standing.naming.terms.cause
    decision.record(
        e.Issued(
            order_id=sale.order_id,
            line_id=standing.line_id,
            amount=sale.amount,
            payment_ids=standing.paying_by_any_tender if any_tender else standing.paying,
            valid_until=valid_until(decision),
        ),
        cause=cause,
    )
    announce(decision, cause)


def unpaid_at(sale: Sale, line: Line | None, policy: Policy) -> datetime | None:
    """Return when an unpaid line is next acted upon: by order, authorisations and voids; after an alert ever later."""
    granted = [sale.unpaid_until, line.unpaid_until if line else None]
    if sale.unpaid_alerted_at is not None:
        granted.append(sale.unpaid_alerted_at + policy.escalation(sale.unpaid_alerts))
    return max((at for at in granted if at is not None), default=None)


def unpaid_deadline_passed(decision: Decision) -> None:
    """Not paid in time: nothing captured, back to the pool; part captured, say so, ever less often."""
    sale = decision.state.sale
    line = decision.state.line(sale.ref) if sale else None
    if sale is None or line is None:
        return
    captured = max(0, line.standing.captured - line.counted.captured)
    decision.record(_unpaid_alert(decision, sale, line.standing, captured))
    if captured == 0:
        release(decision, sale, ReleaseReason.UNPAID, None)


def _unpaid_alert(decision: Decision, sale: Sale, standing: LineStanding, captured: int) -> e.UnpaidAlerted:
    reason = UnpaidReason.NOTHING_CAPTURED
    if captured:
        by_certificates = standing.is_paid_by_any_tender and not standing.is_paid
        reason = UnpaidReason.TENDER_NOT_ALLOWED if by_certificates else UnpaidReason.PARTLY_CAPTURED
    elif standing.earlier_payments_unknown:
        reason = UnpaidReason.EARLIER_PAYMENTS_UNKNOWN
    return e.UnpaidAlerted(
        order_id=sale.order_id,
        line_id=standing.line_id,
        amount=sale.amount,
        captured=captured,
        missing=standing.missing if standing.price == sale.amount else max(0, sale.amount - captured),
        reason=reason,
        attempt=sale.unpaid_alerts + 1,
        web_url=decision.terms.web_url,
    )


def release(decision: Decision, sale: Sale, reason: ReleaseReason, cause: Cause | None) -> None:
    """End the sale before issue: the certificate is back in the pool."""
    reservation = decision.state.reservation
    decision.record(
        e.Released(
            reservation_id=reservation.reservation_id if reservation else None,
            order_id=sale.order_id,
            reason=reason,
        ),
        cause=cause,
    )


def let_go(decision: Decision, money: SaleMoney) -> None:
    """The line names another certificate, and its money goes with it; if that one is unknown, a person is alerted."""
    release(decision, money.sale, ReleaseReason.LINE_REMOVED, money.line.standing.naming.began.cause)
    if not money.line.names_ours and money.owed > 0:
        report_late_money(decision, money.line, money.owed, LateMoneyReason.UNKNOWN_CERTIFICATE)


def report_late_money(
    decision: Decision, line: Line, amount: int, reason: LateMoneyReason | ConflictReason
) -> None:
    """Money came for a line that has no certificate: the channel has to repair it."""
    standing = line.standing
    foreign = standing.currency != decision.product.currency
    decision.record(
        e.PaymentWithoutCertificateAlerted(
            order_id=standing.order_id,
            line_id=standing.line_id,
            amount=amount,
            reason=reason,
            web_url=decision.terms.web_url,
            foreign_currency=standing.currency if foreign else None,
        ),
        cause=standing.captured_cause,
    )
    decision.change(with_alerted_money(decision.state, standing))


def report_foreign_captures(decision: Decision, line: Line) -> None:
    """Money in another currency pays for nothing: say so once a capture, unless it went back."""
    standing = line.standing
    new = [
        one
        for one in standing.foreign_captures
        if one.identity not in line.reported and one.amount > one.refunded
    ]
    for capture in new:
        decision.record(
            e.PaymentWithoutCertificateAlerted(
                order_id=standing.order_id,
                line_id=standing.line_id,
                amount=capture.amount - capture.refunded,
                reason=LateMoneyReason.CURRENCY_MISMATCH,
                web_url=decision.terms.web_url,
                payment_id=capture.payment_id,
                foreign_currency=capture.currency,
            ),
            cause=capture.cause,
        )
    if new:
        reported = (*line.reported, *(one.identity for one in new))
        decision.change_line(line.ref, lambda one: replace(one, reported=reported))
