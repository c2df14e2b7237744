"""How a door asks a certificate's workflow: an update through its one loop, the workflow started if none runs."""

import asyncio
from datetime import datetime, timedelta

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError

from workflows.names import CERTIFICATE_WORKFLOW, request_name, task_queue, workflow_id
from workflows.requests import Answer, Limits, Request
from workflows.run_input import CertificateInput

ON_ITS_WAY = timedelta(seconds=1)
"""How much later than asked for the answer to what was decided in time may come."""


class WorkflowAwayError(Exception):
    """Nobody answered in time; what was asked is not done later than its ``decide_before``, so it may be repeated."""


async def ask(
    client: Client,
    certificate_id: str,
    channel: str,
    request: Request,
    decide_before: datetime,
    now: datetime,
) -> Answer:
    """Return what the workflow committed for a request; a refusal is a normal answer.

    Args:
        client: of the settings' namespace.
        certificate_id: whose workflow.
        channel: the sale's, whose task queue a workflow that has to be started runs on.
        request: its ``key`` is the id of the update: the same key is asked once per run.
        decide_before: an instant after which the request is refused, so that its caller can safely ask again.
        now: the caller's clock.

    Raises:
        WorkflowAwayError: Temporal or every worker is away, or did not answer before ``decide_before``.
    """
    start: WithStartWorkflowOperation[object, str] = WithStartWorkflowOperation(
        CERTIFICATE_WORKFLOW,
        CertificateInput(certificate_id=certificate_id),
        id=workflow_id(certificate_id),
        task_queue=task_queue(channel),
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        result_type=str,
    )
    try:
        # The limit of each call alone would keep the caller for several: the start, and each wait for the answer.
        async with asyncio.timeout((decide_before - now + ON_ITS_WAY).total_seconds()):
            answer: Answer = await client.execute_update_with_start_workflow(
                request_name(request),
                args=[request, Limits(decide_before=decide_before)],
                start_workflow_operation=start,
                id=request.key,
                result_type=Answer,
                rpc_timeout=max(timedelta(milliseconds=100), decide_before - now),
            )
    except (
        TimeoutError,
        RPCError,
        RuntimeError,
        WorkflowUpdateRPCTimeoutOrCancelledError,
        WorkflowUpdateFailedError,
    ) as error:
        raise WorkflowAwayError(type(error).__name__) from error
    return answer
