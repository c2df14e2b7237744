"""A certificate that lost what its row said follows its events, and nothing is decided twice."""

from dataclasses import replace

from hypothesis import given, note

from giftcert.contracts.stream import StoredEvent, stamp
from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.decide import decide
from giftcert.domain.certificate.state import CertificateState, Line
from giftcert.domain.order.standing import CountedMoney
from giftcert.recovery.certificate_history import History
from tests.unit.domain.certificate.certificates import Certificate
from tests.unit.domain.certificate.lives import Move, led, lives
from tests.unit.domain.profiles import searched
from tests.unit.verification.test_fold_check import stored

ALERTS = frozenset({"alert.paymentWithoutCertificate", "error.orderConflict"})
"""May be published again: what remembers them is in no event."""


def events_of(found: Certificate) -> tuple[CertificateState, list[StoredEvent]]:
    """The certificate, and its events as recorded when they were decided."""
    events: list[StoredEvent] = []
    for one in found.world.decided:
        if one.before.certificate_id == found.name:
            at = one.decision.now
            for record in stamp(one.before, one.decision.recorded, at=at, channel="im"):
                events.append(replace(stored(record, found.name, len(events) + 1), recorded_at=at))
    return found.state, events


def shown(state: CertificateState) -> tuple[object, ...]:
    redemptions = {
        one.redemption_id: (one.state, one.held, one.spent, one.restored) for one in state.redemptions
    }
    cases = {
        case.refund_case_id: (case.state, case.amount, case.counted)
        for sale in state.sales
        for case in sale.cases
    }
    sold = state.sale if state.sale and state.sale.issued_at else None  # before, the price follows the line
    sale = sold and (sold.ref, sold.amount, sold.valid_until, sold.issued_at)
    money = (state.nominal, state.balance, state.held)
    return state.shown_status, state.refund_state, money, sale, redemptions, cases


def as_read_again(line: Line) -> Line:
    """The line as ingest writes it where no certificate has looked at it yet."""
    return replace(line, counted=CountedMoney(), holder=None, open_case=None, waiters=(), reported=())


def rebuilt(found: Certificate) -> History:
    state, events = events_of(found)
    lines = tuple(as_read_again(one) for one in found.world.lines.values())
    empty = CertificateState(
        certificate_id=state.certificate_id,
        product=state.product,
        currency=state.currency,
        nominal=found.world.terms.product.nominal or 0,
        lines=lines,
    )
    history = History(empty, found.world.terms)
    history.follow(events)
    return history


@searched(100)
@given(lives)
def test_a_certificate_is_as_it_was(life: tuple[Move, ...]) -> None:
    found = led(life)
    state, _ = events_of(found)
    history = rebuilt(found)
    note([one.event_type for one in events_of(found)[1]])
    assert shown(history.state) == shown(state)


@searched(100)
@given(lives)
def test_nothing_is_decided_again(life: tuple[Move, ...]) -> None:
    found = led(life)
    world = found.world
    if any(name == found.name for name, _ in world.pending):
        return
    events = events_of(found)[1]
    history = rebuilt(found)
    known = {ref for ref in world.lines if found.name in world.concerned(ref)}
    lines = tuple(one for one in history.state.lines if one.ref in known)
    held = tuple(
        replace(one, holder=world.lines[one.ref].holder, waiters=world.lines[one.ref].waiters)
        for one in lines
    )
    decision = decide(
        replace(history.state, lines=held),
        m.LineChanged(),
        world.clock,
        world.terms,
        lambda: "01936f5e-0000-7000-8000-00000000aaaa",
    )
    note([one.event_type for one in events])
    assert {event.type for event in decision.public} <= ALERTS
