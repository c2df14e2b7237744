"""Scheduled workflows that look after what no certificate's own workflow does."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.sweeping import (
        DROP_PAYMENT_DAYS,
        FORGET_IDEMPOTENCY_KEYS,
        RECONCILE,
        RELEASE_LAPSED_RESERVATIONS,
        Expired,
        Reconciled,
        Reconciliation,
    )

ACTIVITY_LIMIT = timedelta(minutes=1)
RECONCILIATION_LIMIT = timedelta(hours=6)
SIGN_OF_LIFE = timedelta(minutes=2)
RECONCILIATION_ATTEMPTS = 3
"""The next one comes by schedule anyway."""


@workflow.defn(name="ReservationSweepWorkflow")
class ReservationSweepWorkflow:
    """Gives lapsed reservations back to the pool, batch by batch, until none is left that may go."""

    @workflow.run
    async def run(self) -> int:
        """Return how many certificates went back."""
        return await _until_none(
            RELEASE_LAPSED_RESERVATIONS, "reservations past their time, if ingest has caught up"
        )


@workflow.defn(name="ExpiryWorkflow")
class ExpiryWorkflow:
    """Forgets what counts no more: idempotency keys, batch by batch, and whole days of unmatched payments."""

    @workflow.run
    async def run(self) -> Expired:
        """Return what was forgotten."""
        keys = await _until_none(FORGET_IDEMPOTENCY_KEYS, "keys older than the contract remembers them")
        days: list[str] = await workflow.execute_activity(
            DROP_PAYMENT_DAYS,
            result_type=list[str],
            start_to_close_timeout=ACTIVITY_LIMIT,
            summary="payments whose order never named a certificate",
        )
        return Expired(keys, tuple(days))


@workflow.defn(name="ReconciliationWorkflow")
class ReconciliationWorkflow:
    """Holds database, stream and workflows against the invariants; the stream is told what is newly wrong."""

    @workflow.run
    async def run(self, what: Reconciliation) -> Reconciled:
        """Return what was found and told."""
        found: Reconciled = await workflow.execute_activity(
            RECONCILE,
            what,
            result_type=Reconciled,
            start_to_close_timeout=RECONCILIATION_LIMIT,
            heartbeat_timeout=SIGN_OF_LIFE,
            retry_policy=RetryPolicy(maximum_attempts=RECONCILIATION_ATTEMPTS),
            summary="everything" if what.sample is None else f"a sample of {what.sample} certificates",
        )
        return found


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
