"""The workflows of certificates as Temporal lists them; runs under ids that somebody else chose are left out."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter

from temporalio.api.enums.v1 import PendingWorkflowTaskState, TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from giftcert.temporal.workflow_starts import (
    CERTIFICATE_WORKFLOW,
    MAINTENANCE,
    RPC_LIMIT,
    certificate_of,
    workflow_id,
)

PAGE = 1_000
NAMED_AT_ONCE = 100
LOST_AFTER = timedelta(
    seconds=30
)  # a task that is handed out waits for milliseconds, one in a backlog as long as that
POLLED_WITHIN = timedelta(minutes=2)  # a poll lasts a minute
_OF_CERTIFICATES = f'WorkflowType = "{CERTIFICATE_WORKFLOW}" AND ExecutionStatus'
_OPEN = f'{_OF_CERTIFICATES} = "Running"'
# A system attribute of Temporal 1.30 and later, set after five tasks in a row have failed.
_PROBLEMS = "TemporalReportedProblems"
_REPORTED = f"{_PROBLEMS} IS NOT NULL"
_OURS = ", ".join(f'"{one}"' for one in (CERTIFICATE_WORKFLOW, *MAINTENANCE))
_STUCK = f'WorkflowType IN ({_OURS}) AND ExecutionStatus = "Running" AND {_REPORTED}'
FAILS_AGAIN = 5
"""So many attempts of one task have failed, as the server counts before it says so."""
_ENDED = f'{_OF_CERTIFICATES} IN ("Terminated", "Failed", "TimedOut", "Canceled") AND CloseTime >= '


@dataclass(frozen=True, slots=True)
class OpenRun:
    """The open workflow of a certificate; ``texts`` are the values of its search attributes."""

    certificate_id: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StuckRun:
    """An open workflow whose tasks fail again and again; ``problems`` in Temporal's words.

    It leads a certificate, unless it is one of maintenance.
    """

    workflow_id: str
    run_id: str
    problems: tuple[str, ...]

    @property
    def certificate_id(self) -> str | None:
        """The certificate that it leads."""
        return certificate_of(self.workflow_id)


@dataclass(frozen=True, slots=True)
class FailingTask:
    """A task of an open workflow that has failed ``attempt`` - 1 times in a row."""

    run_id: str
    task: str
    attempt: int


class CertificateRuns:
    """Lists and asks for the workflows of certificates in one namespace."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def pages(self, certificate_ids: Sequence[str] | None = None) -> AsyncIterator[list[OpenRun]]:
        """Yield all that are open, or those of some certificates, by pages of a list that lags a little."""
        for query in [_OPEN] if certificate_ids is None else _open_of(certificate_ids):
            listing = self._client.list_workflows(query, page_size=PAGE)
            is_last = False
            while not is_last:
                await listing.fetch_next_page()
                yield [run for one in listing.current_page or () if (run := _open_run(one))]
                is_last = not listing.next_page_token

    async def is_open(self, certificate_id: str) -> bool:
        """Return whether a certificate has an open workflow now."""
        found = await _described(self._client, certificate_id)
        return found is not None and found.status == WorkflowExecutionStatus.RUNNING

    async def failing(self, certificate_id: str) -> FailingTask | None:
        """Return the task of a certificate's open workflow that has failed most often, if that is often."""
        found = await _described(self._client, certificate_id)
        if found is None or found.status != WorkflowExecutionStatus.RUNNING:
            return None
        raw = found.raw_description
        tasks = [("the workflow task", raw.pending_workflow_task.attempt)]
        tasks += [(f"activity {one.activity_type.name}", one.attempt) for one in raw.pending_activities]
        name, attempt = max(tasks, key=itemgetter(1))
        return FailingTask(found.run_id, name, attempt) if attempt > FAILS_AGAIN else None

    async def left_behind(self, withdrawn: str | None) -> AsyncIterator[Sequence[WorkflowExecution]]:
        """Yield by pages the open workflows that are stuck, or that a version of the deployment has ever led."""
        used = f' OR TemporalUsedWorkerDeploymentVersions = "{withdrawn}"' if withdrawn else ""
        listing = self._client.list_workflows(f"{_OPEN} AND ({_REPORTED}{used})", page_size=PAGE)
        is_last = False
        while not is_last:
            await listing.fetch_next_page()
            yield [one for one in listing.current_page or () if certificate_of(one.id) is not None]
            is_last = not listing.next_page_token

    async def has_lost_its_task(self, certificate_id: str, now: datetime) -> bool:
        """Return whether a run waits for a task that no worker will ever get.

        Temporal drops a task where it cannot note that a worker has it, as after a stand-still, and hands out no other
        while it believes in that one (ADR 9). Such a task was scheduled long ago, and the queue, which is polled,
        holds none so old.
        """
        found = await _described(self._client, certificate_id)
        if found is None:
            return False
        task = found.raw_description.pending_workflow_task
        if task.state != PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED:
            return False
        waits = now - task.scheduled_time.ToDatetime(UTC)
        return waits > LOST_AFTER and await self._oldest_task(found.task_queue, now) < waits - LOST_AFTER

    async def _oldest_task(self, task_queue: str, now: datetime) -> timedelta:
        """Return how old the oldest task of a queue is; where nobody polls it, as old as can be."""
        request = DescribeTaskQueueRequest(
            namespace=self._client.namespace,
            task_queue=TaskQueue(name=task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
            report_stats=True,
        )
        answer = await self._client.workflow_service.describe_task_queue(request, timeout=RPC_LIMIT)
        polled = (poller.last_access_time.ToDatetime(UTC) for poller in answer.pollers)
        if not any(now - at < POLLED_WITHIN for at in polled):
            return timedelta.max
        return answer.stats.approximate_backlog_age.ToTimedelta()

    async def end(self, certificate_id: str, reason: str) -> None:
        """Terminate the run of a certificate; one that has ended meanwhile stays ended."""
        handle = self._client.get_workflow_handle(workflow_id(certificate_id))
        try:
            await handle.terminate(reason=reason, rpc_timeout=RPC_LIMIT)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise

    async def ended_since(self, at: datetime) -> list[tuple[str, str]]:
        """Return the runs that ended otherwise than they should since an instant: certificate id and run id."""
        query = f'{_ENDED}"{at:%Y-%m-%dT%H:%M:%SZ}"'
        return [
            (certificate_id, one.run_id)
            async for one in self._client.list_workflows(query)
            if (certificate_id := certificate_of(one.id)) is not None
        ]

    async def stuck(self) -> list[StuckRun]:
        """Return the runs whose tasks fail again and again; none where the server is too old to say so."""
        try:
            return [
                _stuck_run(one)
                async for one in self._client.list_workflows(_STUCK)
                if certificate_of(one.id) or one.workflow_type != CERTIFICATE_WORKFLOW
            ]
        except RPCError as error:
            if error.status is RPCStatusCode.INVALID_ARGUMENT:
                return []
            raise


async def _described(client: Client, certificate_id: str) -> WorkflowExecutionDescription | None:
    """Return the newest run of a certificate, unless there is none."""
    try:
        return await client.get_workflow_handle(workflow_id(certificate_id)).describe(rpc_timeout=RPC_LIMIT)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


def _stuck_run(execution: WorkflowExecution) -> StuckRun:
    pairs = execution.typed_search_attributes
    problems = (str(text) for pair in pairs if pair.key.name == _PROBLEMS for text in pair.value)
    return StuckRun(execution.id, execution.run_id, tuple(problems))


def _open_of(certificate_ids: Sequence[str]) -> Iterator[str]:
    """Yield the queries that name these certificates, some at a time."""
    ids = [f'"{workflow_id(one)}"' for one in certificate_ids]
    for start in range(0, len(ids), NAMED_AT_ONCE):
        yield f"{_OPEN} AND WorkflowId IN ({', '.join(ids[start : start + NAMED_AT_ONCE])})"


def _open_run(execution: WorkflowExecution) -> OpenRun | None:
    certificate_id = certificate_of(execution.id)
    texts = tuple(str(pair.value) for pair in execution.typed_search_attributes)
    return OpenRun(certificate_id, texts) if certificate_id else None
