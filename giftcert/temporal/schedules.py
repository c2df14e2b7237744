"""The schedules that `giftcert setup` makes or brings up to date."""

from collections.abc import Mapping
from datetime import timedelta

import structlog
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
from temporalio.service import RPCError

from giftcert.settings import Settings
from giftcert.temporal.workflow_starts import MAINTENANCE_QUEUE, RPC_LIMIT, Reconciliation

_LOG = structlog.get_logger(__name__)
A_NIGHT_LATE = timedelta(hours=20)
"""A nightly run that was due while Temporal was away is made up for so long, before the next one comes."""
SOON = timedelta(minutes=1)
"""Frequent runs that were missed are not made up for: the next one does their work too."""
LONGEST = {"BatchWorkflow": timedelta(hours=1), "ReconciliationWorkflow": timedelta(hours=19)}
"""A run that another build cannot go on with ends then at the latest, so that the schedule starts the next."""
RETIREMENT = "retirement"
RETENTION = "retention"
RESEALING = "resealing"
WHOLE_RECONCILIATION = "reconciliation"


def schedules(settings: Settings) -> Mapping[str, Schedule]:
    """Return all schedules by their ids; while a run still goes on, or waits for a worker, the next is left out."""
    often, retention = settings.reservation_sweep_every, ["forget_idempotency_keys", "drop_days"]
    audit = ["link_events", "report_unusual_disclosures", "record_snapshots"]
    sample, whole = Reconciliation(settings.reconciliation_sample), Reconciliation()
    nightly = ScheduleCalendarSpec(hour=[ScheduleRange(settings.reconciliation_hour)])
    wanted = (
        _schedule("reservation-expiry", "BatchWorkflow", often, ["release_lapsed_reservations"]),
        _schedule(RETIREMENT, "BatchWorkflow", often, ["retire_batch"]),
        _schedule("pool", "BatchWorkflow", often, ["watch_pool", "replenish_pool"]),
        _schedule(RESEALING, "BatchWorkflow", often, ["reseal"]),
        _schedule(RETENTION, "BatchWorkflow", settings.expiry_every, retention),
        _schedule("audit", "BatchWorkflow", often, audit),
        _schedule(
            "reconciliation-of-a-sample", "ReconciliationWorkflow", settings.reconciliation_every, sample
        ),
        _schedule(WHOLE_RECONCILIATION, "ReconciliationWorkflow", nightly, whole),
    )
    return dict(wanted)


async def ensure_schedules(client: Client, settings: Settings) -> None:
    """Make the schedules, or bring them up to the settings if they are there."""
    for name, wanted in schedules(settings).items():
        await _ensure(client, name, wanted)


async def start_retirements(client: Client) -> None:
    """Carry retirements out now, unless a run does already; while Temporal is away it is left to the schedule."""
    try:
        await client.get_schedule_handle(RETIREMENT).trigger(rpc_timeout=RPC_LIMIT)
    except (RPCError, RuntimeError) as error:
        _LOG.warning("retirements left to the schedule", error=type(error).__name__)


async def _ensure(client: Client, name: str, wanted: Schedule) -> None:
    try:
        await client.create_schedule(name, wanted)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(name).update(lambda _: ScheduleUpdate(schedule=wanted))


def _schedule(
    name: str, workflow: str, due: timedelta | ScheduleCalendarSpec, *arguments: object
) -> tuple[str, Schedule]:
    if isinstance(due, timedelta):
        spec, catchup = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=due)]), SOON
    else:
        spec, catchup = ScheduleSpec(calendars=[due]), A_NIGHT_LATE
    return name, Schedule(
        action=ScheduleActionStartWorkflow(
            workflow,
            args=arguments,
            id=name,
            task_queue=MAINTENANCE_QUEUE,
            execution_timeout=LONGEST[workflow],
        ),
        spec=spec,
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=catchup),
    )
