"""The worker deployment: which build of the code leads the certificates, and how another one takes over (ADR 94)."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from temporalio.api.deployment.v1 import WorkerDeploymentInfo
from temporalio.api.enums.v1 import RoutingConfigUpdateState, TaskQueueType, WorkerDeploymentVersionStatus
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
    SetWorkerDeploymentRampingVersionRequest,
)
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import WorkerDeploymentConfig

from giftcert.build import build_id
from giftcert.clock import utc_now

DEPLOYMENT = "giftcert"
LOOK_AGAIN_SECONDS = 1.0
ROUTED_WITHIN_LOOKS = 15
IN_PROGRESS = RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_IN_PROGRESS
POLLS_WITHIN = timedelta(seconds=75)
"""A worker polls anew after a minute at most."""
_PINNED = 'TemporalWorkflowVersioningBehavior = "Pinned"'
_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Build:
    """A build that has had workers; ``state`` is current, ramping, draining, drained or inactive.

    ``pollers`` counts its workers by task queue, ``led`` the open runs whose last step it did; of these ``pinned`` can
    go on with no other build.
    """

    build_id: str
    state: str
    since: datetime | None
    last_current: datetime | None
    percentage: float | None
    pollers: Mapping[str, int]
    led: int
    pinned: int


def deployment_config() -> WorkerDeploymentConfig:
    """Return the versioning of a worker: a certificate sleeps for a year, so it moves to each new build."""
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(DEPLOYMENT, build_id()),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )


async def promote(client: Client) -> bool:
    """Make this build the current version, once its workers poll every task queue that the present one serves.

    A build that was current before stays as it is: a worker that starts again undoes neither a rollback nor a release
    that is under way.

    Returns:
        Whether it has become so.
    """
    while True:
        try:
            if await _was_current(client):
                return False
            await make_current(client, build_id())
        except RPCError as error:  # not polled yet, or Temporal is away
            _LOG.info("this build does not lead yet", build=build_id(), reason=error.message)
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        else:
            _LOG.info("this build leads the certificates from now on", build=build_id())
            return True


async def make_current(client: Client, build: str, *, before_workers: bool = False) -> None:
    """Have a build lead all certificates.

    Raises ``RPCError`` where it does not poll every task queue that the present one serves, unless it is to lead before
    its workers come.
    """
    await client.workflow_service.set_worker_deployment_current_version(
        SetWorkerDeploymentCurrentVersionRequest(
            namespace=client.namespace,
            deployment_name=DEPLOYMENT,
            build_id=build,
            allow_no_pollers=before_workers,
            ignore_missing_task_queues=before_workers,
        )
    )


async def until_routed(client: Client) -> None:
    """Wait until every task queue has heard which build leads, or so long that it will hear of it anyway."""
    for _ in range(ROUTED_WITHIN_LOOKS):
        info = await _described(client)
        if info is None or info.routing_config_update_state != IN_PROGRESS:
            return
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


async def ramp(client: Client, build: str, percentage: float) -> None:
    """Have a build lead so many of a hundred certificates, the same ones at each step; raises as `make_current`."""
    await client.workflow_service.set_worker_deployment_ramping_version(
        SetWorkerDeploymentRampingVersionRequest(
            namespace=client.namespace, deployment_name=DEPLOYMENT, build_id=build, percentage=percentage
        )
    )


async def builds(client: Client, queues: Sequence[str]) -> list[Build]:
    """Return the builds that the server knows, the current one first, then the one that led last."""
    info = await _described(client)
    if info is None:
        return []
    pollers = await _pollers(client, queues)
    routing = info.routing_config
    found = []
    for one in info.version_summaries:
        build = one.deployment_version.build_id
        is_current = build == routing.current_deployment_version.build_id
        is_ramping = build == routing.ramping_deployment_version.build_id
        led = f'ExecutionStatus = "Running" AND TemporalWorkerDeploymentVersion = "{DEPLOYMENT}:{build}"'
        found.append(
            Build(
                build_id=build,
                state="current" if is_current else "ramping" if is_ramping else _state(one.status),
                since=_moment(one, "current_since_time"),
                last_current=_moment(one, "last_current_time"),
                percentage=routing.ramping_version_percentage if is_ramping else None,
                pollers=pollers.get(build, {}),
                led=(await client.count_workflows(led)).count,
                pinned=(await client.count_workflows(f"{led} AND {_PINNED}")).count,
            )
        )
    never = datetime.min.replace(tzinfo=UTC)
    return sorted(found, key=lambda one: (one.state == "current", one.last_current or never), reverse=True)


def former(found: Iterable[Build]) -> Build | None:
    """Return the build that led before the current one."""
    led = [one for one in found if one.state != "current" and one.last_current is not None]
    return max(led, key=lambda one: one.last_current or datetime.min.replace(tzinfo=UTC), default=None)


async def _described(client: Client) -> WorkerDeploymentInfo | None:
    request = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=DEPLOYMENT)
    try:
        answer = await client.workflow_service.describe_worker_deployment(request)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    return answer.worker_deployment_info


async def _was_current(client: Client) -> bool:
    info = await _described(client)
    return info is not None and any(
        known.deployment_version.build_id == build_id() and known.HasField("last_current_time")
        for known in info.version_summaries
    )


async def _pollers(client: Client, queues: Sequence[str]) -> dict[str, Counter[str]]:
    """Return by build how many workers wait for tasks on each queue."""
    found: dict[str, Counter[str]] = {}
    for queue in queues:
        answer = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=client.namespace,
                task_queue=TaskQueue(name=queue),
                task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
            )
        )
        for one in answer.pollers:
            options, seen = one.deployment_options, one.last_access_time.ToDatetime(UTC)
            if options.deployment_name == DEPLOYMENT and utc_now() - seen <= POLLS_WITHIN:
                found.setdefault(options.build_id, Counter())[queue] += 1
    return found


def _state(status: WorkerDeploymentVersionStatus.ValueType) -> str:
    return (
        WorkerDeploymentVersionStatus.Name(status).removeprefix("WORKER_DEPLOYMENT_VERSION_STATUS_").lower()
    )


def _moment(summary: WorkerDeploymentInfo.WorkerDeploymentVersionSummary, name: str) -> datetime | None:
    moment: datetime = getattr(summary, name).ToDatetime(UTC)
    return moment if summary.HasField(name) else None  # type: ignore[arg-type] # one of its fields
