"""The schedules that `giftcert setup` makes or brings up to date."""

from collections.abc import Mapping
from datetime import timedelta

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

from giftcert.settings import Settings
from giftcert.temporal.workflows import (
    MAINTENANCE_QUEUE,
    RECONCILIATION_WORKFLOW,
    RESERVATION_EXPIRY_WORKFLOW,
    RETENTION_WORKFLOW,
    Reconciliation,
)

A_NIGHT_LATE = timedelta(hours=20)
"""A nightly run that was due while Temporal was away is made up for so long, before the next one comes."""
SOON = timedelta(minutes=1)
"""Frequent runs that were missed are not made up for: the next one does their work too."""
RESERVATION_EXPIRY = "reservation-expiry"
RETENTION = "retention"
SAMPLE_RECONCILIATION = "reconciliation-of-a-sample"
WHOLE_RECONCILIATION = "reconciliation"


def schedules(settings: Settings) -> Mapping[str, Schedule]:
    """Return all schedules by their ids; while a run still goes on, or waits for a worker, the next is left out."""
    sample = Reconciliation(settings.reconciliation_sample)
    nightly = ScheduleSpec(
        calendars=[ScheduleCalendarSpec(hour=[ScheduleRange(settings.reconciliation_hour)])]
    )
    return {
        RESERVATION_EXPIRY: _schedule(
            RESERVATION_EXPIRY, _every(settings.reservation_sweep_every), RESERVATION_EXPIRY_WORKFLOW
        ),
        RETENTION: _schedule(RETENTION, _every(settings.expiry_every), RETENTION_WORKFLOW),
        SAMPLE_RECONCILIATION: _schedule(
            SAMPLE_RECONCILIATION, _every(settings.reconciliation_every), RECONCILIATION_WORKFLOW, sample
        ),
        WHOLE_RECONCILIATION: _schedule(
            WHOLE_RECONCILIATION, nightly, RECONCILIATION_WORKFLOW, Reconciliation(), catchup=A_NIGHT_LATE
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
    name: str, spec: ScheduleSpec, workflow: str, *arguments: object, catchup: timedelta = SOON
) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(workflow, args=arguments, id=name, task_queue=MAINTENANCE_QUEUE),
        spec=spec,
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=catchup),
    )
