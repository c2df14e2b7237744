"""A person decides a refund case: approve or reject, in each state, with the money back or yet to come."""

from collections.abc import Callable

import pytest

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.refund_resolution import ResolutionRefusal
from giftcert.domain.certificate.state import RefundState, Status
from giftcert.domain.certificate.words import RefundReason
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, issued, reserved, sold, spendable, spent

BOTH = (make.goods(), make.gift())
TO_THE_LINE = {"2": 500_000}


def decide(found: Certificate, decision: str = "approve", amount: int | None = None) -> Certificate:
    return found.tell(make.resolve(found.case.refund_case_id, decision, amount))


def refusal(found: Certificate, decision: str = "approve", amount: int | None = None) -> object:
    """Why a decision is refused, ``None`` if it is carried out."""
    before = found.state
    refused = decide(found, decision, amount).decision.refusal
    if refused is not None:
        assert (found.last, found.state) == ((), before)
    return refused


def part_back() -> Certificate:
    return issued(*BOTH).tell(make.refunded(200_000, to={"2": 200_000}))


def counted(found: Certificate) -> tuple[int, int, int]:
    event = found.only(e.RefundCompleted)
    assert event.refund_case_id == found.only(e.RefundResolved).refund_case_id
    return event.amount, event.taken, event.uncovered


# Approve, the money is back -----------------------------------------------------------------------


def test_approving_takes_the_lesser_of_worth_and_balance() -> None:
    found = decide(spent(100_000).tell(make.refunded()))
    assert found.published == ["refund.resolved", "refund.completed"]
    assert counted(found) == (500_000, 400_000, 100_000)
    event = found.only(e.RefundResolved)
    assert (event.decision, event.amount, event.uncovered) == ("approve", 400_000, 100_000)
    assert (event.resolved_by, event.note, event.line_id) == ("support-1", "agreed by telephone", "2")
    assert (found.status, found.state.balance) == (Status.REFUNDED, 0)
    assert found.state.refund_state == RefundState.COMPLETED


def test_approving_a_part_takes_its_worth_and_the_certificate_works_on_with_the_rest() -> None:
    found = decide(part_back().wait(7 * make.DAY))
    assert counted(found) == (200_000, 200_000, 0)
    assert (found.status, found.state.balance, spendable(found)) == (Status.ISSUED, 300_000, True)
    assert found.tell(make.hold(300_000)).published == ["redemption.authorized"]


def test_the_worth_of_a_part_of_a_discounted_price_is_that_part_of_the_nominal_rounded_up() -> None:
    found = reserved().tell(make.ordered(make.gift(amount=450_000)), make.captured(450_000))
    found.tell(make.refunded(100_000, to={"2": 100_000}))
    assert counted(decide(found)) == (100_000, 111_112, 0)
    assert found.state.balance == 388_888


def test_parts_of_a_price_are_worth_the_nominal_together_however_they_round() -> None:
    found = reserved().tell(make.ordered(make.gift(amount=450_000), make.goods()), make.captured(700_000))
    taken = []
    for nth in range(4):
        found.tell(make.refunded(100_000, f"r-{nth}", to={"2": 100_000}))
        taken.append(counted(decide(found))[1])
    found.tell(make.refunded(50_000, "r-4", to={"2": 50_000}))
    taken.append(found.only(e.RefundCompleted).taken)
    assert (taken, sum(taken)) == ([111_112, 111_111, 111_111, 111_111, 55_555], 500_000)
    assert found.status == Status.REFUNDED


def test_a_person_may_take_less_and_leave_the_rest_of_the_worth_uncovered() -> None:
    found = decide(spent(100_000).tell(make.refunded()), amount=150_000)
    assert counted(found) == (500_000, 150_000, 350_000)
    assert (found.status, found.state.balance) == (Status.PARTIALLY_REDEEMED, 250_000)


def test_a_person_may_take_nothing() -> None:
    found = decide(spent(100_000).tell(make.refunded()), amount=0)
    assert counted(found) == (500_000, 0, 500_000)
    assert (found.status, found.state.balance) == (Status.PARTIALLY_REDEEMED, 400_000)


def test_nobody_may_take_more_than_the_refund_is_worth() -> None:
    assert refusal(part_back(), amount=200_001) == ResolutionRefusal.AMOUNT_TOO_HIGH
    assert refusal(part_back(), amount=200_000) is None


def test_nobody_may_take_more_than_there_is() -> None:
    found = spent(400_000).tell(make.refunded())
    assert refusal(found, amount=100_001) == ResolutionRefusal.AMOUNT_TOO_HIGH
    assert refusal(found, amount=100_000) is None


def test_a_spent_certificate_whose_refund_is_approved_is_refunded_and_all_is_uncovered() -> None:
    found = decide(spent(500_000).tell(make.refunded()))
    assert counted(found) == (500_000, 0, 500_000)
    assert found.status == Status.REFUNDED


def test_an_approval_while_a_hold_is_open_leaves_the_hold_to_the_purchase() -> None:
    found = decide(issued().tell(make.hold(), make.refunded()))
    assert counted(found) == (500_000, 400_000, 100_000)
    assert (found.status, found.state.balance, found.state.held) == (Status.ISSUED, 0, 100_000)
    assert found.tell(make.spending()).status == Status.REDEEMED


def test_the_refund_of_an_expired_certificate_is_approved_with_nothing_to_take() -> None:
    found = decide(issued().wait(365 * make.DAY).tell(make.refunded()))
    assert counted(found) == (500_000, 0, 500_000)
    assert found.status == Status.REFUNDED


def test_the_refund_of_a_blocked_certificate_is_approved_without_unblocking_it() -> None:
    found = decide(issued().tell(make.block(), make.refunded()))
    assert counted(found) == (500_000, 500_000, 0)
    assert (found.status, found.state.shown_status) == (Status.REFUNDED, "blocked")


def test_more_back_than_was_captured_is_approved_with_what_the_balance_has() -> None:
    found = decide(issued().tell(make.refunded(600_000, to={"2": 600_000})))
    assert counted(found) == (600_000, 500_000, 100_000)


def test_money_back_in_another_currency_needs_the_amount_that_it_takes() -> None:
    found = issued().tell(make.refunded(currency="EUR"))
    assert refusal(found) == ResolutionRefusal.AMOUNT_REQUIRED
    assert refusal(found, amount=500_001) == ResolutionRefusal.AMOUNT_TOO_HIGH
    assert counted(decide(found, amount=500_000)) == (500_000, 500_000, 0)
    assert found.status == Status.REFUNDED


def test_what_a_refund_in_another_currency_takes_counts_as_what_that_much_had_cost() -> None:
    found = reserved().tell(make.ordered(make.gift(amount=400_000)), make.captured(400_000))
    found.tell(make.refunded(6_000, currency="EUR"))
    assert counted(decide(found, amount=250_001)) == (200_000, 250_001, 0)
    assert (found.status, found.state.balance) == (Status.ISSUED, 249_999)


@pytest.mark.parametrize(("decision", "amount"), [("approve", 500_000), ("reject", None)])
def test_a_price_that_went_back_in_another_currency_does_not_go_back_again_unseen(
    decision: str, amount: int | None
) -> None:
    for again in (make.refunded(), make.refunded(to=TO_THE_LINE)):
        found = decide(issued().tell(make.refunded(6_000, currency="EUR")), decision, amount).tell(again)
        event = found.only(e.RefundPendingDetails)
        assert (event.reason, event.amount) == (RefundReason.EXCEEDS_CAPTURED, 500_000)


def test_a_free_certificate_that_is_spent_is_given_up_with_what_is_left() -> None:
    found = reserved(terms=make.terms(make.FREE)).tell(make.ordered(make.gift(amount=0)))
    found.tell(make.hold(), make.spending(), make.returned())
    assert counted(decide(found)) == (0, 400_000, 0)
    assert found.status == Status.REFUNDED


# Approve, the money is not back yet ---------------------------------------------------------------


def returned(*before: m.Message) -> Certificate:
    return issued(*BOTH).tell(*before, make.returned())


def pending() -> Certificate:
    return returned().wait(7 * make.DAY)


@pytest.mark.parametrize("begin", [returned, pending])
def test_what_is_approved_before_its_money_stays_frozen_until_it_comes(
    begin: Callable[[], Certificate],
) -> None:
    found = decide(begin())
    assert found.published == ["refund.resolved"]
    event = found.only(e.RefundResolved)
    assert (event.decision, event.amount, event.uncovered) == ("approve", 500_000, 0)
    assert (found.state.balance, spendable(found)) == (500_000, False)
    assert found.state.refund_state == RefundState.REQUESTED
    found.tell(make.refunded(to=TO_THE_LINE))
    assert found.published == ["refund.completed"]
    assert (found.status, found.only(e.RefundCompleted).taken) == (Status.REFUNDED, 500_000)


def test_the_approved_amount_is_taken_when_a_part_comes() -> None:
    found = decide(returned(make.hold(), make.spending()), amount=150_000)
    found.tell(make.refunded(200_000, to={"2": 200_000}))
    event = found.only(e.RefundCompleted)
    assert (event.amount, event.taken, event.uncovered) == (200_000, 150_000, 50_000)
    assert (found.state.balance, spendable(found)) == (250_000, True)


def test_no_more_is_taken_than_there_is_when_the_money_comes() -> None:
    found = decide(returned(), amount=150_000).wait(365 * make.DAY)
    assert (found.status, found.state.balance) == (Status.EXPIRED, 0)
    event = found.tell(make.refunded(200_000, to={"2": 200_000})).only(e.RefundCompleted)
    assert (event.taken, event.uncovered) == (0, 200_000)


def test_no_more_is_taken_than_the_money_that_came_is_worth() -> None:
    found = decide(returned()).tell(make.refunded(200_000, to={"2": 200_000}))
    event = found.only(e.RefundCompleted)
    assert (event.amount, event.taken, event.uncovered) == (200_000, 200_000, 0)
    assert (found.status, found.state.balance) == (Status.ISSUED, 300_000)
    assert found.sale.cases[-1].amount == 200_000


def test_all_is_taken_when_the_full_price_comes_whatever_was_approved() -> None:
    found = decide(returned(make.hold(), make.spending()), amount=100_000)
    found.tell(make.refunded(to=TO_THE_LINE))
    event = found.only(e.RefundCompleted)
    assert (event.amount, event.taken, event.uncovered) == (500_000, 400_000, 100_000)
    assert found.status == Status.REFUNDED


def test_all_is_taken_when_the_rest_of_the_price_comes_whatever_was_approved() -> None:
    found = decide(part_back())
    assert (found.state.balance, found.tell(make.returned()).published) == (300_000, ["refund.requested"])
    decide(found, amount=1).tell(make.refunded(300_000, to={"2": 300_000}))
    event = found.only(e.RefundCompleted)
    assert (event.amount, event.taken, event.uncovered, found.status) == (
        300_000,
        300_000,
        0,
        Status.REFUNDED,
    )


def test_all_is_taken_only_when_no_hold_is_open_any_more() -> None:
    found = decide(returned(make.hold())).tell(make.refunded(to=TO_THE_LINE))
    assert found.only(e.RefundPendingDetails).reason == RefundReason.REDEMPTION_IN_PROGRESS
    found.tell(make.unhold())
    assert found.published == ["redemption.voided", "refund.completed"]
    assert (found.status, found.only(e.RefundCompleted).taken) == (Status.REFUNDED, 500_000)


def test_approved_money_that_does_not_come_is_asked_about_again_after_seven_days() -> None:
    found = decide(pending()).wait(7 * make.DAY - make.MINUTE)
    assert found.published == []
    found.wait(make.MINUTE)
    assert found.only(e.RefundPendingDetails).reason == RefundReason.REFUND_PAYMENT_MISSING
    assert found.only(e.RefundPendingDetails).allowed_decisions == ("approve", "reject")
    assert found.wait(make.DAY).published == ["alert.refundStuck"]
    assert found.only(e.RefundStuckAlerted).attempt == 1
    found.tell(make.refunded(to=TO_THE_LINE))
    assert found.status == Status.REFUNDED


def test_the_clock_of_a_case_begins_anew_with_an_approval() -> None:
    found = pending().wait(10 * make.DAY)
    assert found.all(e.RefundStuckAlerted)[-1].attempt == 3
    assert decide(found).wait(7 * make.DAY).published == ["refund.pendingDetails"]
    assert found.wait(make.DAY).only(e.RefundStuckAlerted).attempt == 1


def test_an_approval_that_is_repeated_is_told_once_and_moves_no_promise() -> None:
    """As when the answer to the first was lost, or the first of two persons did not hear of the second."""
    found = decide(returned())
    until = found.case.waits_until
    assert decide(found.wait(make.DAY)).published == []
    assert decide(found, amount=500_000).published == []
    assert found.tell(make.resolve(found.case.refund_case_id, "approve", by="support-2")).published == []
    assert found.case.waits_until == until


def test_another_amount_is_another_approval() -> None:
    found = decide(returned())
    assert decide(found, amount=400_000).published == ["refund.resolved"]
    assert found.case.approved == 400_000


def test_an_approval_is_made_anew_once_its_money_is_overdue() -> None:
    found = decide(decide(returned()).wait(7 * make.DAY))
    assert found.published == ["refund.resolved"]
    assert found.case.waits_until == found.clock + 7 * make.DAY


def test_what_was_approved_may_still_be_rejected_before_its_money() -> None:
    found = decide(decide(returned()), "reject")
    assert (found.published, spendable(found)) == (["refund.resolved"], True)


def test_an_approved_case_closes_by_itself_when_the_line_is_back_in_the_order() -> None:
    found = issued(*BOTH).tell(make.ordered(make.goods(), own=None, version=2))
    decide(found).tell(make.ordered(*BOTH, version=3))
    assert found.only(e.RefundResolved).resolved_by == "system"
    assert spendable(found)


# Reject -------------------------------------------------------------------------------------------


def test_rejecting_lets_the_certificate_work_again_and_leaves_all_that_is_back_uncovered() -> None:
    found = decide(spent(100_000).tell(make.refunded()), "reject")
    assert found.published == ["refund.resolved", "refund.completed"]
    assert counted(found) == (500_000, 0, 500_000)
    event = found.only(e.RefundResolved)
    assert (event.decision, event.amount, event.uncovered) == ("reject", 0, 500_000)
    assert (found.state.balance, spendable(found)) == (400_000, True)
    assert found.state.refund_state == RefundState.REJECTED


def test_rejecting_a_part_leaves_its_worth_uncovered() -> None:
    assert counted(decide(part_back(), "reject")) == (200_000, 0, 200_000)


def test_a_rejection_of_money_in_the_order_s_currency_names_no_amount() -> None:
    for found, amount in ((part_back(), 900_000), (part_back(), 0), (pending(), 100)):
        assert refusal(found, "reject", amount) == ResolutionRefusal.AMOUNT_NEEDLESS


def test_rejecting_before_the_money_is_back_leaves_nothing_uncovered() -> None:
    found = decide(pending(), "reject")
    assert found.published == ["refund.resolved"]
    assert found.only(e.RefundResolved).uncovered == 0
    assert spendable(found)
    assert found.wait(60 * make.DAY).published == []


def test_rejecting_the_part_of_a_return_that_is_back_ends_the_wait_for_the_rest() -> None:
    found = returned().tell(make.refunded(200_000, "r-1", to={"2": 200_000})).wait(7 * make.DAY)
    assert found.only(e.RefundPendingDetails).reason == RefundReason.AMOUNT_MISMATCH
    assert counted(decide(found, "reject")) == (200_000, 0, 200_000)
    assert (found.published, spendable(found)) == (["refund.resolved", "refund.completed"], True)


def test_the_refund_of_a_rejected_return_that_comes_after_all_is_a_case_of_its_own() -> None:
    found = decide(returned(), "reject").tell(make.hold(), make.spending())
    found.tell(make.refunded(to=TO_THE_LINE))
    assert found.only(e.RefundPendingDetails).reason == RefundReason.CERTIFICATE_REDEEMED
    assert found.only(e.RefundPendingDetails).refund_case_id != found.sale.cases[0].refund_case_id


def test_a_rejected_return_that_is_told_once_more_is_a_case_again() -> None:
    for again in (make.cancelled(version=3), make.returned(version=3), make.cancelled("2", version=3)):
        found = decide(returned(), "reject").tell(again)
        assert (found.published, spendable(found)) == (["refund.requested"], False)
    assert decide(returned(), "reject").tell(make.returned("1", version=3)).published == []


def test_a_return_told_once_more_is_not_forgotten_when_the_order_is_stated_again() -> None:
    found = decide(returned(), "reject").tell(make.cancelled(version=3), make.ordered(*BOTH, version=4))
    assert (found.published, spendable(found)) == (["error.orderConflict"], False)


def test_a_line_that_is_removed_a_second_time_is_a_case_again() -> None:
    removed = (make.ordered(make.goods(), own=None, version=version) for version in (2, 4))
    found = decide(issued(*BOTH).tell(next(removed)), "reject")
    found.tell(make.ordered(*BOTH, version=3))
    assert found.published == []
    assert found.tell(next(removed)).published == ["refund.requested"]


def test_rejecting_money_in_another_currency_leaves_the_most_that_it_may_be_worth_uncovered() -> None:
    for foreign in (make.refunded(6_000, currency="EUR"), make.refunded(100, currency="EUR", to={"2": 100})):
        found = decide(issued().tell(foreign), "reject")
        assert counted(found) == (500_000, 0, 500_000)
        assert spendable(found)
    part = issued(*BOTH).tell(make.refunded(200_000, to={"2": 200_000}))
    rest = decide(decide(part, amount=200_000).tell(make.refunded(9, currency="EUR", to={"2": 9})), "reject")
    assert counted(rest) == (300_000, 0, 300_000)


def test_a_person_may_say_what_rejected_money_in_another_currency_is_worth() -> None:
    found = issued().tell(make.refunded(600, currency="EUR"))
    assert refusal(found, "reject", 500_001) == ResolutionRefusal.AMOUNT_TOO_HIGH
    assert refusal(issued().tell(make.refunded(600, currency="EUR")), "reject", 500_000) is None
    assert counted(decide(found, "reject", 50_000)) == (50_000, 0, 50_000)


def test_rejecting_money_in_another_currency_that_may_mean_another_line_says_that_it_does() -> None:
    found = decide(issued(*BOTH).tell(make.refunded(6_000, currency="EUR")), "reject")
    assert (found.published, found.only(e.RefundResolved).uncovered) == (["refund.resolved"], 0)
    assert spendable(found)


def test_rejected_money_in_another_currency_that_has_a_worth_for_the_line_is_the_line_s() -> None:
    found = issued(*BOTH).tell(make.refunded(6_000, currency="EUR"))
    assert counted(decide(found, "reject", 50_000)) == (50_000, 0, 50_000)


def test_money_in_another_currency_for_a_free_certificate_may_be_worth_all_that_is_left() -> None:
    found = reserved(terms=make.terms(make.FREE)).tell(
        make.ordered(make.gift(amount=0)), make.refunded(600, currency="EUR")
    )
    assert counted(decide(found, "reject")) == (0, 0, 500_000)


def test_rejecting_the_return_of_a_free_certificate_leaves_nothing_uncovered() -> None:
    """No money went back, so that nothing is counted."""
    found = reserved(terms=make.terms(make.FREE)).tell(make.ordered(make.gift(amount=0)))
    found = decide(found.tell(make.hold(), make.spending(), make.returned()), "reject")
    assert (found.published, found.only(e.RefundResolved).uncovered) == (["refund.resolved"], 0)
    assert spendable(found)


def test_money_that_came_after_the_refund_and_went_back_is_rejected_and_stays_refunded() -> None:
    found = issued().tell(make.refunded(), make.captured(payment_id="P-2"))
    found.tell(make.refunded(payment_id="P-2", to=TO_THE_LINE))
    assert counted(decide(found, "reject")) == (500_000, 0, 0)
    assert found.status == Status.REFUNDED


# Before issue a person may only approve -----------------------------------------------------------


def test_before_issue_a_person_may_only_approve() -> None:
    found = sold().tell(make.refunded(to=TO_THE_LINE))
    assert refusal(found, "reject") == ResolutionRefusal.DECISION_NOT_ALLOWED


def test_before_issue_money_that_is_back_is_counted_when_approved() -> None:
    found = sold().tell(make.captured(300_000), make.refunded(400_000, to={"2": 400_000}))
    assert refusal(found, amount=77) == ResolutionRefusal.AMOUNT_NEEDLESS
    assert decide(found).published == ["refund.resolved", "refund.completed", "issue.released"]
    event = found.only(e.RefundCompleted)
    assert (event.amount, event.taken, event.uncovered, event.before_issue) == (400_000, 0, 0, True)
    assert (found.status, found.only(e.RefundResolved).amount) == (Status.AVAILABLE, 0)


def test_before_issue_a_part_that_is_back_leaves_the_rest_to_the_order() -> None:
    found = sold().tell(make.captured(300_000), make.refunded(100_000, to={"2": 100_000}))
    assert decide(found).published == ["refund.resolved", "refund.completed"]
    assert (found.status, found.only(e.RefundCompleted).amount) == (Status.ORDERED, 100_000)
    assert found.tell(make.captured(300_000)).status == Status.ISSUED


def test_no_certificate_is_issued_for_money_that_went_back_in_another_currency() -> None:
    for foreign in (make.refunded(6_000, currency="EUR"), make.refunded(100, currency="EUR", to={"2": 100})):
        found = decide(sold().tell(make.captured(300_000), foreign))
        assert found.published == ["refund.resolved", "refund.completed", "issue.released"]
        assert counted(found) == (300_000, 0, 0)


def test_no_certificate_is_issued_where_money_went_back_in_another_currency_before_its_capture() -> None:
    found = decide(sold().tell(make.refunded(6_000, currency="EUR")))
    assert found.published == ["refund.resolved", "refund.requested"]
    assert found.state.refund_state == RefundState.AWAITING_CAPTURE
    assert found.tell(make.captured()).published == ["refund.completed", "issue.released"]


def test_before_issue_money_in_another_currency_that_may_mean_another_line_is_counted_as_none_of_ours() -> (
    None
):
    found = sold(*BOTH).tell(make.captured(300_000), make.refunded(300_000, currency="EUR"))
    assert refusal(found, amount=300_000) == ResolutionRefusal.AMOUNT_NEEDLESS
    assert counted(decide(found)) == (0, 0, 0)
    assert found.published == ["refund.resolved", "refund.completed"]
    assert found.tell(make.captured(450_000)).status == Status.ISSUED


def test_an_approval_outlives_a_change_of_what_is_awaited() -> None:
    found = decide(sold(*BOTH).tell(make.captured(600_000), make.cancelled()).wait(7 * make.DAY))
    assert found.published == ["refund.resolved"]
    found.tell(make.captured(1_000))
    assert found.only(e.RefundRequested).amount == found.case.amount
    assert found.tell(make.refunded(1, to={"2": 1})).only(e.RefundCompleted).amount == 1


def test_before_issue_nothing_is_uncovered() -> None:
    foreign, part = make.refunded(1, currency="EUR"), make.refunded(100_000, to={"2": 100_000})
    found = decide(sold().tell(make.captured(300_000), foreign, part))
    assert (counted(found), found.only(e.RefundResolved).uncovered) == ((300_000, 0, 0), 0)


def test_the_case_of_an_earlier_sale_is_approved_under_its_own_order() -> None:
    found = sold().tell(make.cancelled(), make.captured(), make.reserve("R-2"))
    found.tell(make.ordered(order_id="IM-2", reservation_id="R-2"), make.captured(order_id="IM-2"))
    case = found.state.past_sales[0].cases[0].refund_case_id
    found.tell(make.resolve(case))
    assert found.only(e.RefundResolved).order_id == make.ORDER
    found.tell(make.refunded())
    assert found.only(e.RefundCompleted).refund_case_id == case
    assert (found.status, found.state.balance) == (Status.ISSUED, 500_000)


# Nothing to decide --------------------------------------------------------------------------------


def test_a_case_that_is_closed_or_unknown_has_nothing_pending() -> None:
    for found in (issued().tell(make.refunded()), decide(pending(), "reject")):
        assert refusal(found) == ResolutionRefusal.NOTHING_PENDING
    found = issued().tell(make.resolve("unknown"))
    assert (found.last, found.decision.refusal) == ((), ResolutionRefusal.NOTHING_PENDING)


def test_a_decision_that_is_none_of_the_two_is_not_allowed() -> None:
    assert refusal(pending(), "perhaps") == ResolutionRefusal.DECISION_NOT_ALLOWED
