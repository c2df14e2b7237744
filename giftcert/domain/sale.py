"""Rules of a sale: an order names the certificate, money comes, the certificate is issued or goes back."""

from collections.abc import Callable

from giftcert.domain import clients, line_money, orders, refunds
from giftcert.domain import events as e
from giftcert.domain.decision import Decision
from giftcert.domain.messages import (
    ClientUpdated,
    LineHolder,
    OrderMessage,
    OrderStated,
    OwnLine,
    PaymentAuthorized,
    PaymentMessage,
    PaymentVoided,
    UnpaidDeadlinePassed,
)
from giftcert.domain.state import OrderFacts, Reservation, Sale, Status

MOST_ROUNDS = 8
"""How often all is judged at one message; a few rounds settle it, and none may keep a worker for ever."""

# Messages -----------------------------------------------------------------------------------------


def order_recorded(decision: Decision, message: OrderMessage) -> None:
    """A message about an order: remember it, place the certificate on the line that names it, judge all again."""
    before = decision.state.order(message.order_id)
    if orders.record_order(before, message) == before:
        return
    decision.record(e.OrderRecorded(message))
    if isinstance(message, OrderStated) and message.own is not None:
        _named(decision, message, message.own)
    settle(decision)


def payment_recorded(decision: Decision, message: PaymentMessage) -> None:
    """A payment of an order: remember it, whatever the order's state, and judge again."""
    before = decision.state.order(message.order_id)
    extends_until = None
    if isinstance(message, PaymentAuthorized):
        extends_until = decision.now + decision.policy.unpaid_after_authorization
    elif isinstance(message, PaymentVoided):
        extends_until = decision.now + decision.policy.unpaid_after_void
    if orders.record_payment(before, message, extends_until) == before:
        return
    decision.record(e.PaymentRecorded(message, extends_until))
    settle(decision)


def client_updated(decision: Decision, message: ClientUpdated) -> None:
    """CRM says how the buyer wants to be written to; an older word than the last changes nothing."""
    known = decision.state.clients
    if clients.record_client(known, message) != known:
        decision.record(e.ClientRecorded(message))


def unpaid_deadline_passed(decision: Decision, _: UnpaidDeadlinePassed) -> None:
    """Not paid in time: nothing captured, back to the pool; part captured, say so, ever less often."""
    sale = decision.state.sale
    if sale is None or sale.open_case is not None:
        return
    facts = decision.state.order(sale.order_id)
    due = line_money.unpaid_at(facts, sale, decision.policy)
    if due is None or decision.now < due:
        return
    captured = line_money.captured_sum(facts) - line_money.refunded_sum(facts)
    decision.record(_unpaid_alert(decision, sale, facts, max(0, captured)))
    if captured <= 0:
        _release(decision, sale, e.ReleaseReason.UNPAID)
        settle(decision)


def _unpaid_alert(decision: Decision, sale: Sale, facts: OrderFacts, captured: int) -> e.UnpaidAlerted:
    reason = "nothingCaptured"
    if captured:
        any_tender = refunds.payment_test(facts, sale, any_tender=True)
        reason = "tenderNotAllowed" if line_money.is_paid(facts, any_tender) else "partlyCaptured"
    elif facts.earlier_payments_unknown:
        reason = "earlierPaymentsUnknown"
    return e.UnpaidAlerted(
        order_id=sale.order_id,
        line_id=sale.line_id,
        amount=sale.amount,
        captured=captured,
        missing=max(0, line_money.effective_total(facts) - captured),
        reason=reason,
        attempt=sale.unpaid_alerts + 1,
        web_url=decision.terms.web_url,
    )


# An order names the certificate -------------------------------------------------------------------


def _named(decision: Decision, message: OrderStated, own: OwnLine) -> None:
    sale = decision.state.sale
    if sale is not None and sale.order_id == message.order_id:
        _named_again(decision, sale, message, own)
        return
    refusal = _refusal(decision, message, own)
    if refusal is None:
        _open_sale(decision, message, own)
    elif message.line_holder == LineHolder.ISSUED:  # the line's money paid for that one
        _conflict(decision, message, own, refusal)
    else:
        _refuse(decision, message, own, refusal)


def _refusal(decision: Decision, message: OrderStated, own: OwnLine) -> tuple[str, str] | None:
    """Return why the line cannot have this certificate, as (reason, detail); ``None`` if it can."""
    state = decision.state
    if state.status not in {Status.AVAILABLE, Status.RESERVED}:
        reason = "heldByAnotherOrder" if state.sale else "notForSale"
        return reason, f"the certificate is {state.shown_status}"
    if state.blocked:
        return "blocked", "the certificate is blocked"
    if orders.withdrawal_of(state.order(message.order_id), own.line_id) is not None:
        return "lineWithdrawn", "the line was cancelled or returned before"
    checks: tuple[Callable[[], tuple[str, str] | None], ...] = (
        lambda: _out_of_bounds(decision, message, own),
        lambda: _reserved_otherwise(decision, message, own),
    )
    found = next((why for check in checks if (why := check()) is not None), None)
    if found is None and message.line_holder == LineHolder.ISSUED:
        return "lineAlreadyIssued", "the line's certificate has been issued; return the line and order anew"
    return found


def _out_of_bounds(decision: Decision, message: OrderStated, own: OwnLine) -> tuple[str, str] | None:
    product = decision.product
    if message.currency != product.currency:
        return "currencyMismatch", f"the product is sold in {product.currency}"
    if not product.allows_nominal(own.nominal):
        return "nominalOutOfBounds", "the nominal is not one of the product's"
    if not product.allows_price(own.amount, _nominal_of(decision, own)):
        return "amountOutOfBounds", "the price is not within the product's greatest discount of the nominal"
    return None


def _nominal_of(decision: Decision, own: OwnLine) -> int:
    return decision.product.nominal or own.nominal or decision.state.nominal


def _reserved_otherwise(decision: Decision, message: OrderStated, own: OwnLine) -> tuple[str, str] | None:
    """The line's reservation, live or last, or none given and the channel's own; lifecycle, "Sale"."""
    reservation = decision.state.reservation
    if reservation is None:
        return "notReserved", "the certificate was never reserved"
    if _matches(decision, message, own, reservation):
        return None
    if decision.state.status == Status.RESERVED:
        return "reservedByAnother", "the certificate is under another reservation"
    return "notReserved", "the certificate's last reservation is not the order's"


def _matches(decision: Decision, message: OrderStated, own: OwnLine, reservation: Reservation) -> bool:
    if own.reservation_id is not None:
        return own.reservation_id == reservation.reservation_id
    if message.channel != reservation.channel or reservation.reserved_at is None:
        return False
    return message.occurred_at >= reservation.reserved_at - decision.policy.clock_skew


def _open_sale(decision: Decision, message: OrderStated, own: OwnLine) -> None:
    now = decision.now
    decision.record(
        e.Ordered(
            order_id=message.order_id,
            line_id=own.line_id,
            amount=own.amount,
            reclaimed=decision.state.status == Status.AVAILABLE,
            replaces=own.replaces,
        ),
        e.SaleOpened(
            channel=message.channel,
            customer_id=message.customer_id,
            nominal=_nominal_of(decision, own),
            opened_at=now,
            unpaid_until=now + decision.policy.unpaid_after_order,
        ),
    )


def _named_again(decision: Decision, sale: Sale, message: OrderStated, own: OwnLine) -> None:
    nominal = _nominal_of(decision, own)
    if own.line_id != sale.line_id:
        _refuse(decision, message, own, ("otherLine", "the certificate stands on another line of the order"))
        return
    if own.amount == sale.amount and nominal == sale.nominal:
        return
    if decision.state.status != Status.ORDERED:
        reason = ("alreadyIssued", "amount and nominal cannot change once the certificate is issued")
        _conflict(decision, message, own, reason)
        return
    refusal = _out_of_bounds(decision, message, own)
    if refusal is not None:
        _conflict(decision, message, own, refusal)
        return
    decision.record(e.SaleRepriced(amount=own.amount, nominal=nominal))


def _conflict(decision: Decision, message: OrderStated, own: OwnLine, refusal: tuple[str, str]) -> None:
    reason, detail = refusal
    decision.record(
        e.OrderConflicted(order_id=message.order_id, line_id=own.line_id, reason=reason, detail=detail)
    )


def _refuse(decision: Decision, message: OrderStated, own: OwnLine, refusal: tuple[str, str]) -> None:
    _conflict(decision, message, own, refusal)
    decision.record(e.LineRefused(order_id=message.order_id, line_id=own.line_id, reason=refusal[0]))


# Judging ------------------------------------------------------------------------------------------


def settle(decision: Decision) -> None:
    """Apply what now follows from all that is known, until nothing more does."""
    rounds = 1
    while _settle_once(decision) and rounds < MOST_ROUNDS:
        rounds += 1


def _settle_once(decision: Decision) -> bool:
    """Judge current sale, past sales and refused lines once; return whether anything followed."""
    before = len(decision.events)
    _settle_sale(decision)
    for past in decision.state.past_sales:
        _settle_past(decision, past)
    _settle_refusals(decision)
    return len(decision.events) > before


def _settle_sale(decision: Decision) -> None:
    sale = decision.state.sale
    if sale is None:
        return
    facts = decision.state.order(sale.order_id)
    if decision.state.status == Status.ORDERED:
        _settle_ordered(decision, sale, facts)
    else:
        refunds.judge_issued(decision, sale, refunds.standing(facts, sale))


def _settle_ordered(decision: Decision, sale: Sale, facts: OrderFacts) -> None:
    if _has_gone_to_another(facts, sale):
        refunds.close_open_case(decision, sale)
        _release(decision, sale, e.ReleaseReason.LINE_REMOVED)
        return
    standing = refunds.standing(facts, sale)
    if standing.is_touched:
        reason = refunds.judge_unissued(decision, sale, standing)
        if reason is not None:
            _release(decision, sale, reason)
        return
    test = refunds.payment_test(facts, sale, any_tender=decision.policy.certificates_buy_certificates)
    if line_money.is_paid(facts, test):
        _issue(decision, sale, facts, test)


def _has_gone_to_another(facts: OrderFacts, sale: Sale) -> bool:
    """Whether the line lives on with another certificate, and its money with it."""
    return orders.is_replaced(facts, sale.line_id) and orders.withdrawal_of(facts, sale.line_id) is None


def _issue(decision: Decision, sale: Sale, facts: OrderFacts, test: line_money.PaymentTest) -> None:
    decision.record(
        e.Issued(
            order_id=sale.order_id,
            line_id=sale.line_id,
            amount=sale.amount,
            payment_ids=line_money.paying_ids(facts, test),
            valid_until=decision.now + decision.product.validity,
        )
    )
    decision.record(notification(decision))


def notification(decision: Decision) -> e.NotificationRequested:
    """Return the request to write to the client; a blocked client's says so, a merged one names the survivor."""
    sale, known = decision.state.sale, decision.state.clients
    if sale is None or sale.valid_until is None:
        raise ValueError("only an issued certificate is announced")
    facts = decision.state.order(sale.order_id)
    customer_id = clients.survivor_of(known, sale.customer_id)
    client = clients.find_client(known, customer_id) or clients.find_client(known, sale.customer_id)
    erased = client is not None and client.erased
    return e.NotificationRequested(
        notification_id=decision.new_id(),
        kind="certificateIssued",
        order_id=sale.order_id,
        customer_id=customer_id,
        recipient=facts.own.recipient if facts.own and not erased else None,
        preferred_channel=client.preferred_channel if client else None,
        locale=client.locale if client else None,
        valid_until=sale.valid_until,
        suppressed=client.blocked if client else False,
    )


def _release(decision: Decision, sale: Sale, reason: e.ReleaseReason) -> None:
    reservation = decision.state.reservation
    decision.record(
        e.Released(
            reservation_id=reservation.reservation_id if reservation else None,
            order_id=sale.order_id,
            reason=reason,
        )
    )


def _settle_past(decision: Decision, past: Sale) -> None:
    """Late money of a sale that was released: take the certificate back if it is still free, else say so."""
    facts = decision.state.order(past.order_id)
    standing = refunds.standing(facts, past)
    if _has_gone_to_another(facts, past):
        refunds.close_open_case(decision, past)
    elif standing.is_touched:
        refunds.judge_unissued(decision, past, standing)
    elif standing.captured > past.alerted_amount:
        _late_money(decision, past, standing.captured)


def _late_money(decision: Decision, past: Sale, captured: int) -> None:
    """A capture that nobody was told of yet; what was told, the channel repairs with another certificate."""
    state = decision.state
    if any(past.is_for(one.order_id, one.line_id) for one in state.refusals):
        return  # the order named it again in vain; its money is told with the refusal
    if state.status == Status.AVAILABLE and not state.blocked:
        _reclaim(decision, past, state.order(past.order_id))
    else:
        decision.record(_payment_alert(decision, past.order_id, past.line_id, captured, "noLongerFree"))


def _reclaim(decision: Decision, past: Sale, facts: OrderFacts) -> None:
    now = decision.now
    decision.record(
        e.Ordered(order_id=past.order_id, line_id=past.line_id, amount=past.amount, reclaimed=True),
        e.SaleOpened(
            channel=past.channel or "",
            customer_id=facts.customer_id,
            nominal=past.nominal,
            opened_at=now,
            unpaid_until=now + decision.policy.unpaid_after_order,
        ),
    )


def _settle_refusals(decision: Decision) -> None:
    """Money for a line that got no certificate: the channel has to repair it."""
    for refusal in decision.state.refusals:
        facts = decision.state.order(refusal.order_id)
        captured = line_money.captured_for_line(facts, refusal.line_id)
        if captured > refusal.alerted_amount and not orders.is_replaced(facts, refusal.line_id):
            alert = _payment_alert(decision, refusal.order_id, refusal.line_id, captured, refusal.reason)
            decision.record(alert)


def _payment_alert(
    decision: Decision, order_id: str, line_id: str, amount: int, reason: str
) -> e.PaymentWithoutCertificateAlerted:
    return e.PaymentWithoutCertificateAlerted(
        order_id=order_id, line_id=line_id, amount=amount, reason=reason, web_url=decision.terms.web_url
    )
