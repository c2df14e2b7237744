"""Runs of the workflow on the real transaction: lost signals, lost runs, races, and histories of earlier code."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio import activity, workflow
from temporalio.client import WorkflowExecutionStatus, WorkflowHistory, WorkflowUpdateFailedError
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, WorkflowRunner
from workflow_support import HISTORIES, PRICE, Sale

from giftcert.domain.certificate import sale as sale_rules
from giftcert.domain.certificate.messages import Block
from giftcert.lifecycle.change import Lifecycle
from giftcert.temporal.client import DATA_CONVERTER
from giftcert.temporal.signals import Signal
from giftcert.temporal.workflow_starts import CertificateInput
from tests.crashes import CrashError
from tests.sandbox import sandbox
from tests.waiting import until
from workflows.certificate import CertificateWorkflow

# Signals and runs that are lost -------------------------------------------------------------------


async def test_a_lost_signal_is_made_up_for_by_any_later_one(sale: Sale) -> None:
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    await sale.commit(sale.captured())
    await sale.wake([sale.a_wake(Signal.ORDER_CHANGED)])
    await sale.until_status("issued")


async def test_a_run_that_somebody_cancelled_goes_on(sale: Sale) -> None:
    await sale.tell(sale.ordered())
    run_id = (await sale.handle.describe()).run_id
    await sale.handle.cancel()
    await sale.tell(sale.captured())
    assert (await sale.row()).status == "issued"
    assert (await sale.handle.describe()).run_id == run_id


async def test_a_run_that_somebody_terminated_is_healed_by_the_next_signal(sale: Sale) -> None:
    await sale.tell(sale.ordered())
    await sale.handle.terminate()
    await sale.tell(sale.captured())
    assert await sale.handle.query("status") == "issued"
    assert [event.sequence for event in await sale.events()] == [1, 2, 3]


@pytest.mark.parametrize("name", ["payment_captured", "order_created", "mint_me_a_certificate"])
async def test_a_forged_signal_changes_nothing_of_a_certificate(sale: Sale, name: str) -> None:
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    before = await sale.row()
    for argument in ({"cause": "pay-1", "order_id": sale.order_id}, {"amount": 500_000}, "issued"):
        await sale.handle.signal(name, argument)
    await until(lambda: has_looked(sale, 4))
    assert await sale.row() == before
    assert await sale.event_types() == ["issue.ordered"]


async def has_looked(sale: Sale, times: int) -> bool:
    history = await sale.handle.fetch_history()
    looks = sum(event.HasField("marker_recorded_event_attributes") for event in history.events)
    signals = sum(event.HasField("workflow_execution_signaled_event_attributes") for event in history.events)
    return signals >= times and looks >= 2 and history.events[-1].HasField("marker_recorded_event_attributes")


async def test_an_update_that_somebody_sends_is_refused(sale: Sale) -> None:
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    before = await sale.row()
    with pytest.raises(WorkflowUpdateFailedError):
        await sale.handle.execute_update("issue", {"amount": PRICE})
    assert await sale.row() == before
    assert await sale.event_types() == ["issue.ordered"]


async def test_a_second_run_that_somebody_starts_for_a_certificate_changes_nothing_of_it(sale: Sale) -> None:
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    second = await sale.environment.client.start_workflow(
        CertificateWorkflow.run,
        CertificateInput(sale.certificate_id),
        id=f"copy-of-{sale.certificate_id}",
        task_queue=(await sale.handle.describe()).task_queue,
    )

    async def has_seen() -> bool:
        return await second.query(CertificateWorkflow.status) == "ordered"

    await until(has_seen)
    await sale.tell(sale.captured())
    await sale.until_status("issued")
    assert await sale.event_types() == ["issue.ordered", "issue.completed", "notification.requested"]
    await second.terminate()


async def test_a_forged_start_for_a_certificate_in_the_pool_ends_at_once(sale: Sale) -> None:
    before = await sale.row()
    await sale.wake([sale.a_wake(Signal.ORDER_CREATED)])
    assert "nothing is open" in await sale.until_ended()
    assert (await sale.row(), await sale.events()) == (before, [])


async def test_a_forged_start_without_a_certificate_fails_in_plain_words(sale: Sale) -> None:
    sale.certificate_id = str(uuid4())
    await sale.wake([sale.a_wake(Signal.ORDER_CREATED)])

    async def failed() -> bool:
        return (await sale.handle.describe()).status == WorkflowExecutionStatus.FAILED

    await until(failed)
    assert await sale.events() == []


# Races --------------------------------------------------------------------------------------------


async def test_an_act_of_support_in_the_middle_of_a_sale_is_seen(sale: Sale) -> None:
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    await sale.ask(Block(reason="lost", by="anna"))
    await sale.tell(sale.captured())
    await sale.until_status("issued")
    assert (await sale.row()).blocked
    assert (await sale.events())[-1].status == "blocked"


async def test_money_that_comes_while_a_deadline_is_late_is_counted_before_it(
    sale: Sale,
    monkeypatch: pytest.MonkeyPatch,
    caught_up: None,  # noqa: ARG001
) -> None:
    """The release waits for PostgreSQL as a normal activity; then the money is here first."""
    done, raced = Lifecycle.advance, []

    async def racing(self: Lifecycle, *given: Any, **named: Any) -> Any:
        if not raced:
            if activity.info().is_local:
                raise CrashError("PostgreSQL is away")
            raced.append(True)
            await sale.commit(sale.captured())
        return await done(self, *given, **named)

    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    await sale.until_decided()
    monkeypatch.setattr(Lifecycle, "advance", racing)
    await sale.skip(timedelta(hours=72, minutes=1))
    await sale.until_status("issued")
    assert raced
    assert await sale.event_types() == ["issue.ordered", "issue.completed", "notification.requested"]


async def test_a_certificate_waits_until_another_leaves_the_order_line(sale: Sale, other_sale: Sale) -> None:
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    await sale.commit(other_sale.ordered(2))
    await other_sale.tell(other_sale.captured())
    await other_sale.until_status("issued")
    assert (await sale.event_types())[-1] == "issue.released"


async def test_a_line_whose_certificate_is_issued_takes_no_other(sale: Sale, other_sale: Sale) -> None:
    await sale.tell(sale.ordered(), sale.captured())
    await sale.until_status("issued")
    await other_sale.tell(other_sale.ordered(2))
    await other_sale.until_told("error.orderConflict")
    (event,) = await other_sale.events()
    assert event.payload["reason"] == "lineAlreadyIssued"
    assert (await other_sale.row()).status == "reserved"


async def test_a_message_at_the_very_end_of_a_run_is_not_lost(sale: Sale) -> None:
    await sale.tell(sale.ordered(), sale.captured())
    await sale.until_status("issued")
    late = [sale.refunded(700_000 + number) for number in range(5)]
    await asyncio.gather(*(sale.tell_at_once(message) for message in (sale.refunded(), *late)))
    await sale.until_decided()
    assert (await sale.row()).any_refund_state == "pendingDetails"


# Histories ----------------------------------------------------------------------------------------

STORED = {path.stem: path.read_text() for path in sorted(HISTORIES.glob("*.json"))}


async def replay(history: WorkflowHistory, runner: WorkflowRunner | None = None) -> None:
    replayer = Replayer(
        workflows=[CertificateWorkflow], data_converter=DATA_CONVERTER, workflow_runner=runner or sandbox()
    )
    await replayer.replay_workflow(history)


@pytest.mark.parametrize("name", STORED)
async def test_a_stored_history_replays_with_todays_code(name: str) -> None:
    await replay(WorkflowHistory.from_json(f"certificate-{name}", STORED[name]))


async def test_a_changed_rule_leaves_histories_valid(sale: Sale, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a run the rule of what pays a line changes; what the run did before, and after, replays."""
    await sale.tell(sale.ordered(), sale.captured(PRICE // 2))
    await sale.until_decided()
    assert (await sale.row()).status == "ordered"
    before = await sale.handle.fetch_history()
    monkeypatch.setattr(sale_rules, "is_paid", lambda *_: True)
    await replay(before)
    await sale.tell(sale.captured(1))
    await sale.until_status("issued")
    await replay(await sale.handle.fetch_history())


async def test_a_changed_command_breaks_the_replay_of_a_history(
    sale: Sale, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What replaying stored histories is for: a timer too many is noticed."""
    await sale.tell(sale.ordered(), sale.captured())
    await sale.until_status("issued")
    history = await sale.handle.fetch_history()
    await replay(history, runner=UnsandboxedWorkflowRunner())
    monkeypatch.setattr(CertificateWorkflow, "_set_timer", lambda *_: None)
    with pytest.raises(workflow.NondeterminismError):
        await replay(history, runner=UnsandboxedWorkflowRunner())
