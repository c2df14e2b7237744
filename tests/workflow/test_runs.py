"""Runs of the workflow: repeats, races with other writers, renewal, and histories of earlier code."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from temporalio import activity
from temporalio.client import WorkflowExecutionStatus, WorkflowHistory
from temporalio.worker import Replayer
from workflow_support import HISTORIES, Deployment, Sale

from activities.certificates import CertificateActivities
from activities.transition import Transition
from giftcert.contracts.payloads import DATA_CONVERTER
from tests.crashes import CrashError
from worker import sandbox
from workflows.certificate import CertificateWorkflow


async def test_a_newer_build_goes_on_in_a_new_run_in_the_middle_of_a_sale(
    sale: Sale, deployment: Deployment
) -> None:
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    first = (await sale.handle.describe()).run_id
    deployment.upgrade()
    await sale.tell(sale.authorized(), sale.captured())
    await sale.until_status("issued")

    async def renewed() -> bool:
        return (await sale.handle.describe()).run_id != first

    await sale.until(renewed)
    await sale.tell(sale.refunded())
    assert "refunded" in await sale.until_ended()
    assert [event.sequence for event in await sale.events()] == [1, 2, 3, 4]


async def test_a_message_told_to_the_run_before_renewal_is_dropped_after_it(
    sale: Sale, deployment: Deployment
) -> None:
    order, capture = sale.ordered(), sale.captured()
    await sale.tell(order)
    await sale.until_status("ordered")
    deployment.upgrade()
    await sale.tell(capture)
    await sale.until_status("issued")
    await sale.tell(order, capture, sale.refunded())
    await sale.until_status("refunded")
    assert len(await sale.events()) == 4


async def test_an_act_of_the_api_that_came_first_makes_the_workflow_decide_again(sale: Sale) -> None:
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    await sale.change_elsewhere(blocks=True)
    await sale.tell(sale.captured())
    await sale.until_status("issued")
    assert (await sale.row()).blocked


async def test_money_that_comes_while_a_deadline_loses_a_race_is_counted_before_it(
    sale: Sale,
    monkeypatch: pytest.MonkeyPatch,
    caught_up: None,  # noqa: ARG001
) -> None:
    """The release waits for PostgreSQL as a normal activity; then an act of the API is first, and the money is here."""
    applied, raced = CertificateActivities._apply, []

    async def racing(self: CertificateActivities, connection: Any, transition: Transition) -> Any:
        if not raced and any(event.event_type == "issue.released" for event in transition.events):
            if activity.info().is_local:  # which holds signals back until it is over
                raise CrashError("PostgreSQL is away")
            raced.append(transition.certificate_id)
            await sale.change_elsewhere()
            await sale.tell(sale.captured())
        return await applied(self, connection, transition)

    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    monkeypatch.setattr(CertificateActivities, "_apply", racing)
    await sale.skip(timedelta(hours=72, minutes=1))
    await sale.until_status("issued")
    assert raced
    assert await sale.event_types() == ["issue.ordered", "issue.completed", "notification.requested"]


@pytest.mark.parametrize(("step", "trouble"), [("_load", "fails"), ("_apply", "fails"), ("_apply", "hangs")])
async def test_a_certificate_outlives_a_database_that_is_away_for_long(
    sale: Sale, monkeypatch: pytest.MonkeyPatch, step: str, trouble: str
) -> None:
    """The local activity gives up; a normal one, which support sees, is tried until the database is there again."""
    done, attempts = getattr(CertificateActivities, step), []

    async def away(self: CertificateActivities, *given: Any) -> Any:
        if len(attempts) < 4:
            attempts.append("local" if activity.info().is_local else "normal")
            if trouble == "hangs" and activity.info().is_local:
                await asyncio.Event().wait()
            raise CrashError("PostgreSQL is away")
        return await done(self, *given)

    monkeypatch.setattr(CertificateActivities, step, away)
    await sale.tell(sale.ordered(), sale.captured())

    async def given_up() -> bool:
        return "normal" in attempts

    await sale.until(given_up)
    await sale.skip(timedelta(seconds=10))
    await sale.until_status("issued")
    assert attempts[0] == "local"
    assert attempts[-1] == "normal"
    assert await sale.event_types() == ["issue.ordered", "issue.completed", "notification.requested"]


async def test_a_certificate_waits_until_another_leaves_the_order_line(sale: Sale, other_sale: Sale) -> None:
    await sale.tell(sale.ordered())
    await sale.until_status("ordered")
    capture = other_sale.captured()
    await other_sale.tell(other_sale.ordered(version=2), capture)

    async def captured() -> bool:
        async with other_sale.engine.connect() as connection:
            query = text("SELECT EXISTS (SELECT FROM applied_messages WHERE message_key = :key)")
            return bool((await connection.execute(query, {"key": capture.key})).scalar_one())

    await other_sale.until(captured)
    assert (await other_sale.row()).status == "reserved"
    await sale.tell(sale.ordered(version=2, own=False))
    await sale.until_status("available")
    await other_sale.until_status("issued")
    assert (await sale.event_types())[-1] == "issue.released"


async def test_a_line_whose_certificate_is_issued_takes_no_other(sale: Sale, other_sale: Sale) -> None:
    await sale.tell(sale.ordered(), sale.captured())
    await sale.until_status("issued")
    await other_sale.tell(other_sale.ordered(version=2))
    await other_sale.until_told("error.orderConflict")
    (event,) = await other_sale.events()
    assert event.payload["reason"] == "lineAlreadyIssued"
    assert (await other_sale.row()).status == "reserved"


async def test_a_message_at_the_very_end_of_a_run_is_not_lost(sale: Sale) -> None:
    await sale.tell(sale.ordered(), sale.captured())
    await sale.until_status("issued")
    late = [sale.refunded(700_000 + number) for number in range(5)]
    await asyncio.gather(sale.tell(sale.refunded()), *(sale.tell(message) for message in late))

    async def all_applied() -> bool:
        async with sale.engine.connect() as connection:
            count = text("SELECT count(*) FROM applied_messages WHERE certificate_id = CAST(:id AS uuid)")
            applied = (await connection.execute(count, {"id": sale.certificate_id})).scalar_one()
        return bool(applied == 8)

    await sale.until(all_applied)
    assert (await sale.row()).any_refund_state == "pendingDetails"


async def test_an_unknown_certificate_fails_its_run_in_plain_words(sale: Sale) -> None:
    sale.certificate_id = "00000000-0000-7000-8000-000000000000"
    await sale.tell(sale.ordered())

    async def failed() -> bool:
        return (await sale.handle.describe()).status == WorkflowExecutionStatus.FAILED

    await sale.until(failed)


STORED = {path.stem: path.read_text() for path in sorted(HISTORIES.glob("*.json"))}


@pytest.mark.parametrize("name", STORED)
async def test_a_stored_history_replays_with_todays_code(name: str) -> None:
    replayer = Replayer(
        workflows=[CertificateWorkflow], data_converter=DATA_CONVERTER, workflow_runner=sandbox()
    )
    await replayer.replay_workflow(WorkflowHistory.from_json(f"certificate-{name}", STORED[name]))
