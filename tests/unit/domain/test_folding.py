"""Events fold to the state; the public ones alone to what the stream tells. Lives are random, also senseless ones."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given

from giftcert.domain import events as e
from giftcert.domain.deadlines import deadlines
from giftcert.domain.decide import decide
from giftcert.domain.evolve import evolve, fold
from giftcert.domain.state import CertificateState, Status
from tests.unit.domain import factories as make
from tests.unit.domain.certificates import Certificate, counting_ids, issued, sold
from tests.unit.domain.lives import Move, lives, message_of
from tests.unit.domain.profiles import searched


@dataclass(frozen=True)
class Shown:
    """What the stream says of a certificate after each event."""

    status: str
    balance: int
    held: int
    refund_state: str

    @classmethod
    def of(cls, state: CertificateState) -> "Shown":
        return cls(state.shown_status, state.balance, state.held, state.refund_state.value)


def told(public: CertificateState, found: Certificate, before: CertificateState) -> CertificateState:
    """Fold the public events of the last message, the nominal of each as its envelope says."""
    full = before
    for event in found.last:
        full = evolve(full, event, found.clock)
        if isinstance(event, e.PublicEvent):
            public = evolve(replace(public, nominal=full.nominal), event, found.clock)
    return public


@searched(400)
@given(lives)
def test_public_events_alone_give_status_balance_held_and_refund_state(life: tuple[Move, ...]) -> None:
    found, public = Certificate(), make.certificate()
    for step in life:
        before = found.state
        message = message_of(found, step)
        if message is not None:
            public = told(public, found.tell(message), before)
        assert Shown.of(public) == Shown.of(found.state)


@searched(300)
@given(lives)
def test_money_stays_within_the_nominal_and_statuses_mean_what_they_say(life: tuple[Move, ...]) -> None:
    found = Certificate()
    for step in life:
        message = message_of(found, step)
        if message is not None:
            found.tell(message)
        state = found.state
        assert state.balance >= 0
        assert state.held >= 0
        assert state.balance + state.held <= state.nominal
        unsold = state.status in {Status.AVAILABLE, Status.RESERVED, Status.RETIRED}
        assert (state.sale is None) == unsold
        live = state.reservation is not None and not state.reservation.ended
        assert live == (state.status == Status.RESERVED)
        assert sum(case.is_open for case in (state.sale.cases if state.sale else ())) <= 1


@searched(300)
@given(lives)
def test_the_same_message_again_changes_nothing(life: tuple[Move, ...]) -> None:
    """Orders, payments and clients come from topics, which repeat."""
    found = Certificate()
    for step in life:
        message = message_of(found, step)
        if message is None:
            continue
        found.tell(message)
        state = found.state
        if hasattr(message, "cause") and "error.unexpectedEvent" not in found.told:
            assert found.tell(message).last == ()
            assert found.state == state


@searched(200)
@given(lives)
def test_a_decision_depends_on_nothing_but_its_arguments(life: tuple[Move, ...]) -> None:
    found = Certificate()
    for step in life:
        message = message_of(found, step)
        if message is None:
            continue
        first = decide(found.state, message, found.clock, found.terms, counting_ids())
        assert first == decide(found.state, message, found.clock, found.terms, counting_ids())
        found.tell(message)


@searched(200)
@given(lives)
def test_a_deadline_that_came_is_not_due_again_at_once(life: tuple[Move, ...]) -> None:
    found = Certificate()
    for step in life:
        message = message_of(found, step)
        if message is not None:
            found.tell(message)
    for _ in range(40):
        due = min((one.at for one in deadlines(found.state, found.terms.policy)), default=None)
        if due is None or due > found.clock + 3 * make.DAY:
            return
        found.wait(max(due - found.clock, make.MINUTE))
    pytest.fail("deadlines follow each other without end")


PRIVATE_OF_A_SALE = [
    e.ReservationOpened(channel="im", reserved_at=make.NOON),
    e.ReservationExtended(reserved_until=make.NOON),
    e.SaleOpened(channel="im", customer_id=None, nominal=1, opened_at=make.NOON, unpaid_until=make.NOON),
    e.SaleRepriced(amount=1, nominal=1),
    e.RefundOverdue(refund_case_id="none"),
]


@pytest.mark.parametrize("event", PRIVATE_OF_A_SALE)
def test_an_event_about_nothing_that_is_there_changes_nothing(event: e.Event) -> None:
    assert evolve(make.certificate(), event, make.NOON) == make.certificate()


def test_an_alert_and_a_rejection_of_what_is_not_there_change_nothing() -> None:
    found = sold().wait(3 * make.DAY)
    alert = next(event for event in found.last if isinstance(event, e.UnpaidAlerted))
    assert evolve(make.certificate(), alert, make.NOON) == make.certificate()
    rejected = e.RefundResolved(
        refund_case_id="none",
        order_id=make.ORDER,
        line_id="2",
        decision="reject",
        amount=0,
        uncovered=0,
        resolved_by="support-1",
        note="",
    )
    assert evolve(make.certificate(), rejected, make.NOON) == make.certificate()
    approved = replace(rejected, decision="approve")
    assert evolve(make.certificate(), approved, make.NOON) == make.certificate()


def test_public_events_say_enough_when_they_are_all_there_is() -> None:
    found = issued().tell(make.refunded())
    alone = fold(make.certificate(), found.public()[1:], make.NOON)  # the reservation came from elsewhere
    assert Shown.of(alone) == Shown.of(found.state)
