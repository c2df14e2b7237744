"""A refund that names no line and must be certificate money: a person says of which line it is."""

from datetime import datetime

import pytest

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.refund_resolution import ResolutionRefusal, shares_decided
from giftcert.domain.certificate.state import RefundState, Status
from giftcert.domain.certificate.words import RefundReason
from giftcert.domain.order import messages as o
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, spendable
from tests.unit.domain.certificate.certificates_of_one_order import Together

LATER = make.NOON + make.HOUR


def two_paid() -> Together:
    return Together(make.gift("2"), make.gift("3")).paid()


def in_doubt(amount: int = 500_000, refund_id: str = "r-1") -> Together:
    return two_paid().tell(make.refunded(amount, refund_id))


def three_in_doubt() -> Together:
    three = Together(make.gift("2"), make.gift("3"), make.gift("4"))
    return three.paid().tell(make.refunded(500_000, "r-1"))


def counted(found: Certificate) -> tuple[int, int, int]:
    event = found.only(e.RefundCompleted)
    return event.amount, event.taken, event.uncovered


def test_it_freezes_every_line_that_it_may_mean_and_asks_after_a_day() -> None:
    order = in_doubt()
    for found in order.on.values():
        assert (found.published, spendable(found)) == (["refund.requested"], False)
    order.wait(make.DAY)
    for found in order.on.values():
        assert found.only(e.RefundPendingDetails).reason == RefundReason.ALLOCATION_MISSING
        assert found.only(e.RefundPendingDetails).refund_id == "r-1"


@pytest.mark.parametrize("waits", [0 * make.DAY, 2 * make.DAY])
def test_an_approval_that_uses_it_up_closes_the_other_case_by_itself(waits: make.timedelta) -> None:
    order = in_doubt().wait(waits)
    assert counted(order.resolve("2")) == (500_000, 500_000, 0)
    assert order["2"].status == Status.REFUNDED
    event = order["3"].only(e.RefundResolved)
    assert (event.decision, event.resolved_by, event.uncovered) == ("reject", "system", 0)
    assert (order["3"].published, spendable(order["3"])) == (["refund.resolved"], True)


def test_an_approval_that_leaves_some_of_it_leaves_the_other_case_for_the_rest() -> None:
    order = in_doubt()
    assert counted(order.resolve("2", amount=300_000)) == (300_000, 300_000, 0)
    assert (order["2"].state.balance, spendable(order["2"])) == (200_000, True)
    assert order["3"].only(e.RefundRequested).amount == 200_000
    assert counted(order.resolve("3")) == (200_000, 200_000, 0)
    assert order["2"].published == []


def test_approvals_never_add_up_to_more_than_the_refund() -> None:
    order = in_doubt()
    order.resolve("2", amount=300_000)
    assert order.resolve("3", amount=200_001).decision.refusal == ResolutionRefusal.AMOUNT_TOO_HIGH


def test_the_amount_of_an_approval_costs_its_part_of_the_price() -> None:
    order = Together(make.gift("2", 450_000), make.gift("3")).paid().tell(make.refunded(400_000))
    assert counted(order.resolve("2", amount=100_001)) == (90_001, 100_001, 1)
    assert order["3"].only(e.RefundRequested).amount == 309_999


def test_a_rejection_says_not_this_line_and_leaves_nothing_uncovered() -> None:
    order = in_doubt()
    found = order.resolve("2", "reject")
    assert found.published == ["refund.resolved"]
    event = found.only(e.RefundResolved)
    assert (event.decision, event.amount, event.uncovered) == ("reject", 0, 0)
    assert (spendable(found), spendable(order["3"])) == (True, False)


def test_if_all_are_rejected_the_last_carries_the_rest_as_uncovered() -> None:
    order = in_doubt()
    order.resolve("2", "reject")
    found = order.resolve("3", "reject")
    assert found.published == ["refund.resolved", "refund.completed"]
    assert found.only(e.RefundResolved).uncovered == 500_000
    assert counted(found) == (500_000, 0, 500_000)
    assert spendable(found)
    assert order["2"].published == []


def test_the_last_that_is_rejected_carries_what_approvals_left() -> None:
    order = three_in_doubt()
    order.resolve("2", amount=300_000)
    order.resolve("3", "reject")
    assert counted(order.resolve("4", "reject")) == (200_000, 0, 200_000)
    assert (order["2"].published, order["3"].published) == ([], [])


def test_the_last_that_is_approved_carries_all_that_is_left() -> None:
    order = in_doubt()
    order.resolve("2", "reject")
    assert counted(order.resolve("3", amount=300_000)) == (500_000, 300_000, 200_000)


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_what_no_line_can_take_stays_open_with_the_last_until_somebody_says_it_is_uncovered(
    decision: str,
) -> None:
    order = in_doubt(800_000)
    order.resolve("2", "reject")
    found = order.resolve("3")
    assert found.published == ["refund.resolved", "refund.completed", "refund.pendingDetails"]
    assert (counted(found), found.status) == ((500_000, 500_000, 0), Status.REFUNDED)
    event = found.only(e.RefundPendingDetails)
    assert (event.reason, event.amount) == (RefundReason.EXCEEDS_CAPTURED, 300_000)
    assert order["2"].published == []
    assert counted(order.resolve("3", decision)) == (300_000, 0, 300_000)
    assert not found.case.is_open


def test_several_refunds_together_give_the_last_line_no_more_than_was_captured_for_it() -> None:
    order = in_doubt(400_000, "r-1").tell(make.refunded(300_000, "r-2"))
    order.resolve("2", "reject")
    found = order.resolve("3")
    assert counted(found) == (500_000, 500_000, 0)
    event = found.only(e.RefundPendingDetails)
    assert (event.reason, event.amount, event.refund_id) == (
        RefundReason.EXCEEDS_CAPTURED,
        200_000,
        "r-2",
    )


def test_the_smallest_money_in_doubt_is_decided_like_any() -> None:
    order = in_doubt(1)
    order.resolve("2", "reject")
    assert counted(order.resolve("3")) == (1, 1, 0)


def test_the_only_line_that_it_may_mean_is_the_last() -> None:
    order = Together(make.goods(), make.gift("2")).paid().tell(make.refunded(400_000))
    assert counted(order.resolve("2", "reject")) == (150_000, 0, 150_000)  # the rest was the goods'


def test_each_of_several_refunds_is_carried_by_the_last_that_it_may_mean() -> None:
    order = in_doubt(200_000, "r-1")
    order.resolve("2", "reject")
    order.tell(make.refunded(100_000, "r-2"))
    found = order.resolve("3", "reject")  # nobody else is left for r-1; r-2 may still mean line 2
    assert counted(found) == (200_000, 0, 200_000)
    assert order["2"].case.is_open
    assert counted(order.resolve("2", "reject")) == (100_000, 0, 100_000)


def test_a_part_of_two_refunds_is_taken_from_the_first_told() -> None:
    order = in_doubt(200_000, "r-1").tell(make.refunded(200_000, "r-2"))
    message = make.resolve(order["2"].case.refund_case_id, amount=250_000)
    shares = shares_decided(order.world.loaded("certificate-2"), message, order.world.terms.policy)
    assert [(one.refund_id, one.amount) for one in shares] == [("r-1", 200_000), ("r-2", 50_000)]
    assert order["2"].state.balance == 500_000
    order.resolve("2", amount=250_000)
    assert order["3"].only(e.RefundRequested).amount == 150_000


def test_a_refund_that_an_approval_did_not_reach_stays_in_doubt() -> None:
    order = in_doubt(200_000, "r-1").tell(make.refunded(200_000, "r-2"))
    found = order.resolve("2", amount=200_000)
    assert found.published == ["refund.resolved", "refund.completed", "refund.requested"]
    assert (found.case.refund_id, found.case.amount) == ("r-2", 200_000)


def test_a_refund_that_names_the_line_leaves_another_in_doubt() -> None:
    order = in_doubt(300_000, "r-1").tell(make.refunded(500_000, "r-2", to={"2": 500_000}))
    assert order["2"].status == Status.REFUNDED
    assert order["3"].case.state == RefundState.REQUESTED
    order = in_doubt(300_000, "r-1").tell(make.refunded(200_000, "r-2", to={"2": 200_000}))
    found = order.resolve("2")
    assert counted(found) == (200_000, 200_000, 0)
    assert (found.case.refund_id, found.case.amount) == ("r-1", 300_000)


def test_what_a_person_said_stands_when_the_line_is_returned_afterwards() -> None:
    order = in_doubt()
    order.resolve("2", "reject")
    order.tell(make.returned("2", at=LATER))
    assert (order["2"].published, order["2"].case.amount) == (["refund.requested"], 500_000)
    assert order["2"].case.refund_id is None
    assert counted(order.resolve("3")) == (500_000, 500_000, 0)


def test_a_person_cannot_say_that_none_of_it_is_this_line_s_by_approving() -> None:
    found = in_doubt().resolve("2", amount=0)
    assert (found.last, found.decision.refusal) == ((), ResolutionRefusal.AMOUNT_REQUIRED)


def test_before_issue_a_person_says_which_line_too() -> None:
    order = Together(make.gift("2"), make.gift("3")).tell(make.captured(600_000), make.refunded(300_000))
    found = order.resolve("2")
    assert (found.published, found.status) == (["refund.resolved", "refund.completed"], Status.ORDERED)
    assert found.only(e.RefundCompleted).before_issue
    assert order["3"].published == ["refund.resolved"]


def test_before_issue_a_person_names_no_amount() -> None:
    order = Together(make.gift("2"), make.gift("3")).tell(make.captured(600_000), make.refunded(300_000))
    assert order.resolve("2", amount=0).decision.refusal == ResolutionRefusal.AMOUNT_NEEDLESS
    assert order.resolve("2").only(e.RefundCompleted).amount == 300_000


def test_a_decision_about_the_line_is_none_about_its_return() -> None:
    order = in_doubt(800_000).tell(make.returned("2", at=make.NOON))
    assert order["2"].status == Status.REFUNDED  # rule 4 fills it
    order.resolve("3", "reject")
    order.tell(make.returned("3", version=3, at=LATER))
    assert order["3"].published == ["refund.requested"]


# In another currency ------------------------------------------------------------------------------


def in_euros(*, at: datetime = make.NOON) -> o.PaymentRefunded:
    return make.refunded(6_000, "r-1", currency="EUR", at=at)


def test_money_in_another_currency_is_given_to_one_line_whole() -> None:
    both = two_paid().tell(in_euros())
    assert both.resolve("2", amount=0).decision.refusal == ResolutionRefusal.AMOUNT_REQUIRED
    assert counted(both.resolve("2", amount=500_000)) == (500_000, 500_000, 0)
    assert both["3"].published == ["refund.resolved"]
    assert both["3"].only(e.RefundResolved).resolved_by == "system"
    assert (both["2"].status, spendable(both["3"])) == (Status.REFUNDED, True)


def test_the_last_line_that_money_in_another_currency_may_mean_carries_it() -> None:
    both = two_paid().tell(in_euros())
    assert both.resolve("2", "reject").published == ["refund.resolved"]
    assert spendable(both["2"])
    assert not spendable(both["3"])
    assert counted(both.resolve("3", "reject")) == (500_000, 0, 500_000)
    assert spendable(both["3"])


def test_a_rejection_may_say_that_money_in_another_currency_is_worth_nothing_here() -> None:
    both = two_paid().tell(in_euros())
    assert both.resolve("2", "reject", amount=0).published == ["refund.resolved"]
    assert (spendable(both["2"]), spendable(both["3"])) == (True, False)


def test_money_in_another_currency_that_is_not_the_line_s_leaves_its_return_waiting() -> None:
    both = two_paid().tell(make.returned("2"), in_euros())
    assert both.resolve("2", "reject").published == ["refund.resolved", "refund.requested"]
    assert not spendable(both["2"])


def test_before_issue_an_approval_says_that_money_in_another_currency_is_the_line_s() -> None:
    both = Together(make.gift("2"), make.gift("3")).tell(make.captured(600_000), in_euros())
    assert both.resolve("2").published == ["refund.resolved", "refund.completed", "issue.released"]
    assert (both["3"].published, both["3"].status) == (["refund.resolved"], Status.ORDERED)


def test_the_smallest_part_of_an_approval_is_said_to_the_order() -> None:
    order = in_doubt()
    message = make.resolve(order["2"].case.refund_case_id, amount=1)
    [share] = shares_decided(order.world.loaded("certificate-2"), message, order.world.terms.policy)
    assert (share.refund_id, share.amount) == ("r-1", 1)


def test_nothing_is_said_to_the_order_before_the_second_of_two_persons_repeats_it() -> None:
    order = in_doubt()
    message = make.resolve(order["2"].case.refund_case_id)
    two_persons = make.terms(refund_four_eyes_over=1).policy
    assert shares_decided(order.world.loaded("certificate-2"), message, two_persons) == ()


def test_the_smallest_rest_that_no_line_can_take_asks_a_person() -> None:
    order = in_doubt(500_001)
    order.resolve("2", "reject")
    event = order.resolve("3").only(e.RefundPendingDetails)
    assert (event.reason, event.amount) == (RefundReason.EXCEEDS_CAPTURED, 1)
