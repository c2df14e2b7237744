"""Number and CVC as sealed: from the certificate's workflow, or from storage where that cannot answer in time."""

import asyncio
import time
from enum import StrEnum

import structlog
from prometheus_client import Counter
from temporalio.client import WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError, RPCStatusCode

from api.temporal import TemporalConnection
from giftcert.settings import Settings
from workflows.names import workflow_id
from workflows.run_input import SealedSecrets

_LOG = structlog.get_logger(__name__)
_FROM = Counter("giftcert_disclosed_secrets", "Sealed secrets by where they came from", ["source"])
AWAY_SECONDS = 5.0
"""For so long nobody waits for Temporal again after it did not answer in time."""


class Source(StrEnum):
    """Where a sealed secret came from; told in the reply's header."""

    WORKFLOW = "workflow"
    STORAGE = "storage"


class WorkflowSecrets:
    """Asks workflows."""

    def __init__(self, settings: Settings, temporal: TemporalConnection) -> None:
        self._settings = settings
        self._temporal = temporal
        self._away_until = float("-inf")

    async def sealed(self, certificate_id: str) -> SealedSecrets | None:
        """Return what the workflow says, or ``None`` if there is none or it does not answer in time."""
        if time.monotonic() < self._away_until:
            return None
        try:
            async with asyncio.timeout(self._settings.query_timeout.total_seconds()):
                return await self._query(certificate_id)
        except (WorkflowQueryFailedError, WorkflowQueryRejectedError):
            return None
        except (RPCError, RuntimeError, TimeoutError) as error:
            if not (isinstance(error, RPCError) and error.status == RPCStatusCode.NOT_FOUND):
                self._away_until = time.monotonic() + AWAY_SECONDS
                _LOG.warning(
                    "workflow did not answer", certificate=certificate_id, error=type(error).__name__
                )
            return None

    async def _query(self, certificate_id: str) -> SealedSecrets:
        handle = (await self._temporal.client()).get_workflow_handle(workflow_id(certificate_id))
        sealed: SealedSecrets = await handle.query("sealed_secrets", result_type=SealedSecrets)
        return sealed


def count(source: Source) -> None:
    """Count a disclosed secret."""
    _FROM.labels(source.value).inc()
