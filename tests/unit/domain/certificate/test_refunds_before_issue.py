"""A refund of what is not issued yet."""

import pytest

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.state import RefundState, Status
from giftcert.domain.certificate.words import Awaited, RefundReason
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import pending, reserved, sold

TO_THE_LINE = {"2": 500_000}


def test_a_refund_known_before_its_capture_never_sends_a_notification() -> None:
    found = sold().tell(make.refunded(to=TO_THE_LINE))
    assert (found.published, found.case.state) == (["refund.requested"], RefundState.AWAITING_CAPTURE)
    found.tell(make.captured())
    assert found.published == ["refund.completed", "issue.released"]
    assert found.all(e.NotificationRequested) == []


def test_a_refund_without_capture_asks_a_person_after_a_day_who_may_only_approve() -> None:
    found = sold().tell(make.refunded(to=TO_THE_LINE)).wait(make.DAY)
    assert pending(found) == RefundReason.NOT_CAPTURED
    assert found.only(e.RefundPendingDetails).allowed_decisions == ("approve",)


@pytest.mark.parametrize(
    "messages",
    [
        (make.refunded(to=TO_THE_LINE),),  # without capture
        (make.refunded(1, to={"2": 1}),),
        (make.captured(1), make.refunded(1, currency="EUR")),
    ],
)
def test_an_approved_refund_before_issue_leaves_nothing_to_ask(messages: tuple[m.Message, ...]) -> None:
    found = sold().tell(*messages).wait(make.DAY)
    found.tell(make.resolve(found.case.refund_case_id))
    assert found.published == ["refund.resolved", "refund.completed", "issue.released"]


def test_an_approved_refund_in_another_currency_waits_for_a_capture() -> None:
    found = sold().tell(make.refunded(300_000, currency="EUR"))
    found.tell(make.resolve(found.case.refund_case_id))
    assert found.only(e.RefundRequested).awaiting == Awaited.CAPTURE


def test_capture_and_refund_known_before_the_order_release_it_at_once() -> None:
    found = reserved().tell(make.captured(), make.refunded(), make.ordered())
    assert found.published == ["issue.ordered", "refund.completed", "issue.released"]
    assert found.status == Status.AVAILABLE


def test_more_back_than_captured_before_issue_asks_a_person() -> None:
    found = sold().tell(make.captured(300_000), make.refunded(400_000, to={"2": 400_000}))
    assert pending(found) == RefundReason.EXCEEDS_CAPTURED


def test_a_refund_before_issue_in_another_currency_asks_a_person() -> None:
    found = sold().tell(make.captured(300_000), make.refunded(300_000, currency="EUR"))
    assert pending(found) == RefundReason.CURRENCY_MISMATCH


@pytest.mark.parametrize(
    ("messages", "awaited", "amount"),
    [
        ((make.refunded(1, to={"2": 1}),), Awaited.CAPTURE, 1),
        ((make.refunded(1),), Awaited.CAPTURE, 1),
        ((make.refunded(7, to={"2": 7}), make.refunded(5)), Awaited.CAPTURE, 7),
        ((make.captured(2), make.refunded(1, to={"2": 1})), Awaited.REST, 1),
        ((make.captured(2), make.refunded(1)), Awaited.ALLOCATION, 1),
        ((make.captured(1), make.cancelled()), Awaited.PAYMENT, 1),
    ],
)
def test_the_smallest_money_before_issue_is_awaited_like_any(
    messages: tuple[m.Message, ...], awaited: Awaited, amount: int
) -> None:
    requested = sold().tell(*messages).only(e.RefundRequested)
    assert (requested.awaiting, requested.amount) == (awaited, amount)


def test_the_smallest_capture_before_issue_is_refunded_like_any() -> None:
    found = sold().tell(make.captured(1), make.refunded(1))
    assert (found.published, found.only(e.RefundCompleted).amount) == (
        ["refund.completed", "issue.released"],
        1,
    )


def test_a_part_back_before_issue_waits_seven_days_for_the_rest() -> None:
    found = sold().tell(make.captured(300_000), make.refunded(100_000, to={"2": 100_000}))
    assert found.only(e.RefundRequested).awaiting == Awaited.REST
    assert pending(found.wait(7 * make.DAY)) == RefundReason.AMOUNT_MISMATCH
    found.tell(make.refunded(200_000, to={"2": 200_000}))
    assert found.published == ["refund.completed", "issue.released"]


def test_a_refund_that_names_no_line_waits_a_day_for_its_allocation() -> None:
    found = sold().tell(make.captured(300_000), make.refunded(100_000))
    assert found.only(e.RefundRequested).awaiting == Awaited.ALLOCATION
    assert pending(found.wait(make.DAY)) == RefundReason.ALLOCATION_MISSING


def test_a_case_closes_by_itself_when_the_refund_turns_out_to_mean_another_line() -> None:
    two = (make.gift("2"), make.gift("3"))
    found = sold(*two).tell(make.captured(400_000), make.refunded(100_000))
    assert found.case.is_open
    found.tell(make.captured(100_000, to={"3": 100_000}), make.cancelled("3"))
    assert found.published[0] == "refund.resolved"
    assert found.only(e.RefundResolved).resolved_by == "system"
    assert found.state.refund_state == RefundState.REJECTED
