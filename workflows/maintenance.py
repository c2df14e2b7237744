"""Scheduled workflows that look after what no certificate's own workflow does."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.sweeping import RELEASE_LAPSED_RESERVATIONS

ACTIVITY_LIMIT = timedelta(minutes=1)


@workflow.defn(name="ReservationSweepWorkflow")
class ReservationSweepWorkflow:
    """Gives lapsed reservations back to the pool, batch by batch, until none is left that may go."""

    @workflow.run
    async def run(self) -> int:
        """Return how many certificates went back."""
        released = 0
        while True:
            batch: int = await workflow.execute_activity(
                RELEASE_LAPSED_RESERVATIONS,
                result_type=int,
                start_to_close_timeout=ACTIVITY_LIMIT,
                summary="reservations past their time, if ingest has caught up",
            )
            released += batch
            if batch == 0:
                return released
