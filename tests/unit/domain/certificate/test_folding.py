"""Events fold to what the stream tells. Lives are random, also senseless ones."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate import settlement
from giftcert.domain.certificate.decide import decide
from giftcert.domain.certificate.decision import Decision
from giftcert.domain.certificate.evolve import evolve, fold
from giftcert.domain.certificate.lines import without_case
from giftcert.domain.certificate.state import CertificateState, Line, RefundCase, RefundState, Status
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, issued, reserved, sold
from tests.unit.domain.certificate.certificates_of_one_order import Together
from tests.unit.domain.certificate.lives import Move, begin, led, lives, message_of
from tests.unit.domain.certificate.world import Decided, counting_ids
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


def of_certificate(found: Certificate) -> list[Decided]:
    return [one for one in found.world.decided if one.before.certificate_id == found.name]


def published(public: CertificateState, one: Decided) -> CertificateState:
    """Fold the events of a decision, the nominal of each as its envelope says."""
    for recorded in one.decision.recorded:
        public = replace(public, nominal=recorded.after.nominal)
        public = evolve(public, recorded.event, one.decision.now)
        assert Shown.of(public) == Shown.of(recorded.after)
    return public


@searched(300)
@given(lives)
def test_public_events_alone_give_status_balance_held_and_refund_state(life: tuple[Move, ...]) -> None:
    found, public = led(life), make.certificate(make.FREE)
    for one in of_certificate(found):
        public = published(public, one)
        assert Shown.of(public) == Shown.of(one.decision.state)


@searched(200)
@given(lives)
def test_money_stays_within_the_nominal_and_statuses_mean_what_they_say(life: tuple[Move, ...]) -> None:
    for one in led(life).world.decided:
        state = one.decision.state
        assert state.balance >= 0
        assert state.held >= 0
        assert state.balance + state.held <= state.nominal
        unsold = state.status in {Status.AVAILABLE, Status.RESERVED, Status.RETIRED}
        assert (state.sale is None) == unsold
        live = state.reservation is not None and not state.reservation.ended
        assert live == (state.status == Status.RESERVED)
        assert all(sum(case.is_open for case in sale.cases) <= 1 for sale in state.sales)
        refs = [sale.ref for sale in state.sales]
        assert len(refs) == len(set(refs))
        for line in state.lines:
            holds = line.holder is not None and line.holder.certificate_id == state.certificate_id
            assert holds == (state.sale is not None and state.sale.ref == line.ref)
            assert (state.certificate_id in line.waiters) == (line.ref in state.waits_for)


@searched(200)
@given(lives)
def test_looking_again_tells_nothing_again(life: tuple[Move, ...]) -> None:
    """A decision rests on how the lines now stand, so that it is the same however often they are looked at."""
    found = begin()
    for step in life:
        message = message_of(found, step)
        if message is None:
            continue
        found.tell(message)
        before = found.state
        assert found.look_again().last == ()
        assert found.state == before


@searched(200)
@given(lives)
def test_a_decision_depends_on_nothing_but_its_arguments(life: tuple[Move, ...]) -> None:
    found = led(life)
    for one in found.world.decided:
        both = [
            decide(one.before, one.message, one.decision.now, found.terms, counting_ids()) for _ in range(2)
        ]
        assert both[0].recorded == both[1].recorded
        assert both[0].state == both[1].state


@searched(200)
@given(lives)
def test_a_deadline_that_came_is_not_due_again_at_once(life: tuple[Move, ...]) -> None:
    found = led(life)
    for _ in range(40):
        due = found.next_deadline
        if due is None or due.at > found.clock + 3 * make.DAY:
            return
        found.wait(max(due.at - found.clock, make.MINUTE))
    pytest.fail("deadlines follow each other without end")


@searched(200)
@given(lives)
def test_a_line_has_at_most_one_holder(life: tuple[Move, ...]) -> None:
    found = led(life)
    assert all(len(found.world.holders(ref)) <= 1 for ref in found.world.lines)


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


def test_a_case_that_closes_takes_no_other_case_off_its_lines() -> None:
    def left(line_key: int) -> Line:
        found = Together(make.gift("2"), make.gift("3"))
        line = next(line for line in found.world.lines.values() if line.ref.line_key == line_key)
        case = RefundCase(refund_case_id=f"case-{line_key}", state=RefundState.REQUESTED, amount=1)
        return replace(line, open_case=case)

    state = replace(make.certificate(), lines=(left(1), left(2)))
    assert [line.open_case is None for line in without_case(state, "case-1").lines] == [True, False]


def test_a_reservation_is_told_with_its_id_and_its_end() -> None:
    found = fold(make.certificate(), reserved().events, make.NOON).reservation
    assert found is not None
    assert (found.reservation_id, found.reserved_until) == (make.RESERVATION, make.NOON + 30 * make.MINUTE)


def test_a_release_folds_without_the_row_of_its_line() -> None:
    found = sold().tell(make.cancelled())
    alone = fold(make.certificate(), found.events, make.NOON)
    assert (Shown.of(alone), alone.past_sales[0].released_terms) == (Shown.of(found.state), 0)


def test_support_finds_the_refund_states_of_earlier_sales_too() -> None:
    found = sold().tell(make.cancelled(), make.captured())
    assert found.state.any_refund_state == RefundState.REQUESTED
    assert Certificate().state.any_refund_state == RefundState.NONE
    assert (issued().state.sale_channel, found.state.sale_channel) == ("im", None)


def test_what_would_follow_for_ever_is_not_carried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def again(decision: Decision) -> None:
        decision.change(replace(decision.state, blocked=not decision.state.blocked))

    monkeypatch.setattr(settlement, "_settle_once", again)
    with pytest.raises(settlement.NeverSettlesError):
        sold()


def test_public_events_say_enough_when_they_are_all_there_is() -> None:
    found = issued().tell(make.refunded())
    alone = fold(make.certificate(), found.events[1:], make.NOON)  # the reservation came from elsewhere
    assert Shown.of(alone) == Shown.of(found.state)


def test_a_decision_keeps_the_state_after_each_of_its_events_and_what_completes_it() -> None:
    decision = decide(
        reserved().tell(make.ordered()).state, make.block(), make.NOON, make.terms(), counting_ids("id")
    )
    assert [one.after for one in decision.recorded] == [decision.state]
    found = reserved().tell(make.ordered())
    (ordered,) = found.recorded
    assert (ordered.after.sale_channel, ordered.after.sale) == ("im", found.sale)
