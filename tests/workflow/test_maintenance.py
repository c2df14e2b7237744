"""Scheduled workflows, started directly: the test server has no schedules."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.client import ScheduleOverlapPolicy, WorkflowFailureError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from workflow_support import Deployment

from activities.maintenance import MaintenanceActivities
from activities.payloads import Reconciled
from giftcert.settings import Settings
from giftcert.storage.day_partitions import make_days
from giftcert.storage.unmatched_payments import UnmatchedPaymentRepository
from giftcert.temporal.schedules import schedules
from giftcert.temporal.workflow_starts import Reconciliation
from tests.sandbox import sandbox
from workflows.maintenance import (
    MAINTENANCE_WORKFLOWS,
    RECONCILIATION_ATTEMPTS,
    BatchWorkflow,
    ReconciliationWorkflow,
)

pytestmark = pytest.mark.integration
RETENTION = ["forget_idempotency_keys", "drop_days"]
REMEMBER = """
    INSERT INTO idempotency_keys (caller_key, parameters, answer, answered_at)
    SELECT int4send(n), '', '[]', now() - $3::interval FROM generate_series($1::int, $2::int) AS n
"""


def maintenance(deployment: Deployment) -> MaintenanceActivities:
    return MaintenanceActivities(
        deployment.database, deployment.settings, deployment.lifecycle, deployment.environment.client
    )


async def run(
    environment: WorkflowEnvironment, workflow: object, activities: list[object], *arguments: object
) -> object:
    queue = f"maintenance-{uuid4().hex[:8]}"
    async with Worker(
        environment.client,
        task_queue=queue,
        workflows=MAINTENANCE_WORKFLOWS,
        activities=activities,  # type: ignore[arg-type] # of several shapes
        workflow_runner=sandbox(),
    ):
        return await environment.client.execute_workflow(
            workflow,  # type: ignore[arg-type] # of several shapes
            args=arguments,
            id=queue,
            task_queue=queue,
        )


async def test_old_keys_and_days_of_payments_are_forgotten_and_nothing_else(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment, database = deployment.environment, deployment.database
    monkeypatch.setattr("activities.maintenance.KEYS_AT_ONCE", 3)
    today = datetime.now(UTC).date()
    async with database.transaction() as connection:
        await connection.execute("DELETE FROM idempotency_keys")  # of other tests
        await connection.execute(REMEMBER, 1, 7, timedelta(hours=25))
        await connection.execute(REMEMBER, 8, 9, timedelta(hours=23))
        await make_days(connection, "unmatched_payments", today - timedelta(days=91), 2)
        await UnmatchedPaymentRepository(connection).keep(
            [(today - timedelta(days=91), "IM-1", "All_Payments", 0, 1, b"")]
        )

    activities = list(maintenance(deployment).all)
    done = await run(environment, BatchWorkflow.run, activities, RETENTION)

    assert done == {"forget_idempotency_keys": 7, "drop_days": 1}
    async with database.connection() as connection:
        left = await connection.fetch("SELECT caller_key FROM idempotency_keys ORDER BY 1")
        assert [int.from_bytes(row["caller_key"]) for row in left] == [8, 9]
        day = f"unmatched_payments_{today - timedelta(days=91):%Y%m%d}"
        assert await connection.fetchval("SELECT to_regclass($1)", day) is None
    again = await run(environment, BatchWorkflow.run, activities, RETENTION)
    assert again == {"forget_idempotency_keys": 0, "drop_days": 0}


async def test_what_fails_for_once_is_tried_again(deployment: Deployment) -> None:
    attempts: list[int] = []

    @activity.defn(name="forget_idempotency_keys")
    async def fails_at_first() -> int:
        attempts.append(1)
        if len(attempts) == 1:
            raise OSError("PostgreSQL is away")
        return 0

    others = maintenance(deployment)
    activities = [fails_at_first, others.drop_days]
    done = await run(deployment.environment, BatchWorkflow.run, activities, RETENTION)
    assert (done, len(attempts)) == ({"forget_idempotency_keys": 0, "drop_days": 0}, 2)


async def test_a_reconciliation_is_told_what_to_look_at(environment: WorkflowEnvironment) -> None:
    asked: list[Reconciliation] = []

    @activity.defn
    async def reconcile(what: Reconciliation) -> Reconciled:
        asked.append(what)
        return Reconciled({"6": 2}, 1)

    for what in (Reconciliation(5), Reconciliation()):
        done = await run(environment, ReconciliationWorkflow.run, [reconcile], what)
        assert done == Reconciled({"6": 2}, 1)
    assert asked == [Reconciliation(5), Reconciliation()]


async def test_a_reconciliation_that_cannot_be_done_leaves_it_to_the_next(
    environment: WorkflowEnvironment,
) -> None:
    attempts: list[int] = []

    @activity.defn
    async def reconcile(_: Reconciliation) -> Reconciled:
        attempts.append(1)
        raise OSError("Kafka is away")

    with pytest.raises(WorkflowFailureError):
        await run(environment, ReconciliationWorkflow.run, [reconcile], Reconciliation())
    assert len(attempts) == RECONCILIATION_ATTEMPTS


async def test_retirements_go_on_batch_by_batch_until_none_is_left(environment: WorkflowEnvironment) -> None:
    """A batch that crashed is done again."""
    left = [OSError("PostgreSQL is away"), 1, 1, 0]

    @activity.defn
    async def retire_batch() -> int:
        now = left.pop(0)
        if isinstance(now, OSError):
            raise now
        return now

    done = await run(environment, BatchWorkflow.run, [retire_batch], ["retire_batch"])
    assert done == {"retire_batch": 2}
    assert left == []


@pytest.mark.parametrize("schedule", ["reservation-expiry", "retirement"])
async def test_where_nothing_is_to_do_nothing_is_done(deployment: Deployment, schedule: str) -> None:
    [batches] = schedules(deployment.settings)[schedule].action.args  # type: ignore[union-attr]
    done = await run(deployment.environment, BatchWorkflow.run, list(maintenance(deployment).all), batches)
    assert done == dict.fromkeys(batches, 0)


def test_every_maintenance_activity_and_workflow_has_a_schedule(deployment: Deployment) -> None:
    due = [one.action for one in schedules(deployment.settings).values()]
    batches = [name for one in due if one.workflow == "BatchWorkflow" for name in one.args[0]]  # type: ignore[union-attr]
    assert {*batches, "reconcile"} == {one.__name__ for one in maintenance(deployment).all}
    scheduled = {one.action.workflow for one in schedules(Settings(_env_file=None)).values()}  # type: ignore[union-attr]
    assert scheduled == {one.__name__ for one in MAINTENANCE_WORKFLOWS}


def test_a_sample_is_due_every_hour_and_everything_every_night() -> None:
    due = schedules(Settings(_env_file=None))
    assert due["reconciliation-of-a-sample"].action.args == (Reconciliation(2_000),)  # type: ignore[union-attr]
    assert due["reconciliation-of-a-sample"].spec.intervals[0].every == timedelta(hours=1)
    assert due["reconciliation"].action.args == (Reconciliation(),)  # type: ignore[union-attr]
    assert due["reconciliation"].spec.calendars[0].hour[0].start == 3
    assert due["retention"].spec.intervals[0].every == timedelta(hours=1)


def test_a_run_that_no_build_can_go_on_with_ends_in_time_for_the_next() -> None:
    for schedule in schedules(Settings(_env_file=None)).values():
        limit = schedule.action.execution_timeout  # type: ignore[union-attr]
        assert limit is not None
        assert limit <= timedelta(hours=19)


def test_no_run_is_overtaken_and_only_a_missed_night_is_made_up_for() -> None:
    due = schedules(Settings(_env_file=None))
    assert {one.policy.overlap for one in due.values()} == {ScheduleOverlapPolicy.SKIP}
    made_up_for = {name: one.policy.catchup_window for name, one in due.items()}
    assert made_up_for.pop("reconciliation") == timedelta(hours=20)
    assert set(made_up_for.values()) == {timedelta(minutes=1)}
