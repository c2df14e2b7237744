"""The workflows of certificates as Temporal lists them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from giftcert.temporal.workflows import CERTIFICATE_WORKFLOW, certificate_of, workflow_id

PAGE = 1_000
NAMED_AT_ONCE = 100
_ENDED = (
    f'WorkflowType = "{CERTIFICATE_WORKFLOW}"'
    ' AND ExecutionStatus IN ("Terminated", "Failed", "TimedOut", "Canceled") AND CloseTime >= "{at}"'
)
_OPEN = f'WorkflowType = "{CERTIFICATE_WORKFLOW}" AND ExecutionStatus = "Running"'


@dataclass(frozen=True, slots=True)
class OpenRun:
    """The open workflow of a certificate; ``texts`` are the values of its search attributes."""

    certificate_id: str
    texts: tuple[str, ...]


class CertificateRuns:
    """Lists and asks for the workflows of certificates in one namespace."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def pages(self) -> AsyncIterator[Sequence[OpenRun]]:
        """Yield all that are open, in pages of the visibility list, which lags a little behind."""
        async for page in self._listed(_OPEN):
            yield page

    async def pages_of(self, certificate_ids: Sequence[str]) -> AsyncIterator[Sequence[OpenRun]]:
        """Yield those of these certificates that are open."""
        for start in range(0, len(certificate_ids), NAMED_AT_ONCE):
            ids = ", ".join(f'"{workflow_id(one)}"' for one in certificate_ids[start : start + NAMED_AT_ONCE])
            async for page in self._listed(f"{_OPEN} AND WorkflowId IN ({ids})"):
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

    async def ended_since(self, at: datetime) -> list[tuple[str, str]]:
        """Return the runs that ended otherwise than they should since an instant: certificate id and run id."""
        query = _ENDED.replace("{at}", at.strftime("%Y-%m-%dT%H:%M:%SZ"))
        return [(certificate_of(one.id), one.run_id) async for one in self._client.list_workflows(query)]

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
