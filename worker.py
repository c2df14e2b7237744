"""The composition root of a Temporal worker: the one place that wires workflows to activities and connections."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.certificates import CertificateActivities
from activities.maintenance import MaintenanceActivities
from activities.temporal_client import connect
from giftcert.settings import Settings, load_settings
from giftcert.storage.engine import make_engine
from giftcert.telemetry import metrics_server
from workflows.certificate import CertificateWorkflow
from workflows.maintenance import ExpiryWorkflow, ReconciliationWorkflow, ReservationSweepWorkflow
from workflows.names import MAINTENANCE_QUEUE, task_queue
from workflows.open_runs import TemporalRuns

PASSED_THROUGH = (
    "giftcert",
    "activities",
    "workflows.names",
    "workflows.answers",
    "workflows.plan",
    "workflows.requests",
    "workflows.run_input",
    "workflows.shown",
    "msgspec",
    "stdnum",
)
"""Pure or only named from workflows; importing them anew in every sandbox would cost tens of milliseconds a wake."""

SHUTDOWN = timedelta(seconds=5)


def build_id() -> str:
    """Return what tells this build from another: a certificate that a newer build wakes goes on in a new run."""
    try:
        return os.environ.get("GIFTCERT_BUILD_ID") or version("giftcert")
    except PackageNotFoundError:
        return "source"


def sandbox() -> SandboxedWorkflowRunner:
    """Return the runner of workflows: sandboxed, the pure core passed through."""
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    )


def make_workers(client: Client, engine: AsyncEngine, settings: Settings) -> Sequence[Worker]:
    """Return one worker per channel and one for maintenance, not started."""
    certificates = CertificateActivities(engine, settings, build_id())
    maintenance = MaintenanceActivities(engine, settings, TemporalRuns(client))
    channels = settings.worker_channels or settings.channels
    workers = [
        Worker(
            client,
            task_queue=task_queue(channel),
            workflows=[CertificateWorkflow],
            activities=[certificates.load_certificate, certificates.apply_transition],
            workflow_runner=sandbox(),
            build_id=build_id(),
            graceful_shutdown_timeout=SHUTDOWN,
        )
        for channel in channels
    ]
    return [
        *workers,
        Worker(
            client,
            task_queue=MAINTENANCE_QUEUE,
            workflows=[ReservationSweepWorkflow, ExpiryWorkflow, ReconciliationWorkflow],
            activities=maintenance.all,
            workflow_runner=sandbox(),
            build_id=build_id(),
            graceful_shutdown_timeout=SHUTDOWN,
        ),
    ]


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[None]:
    """Run the workers while the context lasts; leaving it lets running tasks end first."""
    engine = make_engine(settings, "giftcert-worker")
    try:
        client = await connect(settings)
        async with AsyncExitStack() as stack:
            for one in make_workers(client, engine, settings):
                await stack.enter_async_context(one)
            yield
    finally:
        await engine.dispose()


async def serve(settings: Settings) -> None:
    """Run until cancelled."""
    async with metrics_server(settings) as health, running(settings):
        health.ready()
        await asyncio.Event().wait()


def main() -> None:
    """Start one worker with the settings of the environment."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(load_settings()))


if __name__ == "__main__":
    main()
