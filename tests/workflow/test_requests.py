"""What doors ask of a certificate's workflow: redemptions, decisions about refunds, blocks."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text
from workflow_support import PRICE, Deployment, Sale

from giftcert.contracts.codec import decode_message
from giftcert.domain.messages import Block, RequestNotification, Unblock, VoidRedemption
from giftcert.domain.state import RedemptionState
from giftcert.settings import Settings
from giftcert.storage.deliveries import DeliveryRepository
from workflows.asking import WorkflowAwayError
from workflows.names import CHANGED_ELSEWHERE


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


async def test_what_is_decided_again_after_its_caller_gave_up_is_refused(sale: Sale) -> None:
    """Another changed the certificate first, and took so long that the caller was told to ask again."""
    await issued(sale)
    hold = sale.hold(200_000)
    async with sale.changing_elsewhere():
        with pytest.raises(WorkflowAwayError):
            await sale.ask(hold, within=timedelta(seconds=1.5))
        given_up = await sale.environment.get_current_time() + timedelta(seconds=0.5)
        await sale.until(lambda: has_come(sale, given_up))
    answer = await sale.ask(sale.hold(100_000))
    assert (answer.refusal, answer.balance, answer.held) == (None, 400_000, 100_000)
    assert (await sale.ask(replace(hold, key="again"))).held == 300_000


async def has_come(sale: Sale, instant: datetime) -> bool:
    return await sale.environment.get_current_time() >= instant


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


async def map_to_order(*sales: Sale) -> None:
    """Know, as ingest does, which certificates an order has."""
    order_id = sales[0].order_id
    async with sales[0].engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO orders (order_id, version, snapshot) VALUES (:order_id, 1, '{}')"),
            {"order_id": order_id},
        )
        await connection.execute(
            text("INSERT INTO order_certificates VALUES (:order_id, CAST(:id AS uuid))"),
            [{"order_id": order_id, "id": one.certificate_id} for one in sales],
        )


async def both_issued(sale: Sale, other: Sale) -> None:
    """Two certificates of one order, and half of its money back without a word for which."""
    await map_to_order(sale, other)
    capture, refund = sale.captured(2 * PRICE), sale.refunded_without_word()
    for one, line in ((sale, "1"), (other, "2")):
        await one.tell(one.ordered_with_another(line), capture)
        await one.until_status("issued")
        await one.tell(refund)
        await one.until_told("refund.requested")


async def test_a_refund_without_a_line_is_given_to_one_of_two_certificates_once(
    sale: Sale, other_sale: Sale
) -> None:
    await both_issued(sale, other_sale)
    answers = await asyncio.gather(sale.resolve("approve"), other_sale.resolve("approve"))
    assert sorted(answer.refusal or answer.status for answer in answers) == ["nothing-pending", "refunded"]
    async with sale.engine.connect() as connection:
        query = text("SELECT sum(amount) FROM refund_shares WHERE order_id = :order_id")
        assert (await connection.execute(query, {"order_id": sale.order_id})).scalar_one() == PRICE


async def test_the_other_certificate_hears_by_a_delivery_that_the_refund_was_not_its_own(
    sale: Sale, other_sale: Sale
) -> None:
    await both_issued(sale, other_sale)
    await sale.resolve("approve")
    async with sale.engine.begin() as connection:
        (waiting,) = await DeliveryRepository(connection).unsent_of([other_sale.certificate_id])
    await other_sale.tell(decode_message(waiting.message))
    await other_sale.until_told("refund.resolved")
    assert (await other_sale.row()).status == "issued"
    assert (await other_sale.events())[-1].payload["resolvedBy"] == "system"


async def test_changed_intervals_hold_from_where_a_certificate_next_wakes(
    sale: Sale, deployment: Deployment
) -> None:
    await issued(sale)
    await sale.tell(sale.refunded(PRICE // 2))
    hasty = Settings(_env_file=None, refund_stuck_after=timedelta(minutes=1))
    deployment.restart_with(hasty)
    await sale.skip(timedelta(days=7, minutes=1))
    await sale.until_told("refund.pendingDetails")
    await sale.skip(timedelta(minutes=2))
    await sale.until_told("alert.refundStuck")


async def test_a_change_made_without_the_workflow_is_seen_when_it_is_told(sale: Sale) -> None:
    await sale.tell(sale.ordered(), sale.authorized())
    await sale.until_status("ordered")
    await sale.change_elsewhere(blocks=True)
    await sale.handle.signal(CHANGED_ELSEWHERE)

    async def is_known() -> bool:
        return bool((await sale.handle.query("state"))["blocked"])

    await sale.until(is_known)
    await sale.tell(sale.captured())
    await sale.until_status("issued")
    assert (await sale.events())[-1].status == "blocked"
    async with (
        sale.engine.connect() as connection
    ):  # the authorisation, till then only remembered, is among them
        applied = text("SELECT count(*) FROM applied_messages WHERE certificate_id = CAST(:id AS uuid)")
        assert (await connection.execute(applied, {"id": sale.certificate_id})).scalar_one() == 3
