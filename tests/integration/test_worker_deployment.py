"""Builds of the worker on the real server: which of them leads, and how certificates move to a new one."""

import asyncio
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.api.deployment.v1 import WorkerDeploymentInfo
from temporalio.api.workflowservice.v1 import DescribeWorkerDeploymentRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from giftcert.temporal import deployment
from giftcert.temporal.deployment import deployment_config, make_current, promote
from tests.waiting import until

pytestmark = pytest.mark.integration
QUEUES = ("certificates-im", "certificates-pos")


@workflow.defn(name="Sleeper")
class Sleeper:
    """A certificate that sleeps between two builds, and is woken now and then."""

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.signal
    def wake(self) -> None:
        """Has a worker look at it."""


class Deployments:
    """Workers of several builds in a deployment of this test's own."""

    def __init__(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        self.client = client
        self.monkeypatch = monkeypatch
        self.name = f"giftcert-{uuid4().hex[:8]}"
        monkeypatch.setattr(deployment, "DEPLOYMENT", self.name)

    def queue(self, number: int) -> str:
        return f"{QUEUES[number]}-{self.name}"

    def worker(self, build: str, number: int = 0) -> Worker:
        self.monkeypatch.setenv("GIFTCERT_BUILD_ID", build)
        return Worker(
            self.client,
            task_queue=self.queue(number),
            workflows=[Sleeper],
            workflow_runner=UnsandboxedWorkflowRunner(),
            deployment_config=deployment_config(),
        )

    async def start(self, number: int = 0) -> WorkflowHandle[Sleeper, None]:
        return await self.client.start_workflow(
            Sleeper.run, id=f"sleeper-{uuid4()}", task_queue=self.queue(number)
        )


@pytest.fixture
async def deployments(temporal_address: str, monkeypatch: pytest.MonkeyPatch) -> Deployments:
    return Deployments(await Client.connect(temporal_address), monkeypatch)


async def builds(handle: WorkflowHandle[Sleeper, None]) -> list[str]:
    completed = [
        event.workflow_task_completed_event_attributes
        for event in (await handle.fetch_history()).events
        if event.HasField("workflow_task_completed_event_attributes")
    ]
    return [one.deployment_version.build_id for one in completed]


async def until_led_by(handle: WorkflowHandle[Sleeper, None], build: str) -> None:
    """Wake a run until a build leads it: a little passes until the server routes as it was told."""

    async def is_led() -> bool:
        await handle.signal(Sleeper.wake)
        return (await builds(handle))[-1:] == [build]

    await until(is_led)


async def test_a_run_that_was_started_before_any_worker_is_led_by_the_first_build(
    deployments: Deployments,
) -> None:
    run = await deployments.start()
    async with deployments.worker("one"):
        await promote(deployments.client)
        await until_led_by(run, "one")
    await run.terminate()


async def test_a_sleeping_run_wakes_in_the_newer_build_and_an_older_worker_does_not_take_it_back(
    deployments: Deployments,
) -> None:
    run = await deployments.start()
    async with deployments.worker("one"):
        await promote(deployments.client)
        await until_led_by(run, "one")
    async with deployments.worker("two"):
        await promote(deployments.client)
        await until_led_by(run, "two")
        async with deployments.worker("one"):
            await promote(deployments.client)
            assert await current_build(deployments) == "two"
    await run.terminate()


async def test_a_new_build_leads_only_once_it_serves_every_task_queue(deployments: Deployments) -> None:
    runs = [await deployments.start(number) for number in (0, 1)]
    async with deployments.worker("one"), deployments.worker("one", 1):
        await promote(deployments.client)
        for run in runs:
            await until_led_by(run, "one")
        async with deployments.worker("two"):
            promotion = asyncio.create_task(promote(deployments.client))
            await until_known(deployments, "two")
            assert await current_build(deployments) == "one"
            async with deployments.worker("two", 1):
                await promotion
                for run in runs:
                    await until_led_by(run, "two")
    for run in runs:
        await run.terminate()


async def test_code_that_has_led_before_can_be_made_to_lead_before_its_workers_come(
    deployments: Deployments,
) -> None:
    """As `giftcert up` does: a developer who goes back to an older commit has no other workers."""
    run = await deployments.start()
    for build in ("one", "two"):
        async with deployments.worker(build):
            await promote(deployments.client)
            await until_led_by(run, build)
    await make_current(deployments.client, "one", before_workers=True)
    async with deployments.worker("one"):
        assert await promote(deployments.client) is False
        await until_led_by(run, "one")
    await run.terminate()


async def described(deployments: Deployments) -> WorkerDeploymentInfo:
    """Return what the server knows of the deployment; it answers only so many questions a second."""
    request = DescribeWorkerDeploymentRequest(namespace="default", deployment_name=deployments.name)
    while True:
        try:
            answer = await deployments.client.workflow_service.describe_worker_deployment(request)
        except RPCError as error:
            if error.status is not RPCStatusCode.RESOURCE_EXHAUSTED:
                raise
            await asyncio.sleep(1)
        else:
            return answer.worker_deployment_info


async def current_build(deployments: Deployments) -> str:
    routing = (await described(deployments)).routing_config
    return routing.current_deployment_version.build_id


async def until_known(deployments: Deployments, build: str) -> None:
    async def is_known() -> bool:
        versions = (await described(deployments)).version_summaries
        return build in [one.deployment_version.build_id for one in versions]

    await until(is_known)
