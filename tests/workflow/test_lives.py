"""What becomes of certificates whose sale, spending or refund does not go straight; their histories are stored."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from test_requests_to_runs import both_issued, issued, timer_is_next
from workflow_support import PRICE, Deployment, Sale

from giftcert.domain.certificate.messages import Block, SpendingKind, Unblock, VoidRedemption
from giftcert.domain.certificate.state import Redemption, RedemptionState
from giftcert.settings import Settings
from giftcert.temporal.signals import Signal
from tests.named_values import query
from tests.waiting import until

HALF = PRICE // 2
UNPAID, A_DAY, A_WEEK = (
    timedelta(hours=72, minutes=1),
    timedelta(days=1, minutes=1),
    timedelta(days=7, minutes=1),
)
RAN_OUT = """
    UPDATE certificates SET status = 'available', reservation_ended = true
    WHERE certificate_id = CAST(:id AS uuid)
"""
TAKEN_BACK = ["issue.ordered", "issue.completed", "notification.requested"]


async def reasons(sale: Sale, event_type: str) -> list[str]:
    return [event.payload["reason"] for event in await sale.events() if event.event_type == event_type]


# Sale ---------------------------------------------------------------------------------------------


async def test_a_line_that_costs_nothing_is_issued_when_it_is_ordered(sale: Sale) -> None:
    order = sale.ordered(amount=0)
    discounted = "UPDATE products SET greatest_discount_percent = $1"
    async with sale.database.transaction() as connection:
        await connection.execute(discounted, 100)
    await sale.tell(order)
    await sale.until_status("issued")
    async with sale.database.transaction() as connection:
        await connection.execute(discounted, 20)
    assert await sale.event_types() == TAKEN_BACK


async def test_a_payment_voided_and_tried_again_issues_once(sale: Sale) -> None:
    await sale.tell(sale.ordered(), sale.authorized(), sale.voided(), sale.authorized(), sale.captured())
    await sale.until_status("issued")
    assert await sale.event_types() == TAKEN_BACK


async def test_an_order_that_comes_after_its_reservation_ran_out_takes_the_certificate_back(
    sale: Sale,
) -> None:
    async with sale.database.transaction() as connection:
        await query(connection, RAN_OUT, id=sale.certificate_id)
    await sale.tell(sale.ordered(), sale.captured())
    await sale.until_status("issued")
    assert (await sale.events())[0].payload["reclaimed"] is True


async def test_a_capture_after_the_unpaid_deadline_takes_the_certificate_back(
    sale: Sale,
    caught_up: None,  # noqa: ARG001
) -> None:
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    await sale.skip(UNPAID)
    await sale.until_ended()
    await sale.tell(sale.captured())
    await sale.until_status("issued")
    assert await sale.event_types() == ["issue.ordered", "alert.unpaid", "issue.released", *TAKEN_BACK]


async def test_an_order_paid_in_part_is_kept_and_alerted_ever_less_often(
    sale: Sale,
    caught_up: None,  # noqa: ARG001
) -> None:
    await sale.tell(sale.ordered(), sale.captured(HALF))
    await sale.until_status("ordered")
    await sale.skip(UNPAID)
    await sale.until_told("alert.unpaid")
    await sale.skip(timedelta(days=3))

    await sale.until_told("alert.unpaid", 2)
    await sale.tell(sale.captured(PRICE - HALF))
    await sale.until_status("issued")


async def test_a_price_changed_before_payment_is_what_has_to_be_paid(sale: Sale) -> None:
    await sale.tell(sale.ordered(), sale.captured(450_000), sale.ordered(2, 450_000))
    await sale.until_status("issued")
    assert (await sale.events())[1].payload["amount"]["amount"] == 450_000


async def test_somebody_elses_order_gets_no_reserved_certificate(sale: Sale) -> None:
    sale.order_id = f"POS-{uuid4().hex[:12]}"
    order = sale.ordered()
    await sale.tell(replace(order, channel="pos", lines=(replace(order.lines[0], reservation_id=None),)))
    await sale.until_told("error.orderConflict")
    assert (await sale.row()).status == "reserved"


# Cancellation -------------------------------------------------------------------------------------


async def test_money_that_comes_after_the_cancellation_never_issues_and_is_missed_until_it_is_back(
    sale: Sale,
) -> None:
    await sale.tell(sale.ordered(), sale.cancelled())
    await sale.until_ended()
    await sale.tell(sale.captured())
    await sale.until_told("refund.requested")
    await sale.skip(A_WEEK)
    await sale.until_told("alert.cancelledWithoutRefund")
    await sale.tell(sale.refunded())
    await sale.until_told("refund.completed")
    assert (await sale.row()).status == "available"
    assert "issue.completed" not in await sale.event_types()


async def test_a_line_paid_in_part_and_cancelled_is_free_once_its_money_is_back(sale: Sale) -> None:
    await sale.tell(sale.ordered(), sale.captured(HALF), sale.cancelled())
    await sale.until_told("refund.requested")
    await sale.tell(sale.refunded(HALF))
    await sale.until_status("available")
    completed, released = (await sale.events())[-2:]
    assert completed.payload["beforeIssue"] is True
    assert released.payload["reason"] == "refundedBeforeIssue"


# Refunds ------------------------------------------------------------------------------------------


async def test_a_returned_certificate_ends_with_its_money(sale: Sale) -> None:
    await issued(sale)
    await sale.tell(sale.returned())
    await sale.until_told("refund.requested")
    assert (await sale.ask(sale.holding(1))).refusal == "refundInProgress"
    await sale.tell(sale.refunded())
    await sale.until_status("refunded")


async def test_a_refund_that_is_not_as_captured_waits_for_a_person(sale: Sale) -> None:
    await issued(sale)
    await sale.tell(sale.refunded(PRICE + 1))
    await sale.until_told("refund.pendingDetails")
    assert await reasons(sale, "refund.pendingDetails") == ["exceedsCaptured"]


async def test_a_refund_in_another_currency_waits_for_a_person(sale: Sale) -> None:
    await issued(sale)
    await sale.tell(replace(sale.refunded(), currency="KZT"))
    await sale.until_told("refund.pendingDetails")
    assert await reasons(sale, "refund.pendingDetails") == ["currencyMismatch"]


async def test_a_refund_before_its_capture_waits_a_day_for_it(sale: Sale) -> None:
    await sale.tell(sale.ordered(), sale.refunded())
    await sale.until_told("refund.requested")
    await sale.skip(A_DAY)
    await sale.until_told("refund.pendingDetails")
    assert await reasons(sale, "refund.pendingDetails") == ["notCaptured"]
    await sale.tell(sale.captured())
    await sale.until_status("available")
    assert "notification.requested" not in await sale.event_types()


async def test_a_refund_in_part_asks_a_person_after_a_week_who_leaves_the_certificate_to_its_holder(
    sale: Sale,
) -> None:
    await issued(sale)
    await sale.tell(sale.refunded(HALF))
    await sale.skip(A_WEEK)
    await sale.until_told("refund.pendingDetails")
    outcome = await sale.resolve("reject")
    assert (outcome.refusal, outcome.state.status, outcome.state.refund_state) == (None, "issued", "rejected")
    published = {one.event_type: one.payload for one in await sale.events()}
    assert published["refund.resolved"]["uncovered"]["amount"] == HALF
    assert "audit.operatorActed" in published
    assert (await sale.ask(sale.holding(PRICE))).refusal is None


async def test_what_was_approved_before_the_money_is_taken_when_it_comes(sale: Sale) -> None:
    await issued(sale)
    await sale.tell(sale.returned())
    await sale.until_told("refund.requested")
    assert (await sale.resolve("approve")).refusal is None
    await sale.tell(sale.refunded())
    await sale.until_status("refunded")


async def test_a_refund_while_a_hold_is_open_is_decided_again_when_it_closes(sale: Sale) -> None:
    await issued(sale)
    hold = await sale.hold(HALF)
    await sale.tell(sale.refunded())
    await sale.until_told("refund.pendingDetails")
    assert await reasons(sale, "refund.pendingDetails") == ["redemptionInProgress"]
    await sale.ask(VoidRedemption(channel="pos", redemption_id=hold.redemption_id))
    await sale.until_status("refunded")


async def test_a_refund_of_a_blocked_certificate_is_carried_out_when_the_block_is_lifted(sale: Sale) -> None:
    await issued(sale)
    await sale.ask(Block(reason="lost", by="anna"))
    await sale.tell(sale.refunded())
    await sale.until_told("refund.pendingDetails")
    assert await reasons(sale, "refund.pendingDetails") == ["certificateBlocked"]
    await sale.ask(Unblock(reason="found", by="anna"))
    await sale.until_status("refunded")


async def test_a_refund_that_names_no_line_asks_a_person_after_a_day(sale: Sale, other_sale: Sale) -> None:
    await both_issued(sale, other_sale)
    await sale.skip(A_DAY)
    await sale.until_told("refund.pendingDetails")
    assert await reasons(sale, "refund.pendingDetails") == ["allocationMissing"]
    assert (await sale.resolve("reject")).state.status == "issued"


async def test_a_large_refund_takes_two_persons(sale: Sale, deployment: Deployment) -> None:
    deployment.start_with(Settings(_env_file=None, refund_four_eyes_over=HALF))
    await issued(sale)
    await sale.tell(sale.refunded(PRICE + 1))
    await sale.until_told("refund.pendingDetails")
    first = await sale.resolve("approve", PRICE)
    assert (first.refusal, first.state.status) == (None, "issued")
    assert (await sale.resolve("approve", PRICE, by="boris")).state.status == "refunded"


# Spending -----------------------------------------------------------------------------------------


async def lapse(sale: Sale) -> None:
    """Let a hold run out: the sweep has the run set its timer to it."""
    await sale.wake([sale.a_wake(Signal.REQUEST_DECIDED)])
    await until(lambda: timer_is_next(sale))
    await sale.skip(timedelta(minutes=31))
    await sale.until_told("redemption.voided")


async def test_a_capture_after_the_hold_lapsed_spends_what_is_there(sale: Sale) -> None:
    await issued(sale)
    hold = await sale.hold(HALF)
    await lapse(sale)
    await sale.tell(sale.spent(hold))
    await sale.until_status("partiallyRedeemed")
    assert (await sale.row()).balance == PRICE - HALF


async def test_a_capture_after_the_hold_lapsed_is_uncovered_when_all_is_spent(sale: Sale) -> None:
    await issued(sale)
    late = await sale.hold(HALF)
    await lapse(sale)
    whole = await sale.hold(PRICE)
    await sale.tell(sale.spent(whole), sale.spent(late))
    await sale.until_told("alert.redemptionUncovered")
    assert (await sale.row()).status == "redeemed"


async def test_more_captured_than_held_leaves_the_hold_until_it_is_given_back(sale: Sale) -> None:
    await issued(sale)
    hold = await sale.hold(HALF)
    await sale.tell(replace(sale.spent(hold), amount=HALF + 1))
    await sale.until_told("alert.redemptionUncovered")
    assert await reasons(sale, "redemption.rejected") == ["exceedsHold"]
    assert (await sale.row()).held == HALF
    await sale.ask(VoidRedemption(channel="pos", redemption_id=hold.redemption_id))
    assert (await sale.row()).balance == PRICE


async def test_less_captured_than_held_frees_the_rest(sale: Sale) -> None:
    await issued(sale)
    hold = await sale.hold(HALF)
    await sale.tell(replace(sale.spent(hold), amount=1))
    await sale.until_status("partiallyRedeemed")
    row = await sale.row()
    assert (row.balance, row.held) == (PRICE - 1, 0)


async def test_a_channel_that_has_to_hold_first_and_did_not_gets_nothing(sale: Sale) -> None:
    await issued(sale)
    never = Redemption(
        redemption_id=f"never-{uuid4()}", state=RedemptionState.AUTHORIZED, order_id="POS-1", held=HALF
    )
    await sale.tell(sale.spent(never))
    await sale.until_told("alert.redemptionUncovered")
    assert await reasons(sale, "redemption.rejected") == ["holdRequired"]
    assert (await sale.row()).balance == PRICE


async def test_a_purchase_given_up_or_taken_back_restores_the_balance(sale: Sale) -> None:
    await issued(sale)
    given_up, taken = await sale.hold(HALF), await sale.hold(HALF)
    await sale.tell(sale.spent(given_up, SpendingKind.VOIDED), sale.spent(taken))
    await sale.until_status("partiallyRedeemed")
    await sale.tell(sale.spent(taken, SpendingKind.REFUNDED))
    await sale.until_status("issued")
    row = await sale.row()
    assert (row.balance, row.held) == (PRICE, 0)


async def test_what_is_left_when_validity_ends_is_breakage(sale: Sale) -> None:
    await issued(sale)
    hold = await sale.hold(HALF)
    await sale.tell(sale.spent(hold))
    await sale.until_status("partiallyRedeemed")
    await sale.skip(timedelta(days=365, minutes=1))
    await sale.until_status("expired")
    assert (await sale.events())[-1].payload["breakage"]["amount"] == PRICE - HALF
    assert (await sale.ask(sale.holding(1))).refusal in {"expired", "notActive"}
