"""Scheduled workflows that look after what no certificate's own workflow does, and the retirement of batches."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.payloads import Forgotten, Reconciled
    from giftcert.temporal.workflow_starts import Reconciliation

ACTIVITY_LIMIT = timedelta(minutes=1)
RECONCILIATION_LIMIT = timedelta(hours=6)
HEARTBEAT_LIMIT = timedelta(minutes=2)
RECONCILIATION_ATTEMPTS = 3
"""The next one comes by schedule anyway."""


@workflow.defn
class ReservationExpiryWorkflow:
    """Gives lapsed reservations back to the pool, batch by batch."""

    @workflow.run
    async def run(self) -> int:
        """Return how many certificates went back."""
        return await _until_none(
            "release_lapsed_reservations", "reservations past their time, if ingest has caught up"
        )


@workflow.defn
class RetentionWorkflow:
    """Forgets what counts no more: idempotency keys, batch by batch, and whole days of payments and originals."""

    @workflow.run
    async def run(self) -> Forgotten:
        """Return what was forgotten."""
        keys = await _until_none("forget_idempotency_keys", "keys older than the contract remembers them")
        days: list[str] = await workflow.execute_activity(
            "drop_days",
            result_type=list[str],
            start_to_close_timeout=ACTIVITY_LIMIT,
            summary="days beyond their horizon",
        )
        return Forgotten(keys, tuple(days))


@workflow.defn
class ReconciliationWorkflow:
    """Holds database, stream and workflows against the invariants; the stream hears what is newly wrong."""

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


@workflow.defn
class RetirementWorkflow:
    """Retires the certificates of all operations, batch by batch; how far each came stands in the database."""

    @workflow.run
    async def run(self) -> int:
        """Carry the operations to their ends; return in how many batches."""
        return await _until_none("retire_batch", "the next certificates of an operation")


MAINTENANCE_WORKFLOWS = (
    ReservationExpiryWorkflow,
    RetentionWorkflow,
    ReconciliationWorkflow,
    RetirementWorkflow,
)


async def _until_none(activity: str, summary: str) -> int:
    """Run an activity, which does a batch at a time, until it finds nothing; return how much it did.

    Where the history grows long it ends before that: the next run by schedule goes on.
    """
    done = 0
    while True:
        batch: int = await workflow.execute_activity(
            activity, result_type=int, start_to_close_timeout=ACTIVITY_LIMIT, summary=summary
        )
        done += batch
        if batch == 0 or workflow.info().is_continue_as_new_suggested():
            return done
