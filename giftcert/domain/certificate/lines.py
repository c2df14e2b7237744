"""The order lines of a certificate: what it knows of them. Each change returns the state after it."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from giftcert.domain.certificate.state import CertificateState, Holder, Line, LineRef, Refusal, Sale
from giftcert.domain.order.standing import LineStanding

Alerted = TypeVar("Alerted", Sale, Refusal)


def terms_version(standing: LineStanding) -> int:
    """Return the newest version that began to name the certificate, or changed the line's terms."""
    return max(standing.naming.began.version, standing.naming.terms.version)


def find_refusal(state: CertificateState, ref: LineRef) -> Refusal | None:
    """Return why the line cannot have this certificate, if it was refused."""
    return next((refusal for refusal in state.refusals if refusal.ref == ref), None)


def find_past_sale(state: CertificateState, ref: LineRef) -> Sale | None:
    """Return the released sale under a line."""
    return next((sale for sale in state.past_sales if sale.ref == ref), None)


def with_changed_line(
    state: CertificateState, ref: LineRef, change: Callable[[Line], Line]
) -> CertificateState:
    """Change an order line, if its row was loaded."""
    return replace(state, lines=tuple(change(one) if one.ref == ref else one for one in state.lines))


def with_holder(state: CertificateState) -> CertificateState:
    """Enter this certificate as the holder of its sale's line, with its status."""
    line = state.line(state.sale.ref) if state.sale else None
    holder = Holder(state.certificate_id, state.status)
    if line is None or line.holder == holder:
        return state
    state = _without_waiter(state, line.ref)
    return with_changed_line(state, line.ref, lambda one: replace(one, holder=holder))


def with_refusal(state: CertificateState, refusal: Refusal) -> CertificateState:
    """Remember why a line cannot have this certificate; what was published of its money stays."""
    known = find_refusal(state, refusal.ref)
    refused = replace(refusal, alerted_captured=known.alerted_captured if known else 0)
    state = given_up(state, refusal.ref)
    return replace(state, refusals=(*state.refusals, refused))


def with_wait(state: CertificateState, ref: LineRef) -> CertificateState:
    """Wait for a line which another certificate holds, and enter the waiter in the line."""
    state = with_changed_line(
        state, ref, lambda line: replace(line, waiters=(*line.waiters, state.certificate_id))
    )
    return replace(state, waits_for=(*state.waits_for, ref))


def concerned_by_holder(line: Line) -> tuple[str, ...]:
    """Who looks again when the holder of a line changes: who waits for it and, where nobody holds it, whom it names.

    The latter speaks for its money and for a case that was left.
    """
    named = line.standing.naming.certificate_id
    speaks = line.holder is None and line.names_ours and named not in line.waiters
    return (*line.waiters, named) if speaks else line.waiters


def given_up(state: CertificateState, ref: LineRef) -> CertificateState:
    """Neither wait for a line nor refuse it any more."""
    return replace(
        _without_waiter(state, ref),
        waits_for=tuple(one for one in state.waits_for if one != ref),
        refusals=tuple(one for one in state.refusals if one.ref != ref),
    )


def with_alerted_money(state: CertificateState, standing: LineStanding) -> CertificateState:
    """Remember the captures up to which it was published that a line's money has no certificate."""
    ref = LineRef(standing.order_id, standing.line_key)

    def alerted(one: Alerted) -> Alerted:
        return replace(one, alerted_captured=standing.captured) if one.ref == ref else one

    return replace(map_sales(state, alerted), refusals=tuple(map(alerted, state.refusals)))


def map_sales(state: CertificateState, change: Callable[[Sale], Sale]) -> CertificateState:
    """Change each sale, current and past."""
    sale = change(state.sale) if state.sale else None
    return replace(state, sale=sale, past_sales=tuple(map(change, state.past_sales)))


def without_case(state: CertificateState, refund_case_id: str) -> CertificateState:
    """Take a case off the lines: a sale took it over, or it is closed."""
    lines = tuple(
        replace(line, open_case=None)
        if line.open_case and line.open_case.refund_case_id == refund_case_id
        else line
        for line in state.lines
    )
    return replace(state, lines=lines)


def _without_waiter(state: CertificateState, ref: LineRef) -> CertificateState:
    def without(line: Line) -> Line:
        return replace(line, waiters=tuple(one for one in line.waiters if one != state.certificate_id))

    return with_changed_line(state, ref, without)
