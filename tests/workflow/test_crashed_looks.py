"""A crash between any two steps of a look at a certificate: it ends as if nothing had happened."""

import asyncio
from datetime import timedelta

import pytest
from test_requests_to_runs import both_issued, issued
from test_sale import ISSUED
from workflow_support import Sale

from activities import certificate
from giftcert.domain.certificate.messages import Block, Request
from giftcert.lifecycle import change, order_changes
from giftcert.lifecycle.change import Lifecycle
from giftcert.lifecycle.idempotency import idempotency_key
from giftcert.lifecycle.release_gate import ReleaseGate
from giftcert.lifecycle.requests import Outcome
from giftcert.temporal.signals import Signal
from tests.crashes import AFTER, CrashError, Step, around_each, crash

STEPS: tuple[Step, ...] = (
    (change, "lock"),
    (change, "load_locked"),
    (change, "write"),
    (Lifecycle, "_write"),  # leaving it, all but the commit is done
)


@around_each(*STEPS, (Lifecycle, "advance"), (certificate, "send_wakes"))
async def test_a_crash_around_a_step_leaves_no_trace(
    sale: Sale, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    happened = crash(monkeypatch, step, moment)
    await sale.tell_at_once(sale.ordered(), sale.captured())
    await sale.skip(timedelta(seconds=5))  # past the wait before the next attempt
    await sale.until_status("issued")
    assert happened.is_set()
    assert await sale.event_types() == ISSUED
    assert [event.sequence for event in await sale.events()] == [1, 2, 3]


@around_each(*STEPS, (Lifecycle, "act"))
async def test_a_block_that_crashed_is_made_once_when_it_is_repeated_under_its_key(
    sale: Sale, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    await issued(sale)
    outcome = await crash_and_repeat(sale, Block(reason="lost", by="anna"), monkeypatch, step, moment)
    assert (outcome.refusal, outcome.state.shown_status) == (None, "blocked")
    assert (await sale.event_types()).count("audit.blocked") == 1


@around_each((change, "write"), (Lifecycle, "act"))
async def test_a_hold_that_crashed_is_held_once_when_it_is_repeated_under_its_key(
    sale: Sale, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    await issued(sale)
    outcome = await crash_and_repeat(sale, sale.holding(200_000), monkeypatch, step, moment)
    assert (outcome.refusal, outcome.state.balance, outcome.state.held) == (None, 300_000, 200_000)
    assert (await sale.event_types()).count("redemption.authorized") == 1


async def crash_and_repeat(
    sale: Sale, request: Request, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> Outcome:
    """Ask under a key with a crash at a step, and again under the same key."""
    lifecycle = sale.deployment.lifecycle
    key = idempotency_key(sale.deployment.keyring, "till", "POST", sale.order_id, b"", kept=True)
    now = await sale.now()
    happened = crash(monkeypatch, step, moment)
    with pytest.raises(CrashError):
        await lifecycle.act(sale.certificate_id, request, now, key=key)
    assert happened.is_set()
    return await lifecycle.act(sale.certificate_id, request, now, key=key)


@around_each((ReleaseGate, "is_open"), *STEPS, (Lifecycle, "advance"))
async def test_a_crash_while_an_unpaid_certificate_is_released_releases_it_once(
    sale: Sale,
    monkeypatch: pytest.MonkeyPatch,
    caught_up: None,  # noqa: ARG001
    step: Step,
    moment: str,
) -> None:
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    await sale.until_decided()
    happened = crash(monkeypatch, step, moment)
    await sale.skip(timedelta(hours=72, minutes=1))
    assert "available" in await sale.until_ended()
    assert happened.is_set()
    assert await sale.event_types() == ["issue.ordered", "alert.unpaid", "issue.released"]


@around_each((order_changes, "revise"), (order_changes, "save"), *STEPS)
async def test_a_crash_while_a_share_of_a_refund_is_decided_gives_it_once(
    sale: Sale, other_sale: Sale, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    await both_issued(sale, other_sale)
    for one in (sale, other_sale):
        await one.until_decided()
    happened = crash(monkeypatch, step, moment)
    with pytest.raises(CrashError):
        await sale.resolve("approve")
    assert happened.is_set()
    assert (await sale.resolve("approve")).state.status == "refunded"
    await other_sale.until_told("refund.resolved")
    assert (await other_sale.row()).status == "issued"


@around_each((order_changes, "save"), (change, "write"))
async def test_a_crash_while_a_line_is_let_go_loses_nobody_who_waits_for_it(
    sale: Sale, other_sale: Sale, monkeypatch: pytest.MonkeyPatch, step: Step, moment: str
) -> None:
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    await sale.commit(other_sale.ordered(2))
    await other_sale.wake([other_sale.a_wake(Signal.ORDER_CHANGED)])
    await other_sale.until_decided()
    happened = crash(monkeypatch, step, moment)
    await sale.wake([sale.a_wake(Signal.ORDER_CHANGED)])
    await happened.wait()
    await sale.skip(timedelta(seconds=5))
    await sale.until_status("available")
    await other_sale.until_status("ordered")
    assert await other_sale.event_types() == ["issue.ordered"]


async def test_an_answer_lost_after_the_commit_changes_nothing_when_it_looks_again(
    sale: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = crash(monkeypatch, (Lifecycle, "advance"), AFTER, nth=2)
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    await sale.tell_at_once(sale.captured())
    await asyncio.wait_for(lost.wait(), 30)
    await sale.skip(timedelta(seconds=5))
    await sale.until_status("issued")
    assert await sale.event_types() == ISSUED
