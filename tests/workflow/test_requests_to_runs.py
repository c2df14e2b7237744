"""What channels, CRM and support ask of a certificate whose workflow sleeps: the transaction answers, the run looks."""

import asyncio
from datetime import timedelta
from uuid import uuid4

from workflow_support import PRICE, Deployment, Sale

from giftcert.domain.certificate.messages import (
    Block,
    RequestNotification,
    SpendingKind,
    Unblock,
    VoidRedemption,
)
from giftcert.domain.certificate.state import RedemptionState
from giftcert.settings import Settings
from giftcert.temporal.signals import Signal
from tests.waiting import until


async def issued(sale: Sale) -> Sale:
    await sale.tell(sale.ordered(), sale.captured())
    await sale.until_status("issued")
    return sale


async def test_a_hold_lowers_the_balance_and_its_capture_spends_it(sale: Sale) -> None:
    await issued(sale)
    hold = await sale.hold(200_000)
    assert hold.state is RedemptionState.AUTHORIZED
    row = await sale.row()
    assert (row.balance, row.held) == (300_000, 200_000)
    await sale.tell(sale.spent(hold))
    await sale.until_status("partiallyRedeemed")
    row = await sale.row()
    assert (row.balance, row.held) == (300_000, 0)


async def test_two_tills_that_spend_one_balance_at_the_same_moment_get_one_yes(sale: Sale) -> None:
    await issued(sale)
    outcomes = await asyncio.gather(*(sale.ask(sale.holding(400_000)) for _ in range(2)))
    assert sorted(one.refusal or "yes" for one in outcomes) == ["insufficientBalance", "yes"]
    assert (await sale.row()).held == 400_000


async def test_a_refused_hold_may_be_asked_for_again(sale: Sale) -> None:
    await issued(sale)
    first = await sale.hold(500_000)
    wanted = str(uuid4())
    assert (await sale.ask(sale.holding(100_000, wanted))).refusal == "insufficientBalance"
    await sale.ask(VoidRedemption(channel="pos", redemption_id=first.redemption_id))
    assert (await sale.ask(sale.holding(100_000, wanted))).refusal is None


async def test_a_hold_lapses_at_its_time_once_the_run_was_woken(sale: Sale) -> None:
    """A hold signals nobody; the sweep, which sees that no timer is set for it, does."""
    await issued(sale)
    await sale.hold(200_000)
    await sale.wake([sale.a_wake(Signal.REQUEST_DECIDED)])
    await until(lambda: timer_is_next(sale))
    await sale.skip(timedelta(minutes=31))
    await sale.until_told("redemption.voided")
    row = await sale.row()
    assert (row.balance, row.held, row.status) == (500_000, 0, "issued")


async def timer_is_next(sale: Sale) -> bool:
    row = await sale.row()
    return bool(row.timer_at == row.next_instant)


async def test_a_redeemed_certificate_ends_its_run_and_says_why_it_pays_no_more(sale: Sale) -> None:
    await issued(sale)
    hold = await sale.hold(500_000)
    await sale.tell(sale.spent(hold))
    assert "redeemed" in await sale.until_ended()
    assert (await sale.ask(sale.holding(1))).refusal == "notActive"
    await sale.tell(sale.spent(hold, SpendingKind.REFUNDED))
    await sale.until_status("issued")
    assert (await sale.row()).balance == 500_000


async def test_a_refund_and_a_redemption_that_race_have_one_outcome(sale: Sale) -> None:
    await issued(sale)
    outcome, _ = await asyncio.gather(sale.ask(sale.holding(500_000)), sale.tell_at_once(sale.refunded()))
    if outcome.refusal is None:
        await sale.until_told("refund.pendingDetails")
        assert (await sale.row()).held == 500_000
    else:
        assert outcome.refusal in {"notActive", "refundInProgress"}
        await sale.until_status("refunded")


async def test_support_resolves_the_refund_of_a_spent_certificate(sale: Sale) -> None:
    await issued(sale)
    hold = await sale.hold(100_000)
    await sale.tell(sale.spent(hold), sale.refunded())
    await sale.until_told("refund.pendingDetails")
    outcome = await sale.resolve("approve")
    assert (outcome.refusal, outcome.state.shown_status, outcome.state.balance) == (None, "refunded", 0)
    completed, acted = (await sale.events())[-2:]
    assert (completed.event_type, acted.event_type) == ("refund.completed", "audit.operatorActed")
    assert completed.payload["taken"]["amount"] == 400_000
    assert completed.payload["uncovered"]["amount"] == 100_000
    assert (await sale.resolve("approve")).refusal == "nothing-pending"
    assert "refunded" in await sale.until_ended()


async def test_a_block_stops_spending_until_it_is_lifted(sale: Sale) -> None:
    await issued(sale)
    blocked = await sale.ask(Block(reason="lost", by="anna"))
    assert blocked.state.shown_status == "blocked"
    await until(lambda: run_says(sale, "blocked"))
    assert (await sale.ask(sale.holding(1))).refusal == "blocked"
    assert (await sale.ask(Unblock(reason="found", by="anna"))).state.shown_status == "issued"
    await until(lambda: run_says(sale, "issued"))
    assert (await sale.ask(sale.holding(1))).refusal is None


async def run_says(sale: Sale, status: str) -> bool:
    return bool(await sale.handle.query("status") == status)


async def test_the_client_is_written_to_again(sale: Sale) -> None:
    await issued(sale)
    assert (await sale.ask(RequestNotification(requested_by="anna"))).refusal is None
    assert (await sale.event_types()).count("notification.requested") == 2


async def test_a_request_that_fits_no_status_is_refused(sale: Sale) -> None:
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    assert (await sale.ask(RequestNotification(requested_by="anna"))).refusal == "statusDoesNotAllow"


async def both_issued(sale: Sale, other: Sale) -> None:
    """Two certificates of one order, and half of its money back without a word for which."""
    await sale.tell(sale.ordered(1, PRICE, other.line("2")), sale.captured(2 * PRICE))
    for one in (sale, other):
        await one.until_status("issued")
    await sale.tell(sale.refunded_without_word())
    for one in (sale, other):
        await one.until_told("refund.requested")


async def test_a_refund_without_a_line_is_given_to_one_of_two_certificates_once(
    sale: Sale, other_sale: Sale
) -> None:
    await both_issued(sale, other_sale)
    outcomes = await asyncio.gather(sale.resolve("approve"), other_sale.resolve("approve"))
    assert sorted(one.refusal or one.state.shown_status for one in outcomes) == [
        "nothing-pending",
        "refunded",
    ]
    for one in (sale, other_sale):
        await one.until_decided()
    assert sorted([(await sale.row()).status, (await other_sale.row()).status]) == ["issued", "refunded"]


async def test_the_other_certificate_is_woken_as_the_refund_was_not_its_own(
    sale: Sale, other_sale: Sale
) -> None:
    await both_issued(sale, other_sale)
    await sale.resolve("approve")
    await other_sale.until_told("refund.resolved")
    assert (await other_sale.row()).status == "issued"
    assert (await other_sale.events())[-1].payload["resolvedBy"] == "system"


async def test_changed_intervals_hold_from_where_a_certificate_next_wakes(
    sale: Sale, deployment: Deployment
) -> None:
    await issued(sale)
    await sale.tell(sale.refunded(PRICE // 2))
    await sale.until_told("refund.requested")
    deployment.start_with(Settings(_env_file=None, refund_stuck_after=timedelta(minutes=1)))
    await sale.skip(timedelta(days=7, minutes=1))
    await sale.until_told("refund.pendingDetails")
    await sale.skip(timedelta(minutes=2))
    await sale.until_told("alert.refundStuck")


async def test_a_line_is_freed_for_the_certificate_that_waits_for_it(sale: Sale, other_sale: Sale) -> None:
    """Nobody polls: the holder that lets go wakes whoever waits."""
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    await sale.commit(other_sale.ordered(2))  # the signals are lost: the holder does not look yet
    await other_sale.wake([other_sale.a_wake(Signal.ORDER_CHANGED)])
    await other_sale.until_decided()
    assert (await other_sale.row()).status == "reserved"
    await sale.wake([sale.a_wake(Signal.ORDER_CHANGED)])
    await other_sale.until_status("ordered")
    assert (await sale.row()).status == "available"
    async with sale.database.connection() as connection:
        holder = "SELECT holder::text FROM order_lines WHERE order_id = $1"
        held_by = await connection.fetchval(holder, sale.order_id)
    assert held_by == other_sale.certificate_id
