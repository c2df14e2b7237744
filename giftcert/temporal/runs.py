"""The workflows of certificates as Temporal lists them; runs under ids that somebody else chose are left out."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from giftcert.temporal.workflow_starts import CERTIFICATE_WORKFLOW, certificate_of, workflow_id

PAGE = 1_000
NAMED_AT_ONCE = 100
_OF_CERTIFICATES = f'WorkflowType = "{CERTIFICATE_WORKFLOW}" AND ExecutionStatus'
_OPEN = f'{_OF_CERTIFICATES} = "Running"'
# A system attribute of Temporal 1.30 and later, set after five tasks in a row have failed.
_PROBLEMS = "TemporalReportedProblems"
_STUCK = f"{_OPEN} AND {_PROBLEMS} IS NOT NULL"
_ENDED = f'{_OF_CERTIFICATES} IN ("Terminated", "Failed", "TimedOut", "Canceled") AND CloseTime >= '


@dataclass(frozen=True, slots=True)
class OpenRun:
    """The open workflow of a certificate; ``texts`` are the values of its search attributes."""

    certificate_id: str
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StuckRun:
    """The open workflow of a certificate whose tasks fail again and again; ``problems`` in Temporal's words."""

    certificate_id: str
    run_id: str
    problems: tuple[str, ...]


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
        try:
            found = await self._client.get_workflow_handle(workflow_id(certificate_id)).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return found.status == WorkflowExecutionStatus.RUNNING

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
            return [run async for one in self._client.list_workflows(_STUCK) if (run := _stuck_run(one))]
        except RPCError as error:
            if error.status is RPCStatusCode.INVALID_ARGUMENT:
                return []
            raise


def _stuck_run(execution: WorkflowExecution) -> StuckRun | None:
    certificate_id, pairs = certificate_of(execution.id), execution.typed_search_attributes
    problems = (str(text) for pair in pairs if pair.key.name == _PROBLEMS for text in pair.value)
    return StuckRun(certificate_id, execution.run_id, tuple(problems)) if certificate_id else None


def _open_of(certificate_ids: Sequence[str]) -> Iterator[str]:
    """Yield the queries that name these certificates, some at a time."""
    ids = [f'"{workflow_id(one)}"' for one in certificate_ids]
    for start in range(0, len(ids), NAMED_AT_ONCE):
        yield f"{_OPEN} AND WorkflowId IN ({', '.join(ids[start : start + NAMED_AT_ONCE])})"


def _open_run(execution: WorkflowExecution) -> OpenRun | None:
    certificate_id = certificate_of(execution.id)
    texts = tuple(str(pair.value) for pair in execution.typed_search_attributes)
    return OpenRun(certificate_id, texts) if certificate_id else None
