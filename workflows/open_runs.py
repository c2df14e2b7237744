"""The workflows of certificates as Temporal lists them; used by commands and activities, never by a workflow."""

from collections.abc import AsyncIterator, Sequence

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError, RPCStatusCode

from giftcert.verification.runs import OpenRun, RunToStart
from workflows import search_attributes as sa
from workflows.names import CERTIFICATE_WORKFLOW, certificate_of, task_queue, workflow_id
from workflows.run_input import CertificateInput

PAGE = 1_000
NAMED_AT_ONCE = 100
_OPEN = f'WorkflowType = "{CERTIFICATE_WORKFLOW}" AND ExecutionStatus = "Running"'


class TemporalRuns:
    """Lists, asks for and starts the workflows of certificates in one namespace."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def pages(self) -> AsyncIterator[Sequence[OpenRun]]:
        """Yield all that are open, as the visibility list has them."""
        async for page in self._listed(_OPEN):
            yield page

    async def pages_of(self, certificate_ids: Sequence[str]) -> AsyncIterator[Sequence[OpenRun]]:
        """Yield those of these certificates that are open."""
        for start in range(0, len(certificate_ids), NAMED_AT_ONCE):
            names = ", ".join(
                f'"{workflow_id(one)}"' for one in certificate_ids[start : start + NAMED_AT_ONCE]
            )
            async for page in self._listed(f"{_OPEN} AND WorkflowId IN ({names})"):
                yield page

    async def is_open(self, certificate_id: str) -> bool:
        """Return whether a certificate has an open workflow now."""
        try:
            found = await self._client.get_workflow_handle(workflow_id(certificate_id)).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return found.status == WorkflowExecutionStatus.RUNNING

    async def start(self, run: RunToStart) -> None:
        """Start the workflow of a certificate, which loads its state; one that is open goes on."""
        await self._client.start_workflow(
            CERTIFICATE_WORKFLOW,
            CertificateInput(certificate_id=run.certificate_id),
            id=workflow_id(run.certificate_id),
            task_queue=task_queue(run.channel),
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=TypedSearchAttributes(_search_attributes(run)),
            static_summary=f"Gift certificate {run.product}, started again by `giftcert verify --repair`",
        )

    async def _listed(self, query: str) -> AsyncIterator[Sequence[OpenRun]]:
        listing = self._client.list_workflows(query, page_size=PAGE)
        while True:
            await listing.fetch_next_page()
            yield [_open_run(one) for one in listing.current_page or ()]
            if not listing.next_page_token:
                return


def _open_run(execution: WorkflowExecution) -> OpenRun:
    texts = tuple(str(pair.value) for pair in execution.typed_search_attributes)
    return OpenRun(certificate_of(execution.id), texts)


def _search_attributes(run: RunToStart) -> list[SearchAttributePair[str]]:
    values = {
        sa.CERTIFICATE_STATUS: run.status,
        sa.CHANNEL: run.channel,
        sa.PRODUCT: run.product,
        sa.ORDER_ID: run.order_id,
        sa.REFUND_STATE: run.refund_state,
    }
    return [SearchAttributePair(key, value) for key, value in values.items() if value is not None]
