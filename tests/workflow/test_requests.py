"""What doors ask of a certificate's workflow: redemptions, decisions about refunds, blocks."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from workflow_support import Deployment, Sale

from giftcert.domain.messages import Block, RequestNotification, Unblock, VoidRedemption
from giftcert.domain.state import RedemptionState
from workflows.asking import WorkflowAwayError


async def issued(sale: Sale) -> Sale:
    await sale.tell(sale.ordered(), sale.captured())
    await sale.until_status("issued")
    return sale


async def test_a_hold_lowers_the_balance_and_its_capture_spends_it(sale: Sale) -> None:
    await issued(sale)
    hold = sale.hold(200_000)
    answer = await sale.ask(hold)
    assert (answer.refusal, answer.balance, answer.held) == (None, 300_000, 200_000)
    assert answer.redemption is not None
    assert answer.redemption.state == RedemptionState.AUTHORIZED
    await sale.tell(sale.spent(hold))
    await sale.until_status("partiallyRedeemed")
    row = await sale.row()
    assert (row.balance, row.held) == (300_000, 0)


async def test_two_tills_that_spend_one_balance_at_the_same_moment_get_one_yes(sale: Sale) -> None:
    await issued(sale)
    answers = await asyncio.gather(*(sale.ask(sale.hold(400_000)) for _ in range(2)))
    assert sorted(answer.refusal or "yes" for answer in answers) == ["insufficientBalance", "yes"]
    assert (await sale.row()).held == 400_000


async def test_a_repeated_hold_is_answered_as_it_stands_also_in_a_later_run(
    sale: Sale, deployment: Deployment
) -> None:
    await issued(sale)
    first = sale.hold(200_000)
    await sale.ask(first)
    deployment.upgrade()
    await sale.ask(VoidRedemption(key="void", channel="pos", redemption_id=first.redemption_id))
    again = await sale.ask(replace(first, key=f"{first.key}:again"))
    assert again.redemption is not None
    assert (again.redemption.state, again.balance) == (RedemptionState.VOIDED, 500_000)


async def test_a_refused_hold_may_be_asked_for_again(sale: Sale) -> None:
    await issued(sale)
    first = await sale.ask(sale.hold(500_000, other := str(uuid4())))
    assert first.refusal is None
    wanted = str(uuid4())
    assert (await sale.ask(sale.hold(100_000, wanted))).refusal == "insufficientBalance"
    await sale.ask(VoidRedemption(key="void", channel="pos", redemption_id=other))
    assert (await sale.ask(sale.hold(100_000, wanted, attempt=2))).refusal is None


async def test_a_hold_lapses_in_time(sale: Sale) -> None:
    await issued(sale)
    await sale.ask(sale.hold(200_000))
    await sale.skip(timedelta(minutes=31))
    await sale.until_told("redemption.voided")
    row = await sale.row()
    assert (row.balance, row.held, row.status) == (500_000, 0, "issued")


async def test_a_request_that_comes_too_late_is_refused(sale: Sale) -> None:
    await issued(sale)
    answer = await sale.ask(sale.hold(200_000), within=timedelta(0))
    assert answer.refusal == "too-late"
    assert (await sale.row()).held == 0


async def test_nobody_answers_while_no_worker_runs(sale: Sale) -> None:
    sale.queue = "certificates-nobody"
    with pytest.raises(WorkflowAwayError):
        await sale.ask(sale.hold(1), within=timedelta(milliseconds=300))


async def test_a_redeemed_certificate_ends_its_run_and_says_why_it_pays_no_more(sale: Sale) -> None:
    await issued(sale)
    hold = sale.hold(500_000)
    await sale.ask(hold)
    await sale.tell(sale.spent(hold))
    assert "redeemed" in await sale.until_ended()
    assert (await sale.ask(sale.hold(1))).refusal == "notActive"
    await sale.until_ended()
    await sale.tell(sale.spent(hold, "payment.refunded"))
    await sale.until_status("issued")
    assert (await sale.row()).balance == 500_000


async def test_a_refund_and_a_redemption_that_race_have_one_outcome(sale: Sale) -> None:
    await issued(sale)
    answer, _ = await asyncio.gather(sale.ask(sale.hold(500_000)), sale.tell(sale.refunded()))
    told = await sale.event_types()
    if answer.refusal is None:
        await sale.until_told("refund.pendingDetails")
        assert (await sale.row()).held == 500_000
    else:
        assert answer.refusal in {"notActive", "refundInProgress"}
        await sale.until_status("refunded")
    assert told.count("redemption.authorized") <= 1


async def test_support_resolves_the_refund_of_a_spent_certificate(sale: Sale) -> None:
    await issued(sale)
    hold = sale.hold(100_000)
    await sale.ask(hold)
    await sale.tell(sale.spent(hold), sale.refunded())
    await sale.until_told("refund.pendingDetails")
    answer = await sale.resolve("approve")
    assert (answer.refusal, answer.status, answer.balance) == (None, "refunded", 0)
    completed = (await sale.events())[-1]
    assert completed.event_type == "refund.completed"
    assert completed.payload["taken"]["amount"] == 400_000
    assert completed.payload["uncovered"]["amount"] == 100_000
    assert (await sale.resolve("approve")).refusal == "nothing-pending"


async def test_a_block_stops_spending_until_it_is_lifted(sale: Sale) -> None:
    await issued(sale)
    assert (await sale.ask(Block(key="b", reason="lost", by="anna"))).status == "blocked"
    assert (await sale.ask(sale.hold(1))).refusal == "blocked"
    assert (await sale.ask(Unblock(key="u", reason="found", by="anna"))).status == "issued"
    assert (await sale.ask(sale.hold(1))).refusal is None


async def test_the_client_is_written_to_again(sale: Sale) -> None:
    await issued(sale)
    answer = await sale.ask(RequestNotification(key="n", requested_by="anna"))
    assert answer.refusal is None
    assert (await sale.event_types()).count("notification.requested") == 2


async def test_a_request_that_fits_no_status_is_refused(sale: Sale) -> None:
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    assert (await sale.ask(RequestNotification(key="n", requested_by="anna"))).refusal == "not-allowed"
