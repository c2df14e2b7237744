"""The order lines of a certificate: what it knows of them, who holds them, what was told of their money."""

from dataclasses import replace

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.state import CertificateState, Holder, Line, LineRef, Refusal, Sale
from giftcert.domain.order.standing import LineStanding

# Questions ----------------------------------------------------------------------------------------


def terms_version(standing: LineStanding) -> int:
    """Return the newest version that began to name the certificate, or changed the line's terms."""
    return max(standing.naming.version, standing.naming.terms_version)


def find_refusal(state: CertificateState, ref: LineRef) -> Refusal | None:
    """Return what was told of a line that cannot have this certificate."""
    return next((refusal for refusal in state.refusals if refusal.ref == ref), None)


def find_past_sale(state: CertificateState, ref: LineRef) -> Sale | None:
    """Return the released sale under a line."""
    return next((sale for sale in state.past_sales if sale.ref == ref), None)


# Folds --------------------------------------------------------------------------------------------


def observed(state: CertificateState, event: e.LineObserved) -> CertificateState:
    """Return the state with an order line as it now stands."""
    others = (line for line in state.lines if line.ref != event.line.ref)
    return replace(state, lines=tuple(sorted((*others, event.line), key=lambda line: line.ref)))


def with_holder(state: CertificateState) -> CertificateState:
    """Return the state whose line says that this certificate holds it, and how far that has come."""
    line = state.line(state.sale.ref) if state.sale else None
    holder = Holder(state.certificate_id, state.status)
    if line is None or line.holder == holder:
        return state
    return _put(state, replace(line, holder=holder, waiters=_without(state, line)))


def let_go(state: CertificateState, sale: Sale) -> CertificateState:
    """Return the state whose line is free for another certificate; an open refund case stays with the line."""
    line = state.line(sale.ref)
    if line is None:
        return state
    return _put(state, replace(line, holder=None, open_case=sale.open_case or line.open_case))


def refused(state: CertificateState, event: e.LineRefused) -> CertificateState:
    """Return the state that remembers why a line cannot have this certificate; what was told of its money stays."""
    ref = LineRef(event.order_id, event.line_key)
    known = find_refusal(state, ref)
    refusal = Refusal(
        order_id=event.order_id,
        line_key=event.line_key,
        reason=event.reason,
        terms_version=event.terms_version,
        alerted_captured=known.alerted_captured if known else 0,
    )
    state = _without_wait(state, ref)
    return replace(state, refusals=(*(one for one in state.refusals if one is not known), refusal))


def awaited(state: CertificateState, event: e.LineAwaited) -> CertificateState:
    """Return the state that waits for a line, and whose line knows it."""
    ref = LineRef(event.order_id, event.line_key)
    line = state.line(ref)
    if line is not None:
        state = _put(state, replace(line, waiters=(*_without(state, line), state.certificate_id)))
    return replace(state, waits_for=(*state.waits_for, ref))


def given_up(state: CertificateState, event: e.LineGivenUp) -> CertificateState:
    """Return the state that neither waits for a line nor refuses it."""
    ref = LineRef(event.order_id, event.line_key)
    state = _without_wait(state, ref)
    return replace(state, refusals=tuple(one for one in state.refusals if one.ref != ref))


def late_money_reported(state: CertificateState, event: e.LateMoneyReported) -> CertificateState:
    """Return the state that knows up to which captures it was told that a line's money has no certificate."""
    ref = LineRef(event.order_id, event.line_key)

    def told(sale: Sale) -> Sale:
        return replace(sale, alerted_captured=event.captured) if sale.ref == ref else sale

    return replace(
        state,
        sale=told(state.sale) if state.sale else None,
        past_sales=tuple(map(told, state.past_sales)),
        refusals=tuple(
            replace(one, alerted_captured=event.captured) if one.ref == ref else one for one in state.refusals
        ),
    )


def foreign_capture_reported(state: CertificateState, event: e.ForeignCaptureReported) -> CertificateState:
    """Return the state whose line knows that a capture in another currency was told."""
    line = state.line(LineRef(event.order_id, event.line_key))
    return _put(state, replace(line, reported=(*line.reported, event.identity))) if line else state


def money_counted(state: CertificateState, event: e.MoneyCounted) -> CertificateState:
    """Return the state whose line knows what of its money is counted."""
    line = state.line(LineRef(event.order_id, event.line_key))
    if line is None:
        return state
    counted = replace(
        line.counted,
        captured=line.counted.captured + event.captured,
        refunds=(*line.counted.refunds, *event.refunds),
    )
    return _put(state, replace(line, counted=counted))


def without_case(state: CertificateState, refund_case_id: str) -> CertificateState:
    """Return the state whose lines have this case no more: a sale took it over, or it is closed."""
    lines = tuple(
        replace(line, open_case=None)
        if line.open_case and line.open_case.refund_case_id == refund_case_id
        else line
        for line in state.lines
    )
    return replace(state, lines=lines)


def _put(state: CertificateState, line: Line) -> CertificateState:
    return replace(state, lines=tuple(line if one.ref == line.ref else one for one in state.lines))


def _without(state: CertificateState, line: Line) -> tuple[str, ...]:
    return tuple(waiter for waiter in line.waiters if waiter != state.certificate_id)


def _without_wait(state: CertificateState, ref: LineRef) -> CertificateState:
    line = state.line(ref)
    if line is not None:
        state = _put(state, replace(line, waiters=_without(state, line)))
    return replace(state, waits_for=tuple(one for one in state.waits_for if one != ref))
