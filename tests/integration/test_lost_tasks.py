"""Runs whose task no worker will ever get, and those that only wait, on the real server."""

from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import PinnedVersioningOverride, VersioningOverride, WorkerDeploymentVersion
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from giftcert.clock import utc_now
from giftcert.temporal import deployment
from giftcert.temporal.deployment import deployment_config, promote
from giftcert.temporal.runs import LOST_AFTER, CertificateRuns
from giftcert.temporal.workflow_starts import workflow_id
from tests.waiting import until

pytestmark = pytest.mark.integration
LATER = 3 * LOST_AFTER


@workflow.defn(name="Waits")
class Waits:
    """A certificate that waits for something."""

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)


@pytest.fixture
async def client(temporal_address: str, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(deployment, "DEPLOYMENT", f"lost-{uuid4().hex[:8]}")
    return await Client.connect(temporal_address)


async def start(client: Client, queue: str, override: VersioningOverride | None = None) -> str:
    certificate_id = str(uuid4())
    await client.start_workflow(
        Waits.run, id=workflow_id(certificate_id), task_queue=queue, versioning_override=override
    )
    return certificate_id


async def is_lost(client: Client, certificate_id: str, later: timedelta = LATER) -> bool:
    """Look as if it were so much later."""
    return await CertificateRuns(client).has_lost_its_task(certificate_id, utc_now() + later)


async def test_a_task_that_nobody_polls_for_only_waits(client: Client) -> None:
    certificate_id = await start(client, f"nobody-{uuid4()}")
    assert not await is_lost(client, certificate_id)
    await CertificateRuns(client).end(certificate_id, "over")
    assert not await is_lost(client, certificate_id), "it has ended"
    await CertificateRuns(client).end(certificate_id, "once more")
    assert not await is_lost(client, str(uuid4())), "there never was one"


def worker(client: Client, queue: str, build: str, monkeypatch: pytest.MonkeyPatch) -> Worker:
    monkeypatch.setenv("GIFTCERT_BUILD_ID", build)
    return Worker(
        client,
        task_queue=queue,
        workflows=[Waits],
        workflow_runner=UnsandboxedWorkflowRunner(),
        deployment_config=deployment_config(),
    )


async def is_led(client: Client, certificate_id: str) -> bool:
    described = await client.get_workflow_handle(workflow_id(certificate_id)).describe()
    return described.history_length > 3


async def test_a_task_that_workers_pass_by_is_lost_and_one_that_was_done_is_not(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = f"somebody-{uuid4()}"
    led = await start(client, queue)
    async with worker(client, queue, "gone", monkeypatch):
        await promote(client)
        await until(partial(is_led, client, led))
    async with worker(client, queue, "here", monkeypatch):
        await promote(client)
        gone = WorkerDeploymentVersion(deployment.DEPLOYMENT, "gone")
        passed_by = await start(client, queue, PinnedVersioningOverride(gone))
        assert not await is_lost(client, led)
        assert not await is_lost(client, passed_by, timedelta()), "it was scheduled just now"
        assert await is_lost(client, passed_by)
    for one in (led, passed_by):
        await CertificateRuns(client).end(one, "over")
