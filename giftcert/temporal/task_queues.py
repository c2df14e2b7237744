"""Task queues of the workers: how much waits on each, and whether anybody polls it."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue, TaskQueueVersioningInfo
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, DescribeTaskQueueResponse
from temporalio.client import Client

from giftcert.temporal.workflow_starts import MAINTENANCE_QUEUE, RPC_LIMIT, task_queue

SILENT_AFTER = timedelta(seconds=90)
"""A poll lasts a minute at most; who has not polled for longer is gone, though Temporal lists it for five."""
_KINDS = (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)


@dataclass(frozen=True, slots=True)
class QueueState:
    """``backlog``: tasks that wait, about; ``waits_since``: the oldest of them; ``pollers``: that poll now."""

    name: str
    backlog: int
    waits_since: datetime | None
    pollers: int

    @property
    def lacks_worker(self) -> bool:
        """Whether tasks wait and nobody takes them."""
        return self.backlog > 0 and self.pollers == 0


async def queue_states(client: Client, channels: Iterable[str], now: datetime) -> list[QueueState]:
    """Return the state of each channel's queue and of maintenance's; raises ``RPCError`` and ``RuntimeError``."""
    names = [*map(task_queue, channels), MAINTENANCE_QUEUE]
    return list(await asyncio.gather(*(_state(client, name, now) for name in names)))


async def _state(client: Client, name: str, now: datetime) -> QueueState:
    answers = [await _describe(client, name, kind) for kind in _KINDS]
    waiting = [answer.stats for answer in answers if answer.stats.approximate_backlog_count > 0]
    ages = [stats.approximate_backlog_age.ToTimedelta() for stats in waiting]
    polled_at = [
        poller.last_access_time.ToDatetime(tzinfo=UTC)
        for answer in answers
        for poller in answer.pollers
        if _is_served_by(answer.versioning_info, poller)
    ]
    return QueueState(
        name,
        backlog=sum(stats.approximate_backlog_count for stats in waiting),
        waits_since=now - max(ages) if ages else None,
        pollers=sum(now - at < SILENT_AFTER for at in polled_at),
    )


def _is_served_by(versions: TaskQueueVersioningInfo, poller: PollerInfo) -> bool:
    """Return whether tasks go to a poller: where a build leads, only to its own and those of the one that comes."""
    leading = versions.current_deployment_version.build_id
    coming = versions.ramping_deployment_version.build_id
    return not leading or poller.deployment_options.build_id in {leading, coming}


async def _describe(client: Client, name: str, kind: TaskQueueType.ValueType) -> DescribeTaskQueueResponse:
    request = DescribeTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=name), task_queue_type=kind, report_stats=True
    )
    return await client.workflow_service.describe_task_queue(request, timeout=RPC_LIMIT)
