"""The composition root of a Temporal worker: the one place that wires workflows to activities and connections."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial

import structlog
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.certificate import CertificateActivities
from activities.maintenance import MaintenanceActivities
from giftcert.build import build_id
from giftcert.dispatch.stream_guard import guarding
from giftcert.health import POSTGRESQL, TEMPORAL, Health, Probe, probing
from giftcert.lifecycle.change import Lifecycle
from giftcert.lifecycle.details import wording_of
from giftcert.logs import configure_logging
from giftcert.requirements.watch import of_database, of_temporal, watching
from giftcert.security.keys import keyring_of
from giftcert.settings import Settings, load_settings
from giftcert.storage.database import Database
from giftcert.telemetry import metrics_server
from giftcert.temporal.client import answer, connect
from giftcert.temporal.deployment import deployment_config, promote
from giftcert.temporal.replacement import replace_left_behind
from giftcert.temporal.runtime import log_and_measure
from giftcert.temporal.workflow_starts import MAINTENANCE_QUEUE, task_queue
from giftcert.tracing import start_tracing
from workflows.certificate import CertificateWorkflow
from workflows.maintenance import MAINTENANCE_WORKFLOWS

SHUTDOWN = timedelta(seconds=5)
MAINTENANCE_SLOTS = 2
_LOG = structlog.get_logger(__name__)


def make_workers(client: Client, database: Database, settings: Settings) -> Sequence[Worker]:
    """Return one worker per channel and one for maintenance, not started.

    Without the sandbox a sale takes half the processor time; tests run the workflows in it and replay their histories.
    """
    lifecycle = Lifecycle(
        database,
        settings.policy,
        keyring_of(settings),
        web_url=settings.workflow_url,
        build=build_id(),
        wording=wording_of(settings),
    )
    channels = settings.worker_channels or settings.channels
    # Each activity holds one connection; a quarter of them is left for what goes on as a normal activity.
    slots = max(2, (settings.database_pool_size - MAINTENANCE_SLOTS) // len(channels))
    worker = partial(
        Worker,
        client,
        workflow_runner=UnsandboxedWorkflowRunner(),
        deployment_config=deployment_config(),
        graceful_shutdown_timeout=SHUTDOWN,
    )
    certificates = partial(
        worker,
        workflows=[CertificateWorkflow],
        activities=[CertificateActivities(lifecycle, client).advance],
        max_concurrent_local_activities=slots - slots // 4,
        max_concurrent_activities=max(1, slots // 4),
    )
    maintenance = worker(
        task_queue=MAINTENANCE_QUEUE,
        workflows=MAINTENANCE_WORKFLOWS,
        activities=MaintenanceActivities(database, settings, lifecycle, client).all,
        max_concurrent_activities=MAINTENANCE_SLOTS,
    )
    return [*(certificates(task_queue=task_queue(channel)) for channel in channels), maintenance]


@asynccontextmanager
async def running(settings: Settings, health: Health | None = None) -> AsyncIterator[None]:
    """Run the workers while the context lasts; leaving it lets running tasks end first."""
    async with AsyncExitStack() as stack:
        standstill = await stack.enter_async_context(guarding(settings))
        opened = Database.of(settings, "giftcert-worker", standstill=standstill)
        database = await stack.enter_async_context(opened)
        client = await connect(settings)
        servers = {POSTGRESQL: Probe(database.answer), TEMPORAL: Probe(partial(answer, client))}
        health = health or Health()
        needs = of_database(database) | of_temporal(client, settings)
        await stack.enter_async_context(probing(health, servers))
        await stack.enter_async_context(watching(health, needs))
        for worker in make_workers(client, database, settings):
            await stack.enter_async_context(worker)
        if settings.worker_promotes:
            promotion = asyncio.create_task(_take_over(client))
            stack.callback(promotion.cancel)
        yield


async def _take_over(client: Client) -> None:
    """Lead with this build if it never has, and start anew what was stuck: Temporal would wait up to ten minutes."""
    if not await promote(client):
        return
    try:
        replaced = await replace_left_behind(client)
    except RPCError as error:  # then Temporal tries their tasks again when it is time
        _LOG.warning("stuck workflows were not started anew", reason=error.message)
    else:
        if replaced:
            _LOG.info("stuck workflows were started anew", count=replaced)


async def serve(settings: Settings) -> None:
    """Run until cancelled."""
    async with metrics_server(settings) as health, running(settings, health):
        health.ready()
        await asyncio.Event().wait()


def main() -> None:
    """Start one worker with the settings of the environment."""
    settings = load_settings()
    configure_logging(settings, "worker")
    start_tracing("worker")
    log_and_measure(figures=settings.metrics_port is not None)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(settings))


if __name__ == "__main__":
    main()
