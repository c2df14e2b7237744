"""The schedules that `giftcert setup` makes or brings up to date."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleUpdate,
)

from activities.sweeping import Reconciliation
from giftcert.settings import Settings
from workflows.maintenance import ExpiryWorkflow, ReconciliationWorkflow, ReservationSweepWorkflow
from workflows.names import MAINTENANCE_QUEUE

A_NIGHT_LATE = timedelta(hours=20)
"""A nightly run that was due while Temporal was away is made up for so long, before the next one comes."""
SOON = timedelta(minutes=1)
"""Frequent runs that were missed are not made up for: the next one does their work too."""
RESERVATION_SWEEP = "reservation-sweep"
EXPIRY = "expiry"
SAMPLE_RECONCILIATION = "reconciliation-of-a-sample"
WHOLE_RECONCILIATION = "reconciliation"


def schedules(settings: Settings) -> Mapping[str, Schedule]:
    """Return all schedules by their ids; while a run still goes on, or waits for a worker, the next is left out."""
    sample = Reconciliation(settings.reconciliation_sample)
    nightly = ScheduleCalendarSpec(hour=[ScheduleRange(settings.reconciliation_hour)])
    return {
        RESERVATION_SWEEP: _schedule(
            RESERVATION_SWEEP, _every(settings.reservation_sweep_every), ReservationSweepWorkflow.run
        ),
        EXPIRY: _schedule(EXPIRY, _every(settings.expiry_every), ExpiryWorkflow.run),
        SAMPLE_RECONCILIATION: _schedule(
            SAMPLE_RECONCILIATION, _every(settings.reconciliation_every), ReconciliationWorkflow.run, sample
        ),
        WHOLE_RECONCILIATION: _schedule(
            WHOLE_RECONCILIATION,
            ScheduleSpec(calendars=[nightly]),
            ReconciliationWorkflow.run,
            Reconciliation(),
            made_up_for=A_NIGHT_LATE,
        ),
    }


async def ensure_schedules(client: Client, settings: Settings) -> None:
    """Make the schedules, or bring them up to the settings if they are there."""
    for name, wanted in schedules(settings).items():
        await _ensure(client, name, wanted)


async def _ensure(client: Client, name: str, wanted: Schedule) -> None:
    try:
        await client.create_schedule(name, wanted)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(name).update(lambda _: ScheduleUpdate(schedule=wanted))


def _every(interval: timedelta) -> ScheduleSpec:
    return ScheduleSpec(intervals=[ScheduleIntervalSpec(every=interval)])


def _schedule(
    name: str,
    spec: ScheduleSpec,
    run: Any,  # noqa: ANN401 - a run method
    *arguments: object,
    made_up_for: timedelta = SOON,
) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(run, args=arguments, id=name, task_queue=MAINTENANCE_QUEUE),
        spec=spec,
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=made_up_for),
    )
