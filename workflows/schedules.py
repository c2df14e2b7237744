"""The schedules that `giftcert setup` makes or brings up to date."""

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
)

from giftcert.settings import Settings
from workflows.maintenance import ReservationSweepWorkflow
from workflows.names import MAINTENANCE_QUEUE

RESERVATION_SWEEP = "reservation-sweep"


def reservation_sweep(settings: Settings) -> Schedule:
    """Return the schedule of the reservation sweep; one that still runs is not overtaken."""
    return Schedule(
        action=ScheduleActionStartWorkflow(
            ReservationSweepWorkflow.run, id=RESERVATION_SWEEP, task_queue=MAINTENANCE_QUEUE
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=settings.reservation_sweep_every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )


async def ensure_schedules(client: Client, settings: Settings) -> None:
    """Make the schedules, or bring them up to the settings if they are there."""
    wanted = reservation_sweep(settings)
    try:
        await client.create_schedule(RESERVATION_SWEEP, wanted)
    except ScheduleAlreadyRunningError:
        handle = client.get_schedule_handle(RESERVATION_SWEEP)
        await handle.update(lambda _: ScheduleUpdate(schedule=wanted))
