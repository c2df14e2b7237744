"""Scheduled workflows that look after what no certificate's own workflow does, and the retirement of batches."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.payloads import (
        DROP_DAYS,
        FORGET_IDEMPOTENCY_KEYS,
        RECONCILE,
        RELEASE_LAPSED_RESERVATIONS,
        RESUME_RETIREMENTS,
        RETIRE_BATCH,
        Forgotten,
        Reconciled,
    )
    from giftcert.temporal.workflows import (
        RECONCILIATION_WORKFLOW,
        RESERVATION_EXPIRY_WORKFLOW,
        RETENTION_WORKFLOW,
        RETIREMENT_WORKFLOW,
        Reconciliation,
    )

ACTIVITY_LIMIT = timedelta(minutes=1)
RECONCILIATION_LIMIT = timedelta(hours=6)
HEARTBEAT_LIMIT = timedelta(minutes=2)
RECONCILIATION_ATTEMPTS = 3
"""The next one comes by schedule anyway."""


@workflow.defn(name=RESERVATION_EXPIRY_WORKFLOW)
class ReservationExpiryWorkflow:
    """Gives lapsed reservations back to the pool, batch by batch, and sees to it that retirements go on."""

    @workflow.run
    async def run(self) -> int:
        """Return how many certificates went back."""
        await workflow.execute_activity(
            RESUME_RETIREMENTS,
            start_to_close_timeout=ACTIVITY_LIMIT,
            retry_policy=RetryPolicy(maximum_attempts=1),
            summary="retirements that are not finished",
        )
        return await _until_none(
            RELEASE_LAPSED_RESERVATIONS, "reservations past their time, if ingest has caught up"
        )


@workflow.defn(name=RETENTION_WORKFLOW)
class RetentionWorkflow:
    """Forgets what counts no more: idempotency keys, batch by batch, and whole days of payments and originals."""

    @workflow.run
    async def run(self) -> Forgotten:
        """Return what was forgotten."""
        keys = await _until_none(FORGET_IDEMPOTENCY_KEYS, "keys older than the contract remembers them")
        days: list[str] = await workflow.execute_activity(
            DROP_DAYS,
            result_type=list[str],
            start_to_close_timeout=ACTIVITY_LIMIT,
            summary="days beyond their horizon",
        )
        return Forgotten(keys, tuple(days))


@workflow.defn(name=RECONCILIATION_WORKFLOW)
class ReconciliationWorkflow:
    """Holds database, stream and workflows against the invariants; the stream hears what is newly wrong."""

    @workflow.run
    async def run(self, what: Reconciliation) -> Reconciled:
        """Return what was found and reported."""
        found: Reconciled = await workflow.execute_activity(
            RECONCILE,
            what,
            result_type=Reconciled,
            start_to_close_timeout=RECONCILIATION_LIMIT,
            heartbeat_timeout=HEARTBEAT_LIMIT,
            retry_policy=RetryPolicy(maximum_attempts=RECONCILIATION_ATTEMPTS),
            summary="everything" if what.sample is None else f"a sample of {what.sample} certificates",
        )
        return found


@workflow.defn(name=RETIREMENT_WORKFLOW)
class RetirementWorkflow:
    """Retires the certificates of one operation, batch by batch; how far it came stands in the database."""

    @workflow.run
    async def run(self, operation_id: str) -> None:
        """Carry the operation to its end."""
        finished = False
        while not finished:
            finished = await workflow.execute_activity(
                RETIRE_BATCH,
                operation_id,
                result_type=bool,
                start_to_close_timeout=ACTIVITY_LIMIT,
                summary="the next certificates of the batch",
            )
            if workflow.info().is_continue_as_new_suggested() and not finished:
                workflow.continue_as_new(operation_id)


MAINTENANCE_WORKFLOWS = (
    ReservationExpiryWorkflow,
    RetentionWorkflow,
    ReconciliationWorkflow,
    RetirementWorkflow,
)


async def _until_none(activity: str, summary: str) -> int:
    """Run an activity, which does a batch at a time, until it finds nothing; return how much it did."""
    done = 0
    while True:
        batch: int = await workflow.execute_activity(
            activity, result_type=int, start_to_close_timeout=ACTIVITY_LIMIT, summary=summary
        )
        done += batch
        if batch == 0:
            return done
