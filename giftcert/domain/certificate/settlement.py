"""Settlement: what now follows from how all order lines of the certificate stand, applied until nothing more does.

A level, not an edge: it looks at the newest standing alone, and what it has said of it is remembered in the state.
"""

from giftcert.domain.certificate import refunds, sale
from giftcert.domain.certificate.decision import Decision
from giftcert.domain.certificate.lines import find_past_sale, find_refusal, given_up, terms_version, with_wait
from giftcert.domain.certificate.sale_money import SaleMoney, sale_money
from giftcert.domain.certificate.state import FOR_SALE, Holder, Line, Sale, Status
from giftcert.domain.certificate.words import ConflictReason, LateMoneyReason, ReleaseReason
from giftcert.domain.order.standing import Withdrawal

MOST_ROUNDS = 8  # per line, at one message; a few settle it


class NeverSettlesError(RuntimeError):
    """A fault of ours: something follows again and again, so nothing is carried out at all."""


def settle(decision: Decision) -> None:
    """Apply what now follows from all that is known, until nothing more does; raises ``NeverSettlesError``."""
    for _ in range(MOST_ROUNDS * (1 + len(decision.state.lines))):
        before = decision.state
        _settle_once(decision)
        if decision.state is before:
            return
    raise NeverSettlesError(decision.state.certificate_id)


def _settle_once(decision: Decision) -> None:
    """Judge the current sale, then every other line."""
    current = decision.state.sale
    if current is not None and (line := decision.state.line(current.ref)) is not None:
        _settle_sale(decision, current, line)
    for ref in [line.ref for line in decision.state.lines]:
        line = decision.state.line(ref)
        if line is not None and (decision.state.sale is None or decision.state.sale.ref != ref):
            _settle_other(decision, line)


def _settle_sale(decision: Decision, current: Sale, line: Line) -> None:
    sale.follow(decision, current, line.standing)
    sale.report_foreign_captures(decision, line)
    if _names_me(decision, line):
        _say_named_in_vain(decision, line)
    current = decision.state.sale or current
    if decision.state.status == Status.ORDERED:
        _settle_ordered(decision, current, line)
    else:
        _settle_issued(decision, current, line)


def _settle_ordered(decision: Decision, current: Sale, line: Line) -> None:
    if not _names_me(decision, line):
        sale.let_go(decision, sale_money(current, line))
        return
    if line.standing.withdrawal is None:
        sale.reprice(decision, current, line)
    money = sale_money(decision.state.sale or current, line)
    if refunds.is_touched(money):
        reason = refunds.judge_unissued(decision, money)
        if reason is not None:
            sale.release(decision, money.sale, reason, money.cause)
    elif sale.is_paid(decision, money):
        sale.issue(decision, money.sale, line.standing)


def _settle_issued(decision: Decision, current: Sale, line: Line) -> None:
    """Judge refunds, and money that comes for a refunded certificate."""
    is_withdrawn = line.standing.withdrawal is not None
    if _names_me(decision, line) and not is_withdrawn:
        sale.hold_to_terms(decision, current, line)
    refunds.judge_issued(decision, sale_money(current, line))
    if decision.state.status == Status.REFUNDED and not is_withdrawn:
        money = sale_money(decision.state.sale or current, decision.state.line(line.ref) or line)
        if money.excess_owed > 0 and line.standing.captured > money.sale.alerted_captured:
            sale.report_late_money(decision, line, money.excess_owed, LateMoneyReason.CERTIFICATE_REFUNDED)


def _settle_other(decision: Decision, line: Line) -> None:
    """Judge a line that it does not hold: its holder, else the certificate it names, speaks for its money."""
    money = _money(decision, line)
    if _names_me(decision, line):
        _say_named_in_vain(decision, line)
        if line.holder is None:
            _settle_free(decision, money)
        else:
            _settle_held(decision, line, line.holder)
    elif not _went_astray(decision, line):
        _give_up(decision, line)
    elif money.case is not None:
        refunds.judge_unissued(decision, money)


def _went_astray(decision: Decision, line: Line) -> bool:
    """Whether the line went from this certificate to an unknown one, so that nobody else looks after its money."""
    replaced = line.standing.naming.replaces == decision.state.certificate_id
    return replaced and line.holder is None and not line.names_ours


def _settle_held(decision: Decision, line: Line, holder: Holder) -> None:
    """Another certificate holds the line: wait for it, unless it was issued, which is for ever."""
    if line.standing.withdrawal is not None:
        _give_up(decision, line)
    elif decision.state.status not in FOR_SALE:
        sale.take(decision, line)
    elif holder.status != Status.ORDERED:
        _close_past_case(decision, line)
        sale.refuse(decision, line, ConflictReason.LINE_ALREADY_ISSUED)
    elif line.ref not in decision.state.waits_for and not sale.refusal_stands(decision, line):
        decision.change(with_wait(decision.state, line.ref))


def _settle_free(decision: Decision, money: SaleMoney) -> None:
    """Nobody holds the line, which names this certificate: take it, unless that was tried or is over."""
    line, state = money.line, decision.state
    past, refusal = find_past_sale(state, line.ref), find_refusal(state, line.ref)
    if line.standing.withdrawal is not None:
        _settle_withdrawn(decision, money, is_taken=past is not None)
    elif refusal is not None and sale.refusal_stands(decision, line):
        if money.case is not None:
            refunds.judge_unissued(decision, money)
        else:
            _report_late_money(decision, money, refusal.reason)
    elif past is None or terms_version(line.standing) > past.released_terms:
        sale.take(decision, line)
    elif refunds.is_touched(money):
        refunds.judge_unissued(decision, money)
    elif state.status != Status.AVAILABLE or state.blocked:
        _report_late_money(decision, money, LateMoneyReason.NO_LONGER_FREE)
    elif _is_untold(decision, money):
        sale.reclaim(decision, line)
    sale.report_foreign_captures(decision, line)


def _settle_withdrawn(decision: Decision, money: SaleMoney, *, is_taken: bool) -> None:
    """The line left its order before it was taken, or after release: what was captured has to go back."""
    line = money.line
    _give_up_waiting(decision, line)
    refusal = find_refusal(decision.state, line.ref)
    is_refused = refusal is not None and refusal.reason == ConflictReason.LINE_WITHDRAWN
    is_decided = is_refused and sale.refusal_stands(decision, line) and not _is_untold(decision, money)
    is_for_sale = decision.state.status in FOR_SALE and line.standing.currency == decision.product.currency
    may_open_case = money.captured > 0 and not is_decided
    if is_taken or line.open_case is not None or (is_for_sale and may_open_case):
        refunds.judge_unissued(decision, money)
    elif may_open_case:  # sold elsewhere: it refuses the line for good instead of opening a case
        sale.remember_refusal(decision, line, ConflictReason.LINE_WITHDRAWN)
        _report_late_money(decision, money, ConflictReason.LINE_WITHDRAWN)


def _report_late_money(
    decision: Decision, money: SaleMoney, reason: LateMoneyReason | ConflictReason
) -> None:
    """Publish money without a certificate once; the channel repairs the line with another certificate."""
    if _is_untold(decision, money):
        sale.report_late_money(decision, money.line, money.owed, reason)


def _is_untold(decision: Decision, money: SaleMoney) -> bool:
    refusal = find_refusal(decision.state, money.line.ref)
    alerted = max(money.sale.alerted_captured, refusal.alerted_captured if refusal else 0)
    return money.owed > 0 and money.line.standing.captured > alerted


def _money(decision: Decision, line: Line) -> SaleMoney:
    """The money of the released sale under the line, or of what would be one had the line ever been taken."""
    standing = line.standing
    past = find_past_sale(decision.state, line.ref) or Sale(
        order_id=standing.order_id,
        line_key=standing.line_key,
        line_id=standing.line_id,
        amount=standing.price,
        ended=ReleaseReason.ORDER_CANCELLED,
    )
    return sale_money(past, line)


def _names_me(decision: Decision, line: Line) -> bool:
    return line.standing.naming.certificate_id == decision.state.certificate_id


def _say_named_in_vain(decision: Decision, line: Line) -> None:
    """A cancelled or returned line is named again: that it left its order is for good."""
    withdrawal = line.standing.withdrawal
    if withdrawal is None or withdrawal.how == Withdrawal.REMOVED:
        return
    if line.standing.listed_in > withdrawal.said_in:
        sale.refuse(decision, line, ConflictReason.LINE_WITHDRAWN)


def _give_up(decision: Decision, line: Line) -> None:
    """The line is another's now, with its money and what is open of it."""
    _close_past_case(decision, line)
    if find_refusal(decision.state, line.ref) is not None and not _names_me(decision, line):
        decision.change(given_up(decision.state, line.ref))
    else:
        _give_up_waiting(decision, line)


def _give_up_waiting(decision: Decision, line: Line) -> None:
    if line.ref in decision.state.waits_for:
        decision.change(given_up(decision.state, line.ref))


def _close_past_case(decision: Decision, line: Line) -> None:
    past = find_past_sale(decision.state, line.ref)
    if past is not None and past.open_case is not None:
        refunds.close_case(decision, line, past.open_case)
