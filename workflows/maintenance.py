"""Scheduled workflows for what no certificate's own workflow does."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.payloads import Reconciled
    from giftcert.temporal.workflow_starts import Reconciliation

ACTIVITY_LIMIT = timedelta(minutes=1)
RECONCILIATION_LIMIT = timedelta(hours=6)
HEARTBEAT_LIMIT = timedelta(hours=1)
"""The longest step of a reconciliation looks at whole tables."""
RECONCILIATION_ATTEMPTS = 3
"""The next one comes by schedule anyway."""


@workflow.defn
class BatchWorkflow:
    """Runs activities that do a batch at a time, each until it finds nothing more to do."""

    @workflow.run
    async def run(self, activities: list[str]) -> dict[str, int]:
        """Return how much each did. Where the history grows long it ends: the next run by schedule goes on."""
        done = dict.fromkeys(activities, 0)
        for activity in activities:
            batch = 1
            while batch and not workflow.info().is_continue_as_new_suggested():
                batch = await workflow.execute_activity(
                    activity, result_type=int, start_to_close_timeout=ACTIVITY_LIMIT
                )
                done[activity] += batch
        return done


@workflow.defn
class ReconciliationWorkflow:
    """Checks database, stream and workflows by the invariants; the stream hears what is newly wrong."""

    @workflow.run
    async def run(self, what: Reconciliation) -> Reconciled:
        """Return what was found and reported."""
        found: Reconciled = await workflow.execute_activity(
            "reconcile",
            what,
            result_type=Reconciled,
            start_to_close_timeout=RECONCILIATION_LIMIT,
            heartbeat_timeout=HEARTBEAT_LIMIT,
            retry_policy=RetryPolicy(maximum_attempts=RECONCILIATION_ATTEMPTS),
            summary="everything" if what.sample is None else f"a sample of {what.sample} certificates",
        )
        return found


MAINTENANCE_WORKFLOWS = (BatchWorkflow, ReconciliationWorkflow)
