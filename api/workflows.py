"""The certificates' workflows as the API uses them: woken after a change, asked for sealed secrets first."""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any

import structlog
from temporalio.client import Client, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError, RPCStatusCode

from giftcert.lifecycle.snapshot import SealedSecrets
from giftcert.temporal.schedules import start_retirements
from giftcert.temporal.signals import Wake
from giftcert.temporal.workflow_starts import send_wakes, workflow_id

_LOG = structlog.get_logger(__name__)
AWAY_SECONDS = 5.0
"""For so long no workflow is asked after Temporal did not answer in time."""
TASKS_AT_ONCE = 64
"""More signals are not sent while these are under way: the sweep of ingest sends them."""


class CertificateWorkflows:
    """Works on a lazy client, which connects when it is first used: the API answers while Temporal is away."""

    def __init__(self, client: Client, query_timeout: timedelta) -> None:
        self._client = client
        self._query_timeout = query_timeout
        self._away_until = float("-inf")
        self._tasks: set[asyncio.Task[None]] = set()

    def retire(self) -> None:
        """Have retirements carried out, in the background; what is not started now the schedule starts."""
        self._in_background(start_retirements(self._client))

    def wake(self, wakes: Sequence[Wake]) -> None:
        """Signal what a committed change means for workflows, in the background; what is lost the sweep sends."""
        if wakes and len(self._tasks) < TASKS_AT_ONCE:
            self._in_background(send_wakes(self._client, wakes))

    async def sealed_secrets(self, certificate_id: str) -> SealedSecrets | None:
        """Return what the workflow holds, or ``None`` if none runs or it does not answer in time."""
        if time.monotonic() < self._away_until:
            return None
        handle = self._client.get_workflow_handle(workflow_id(certificate_id))
        try:
            async with asyncio.timeout(self._query_timeout.total_seconds()):
                sealed: SealedSecrets | None = await handle.query("sealed_secrets", result_type=SealedSecrets)
                return sealed
        except (WorkflowQueryFailedError, WorkflowQueryRejectedError):
            return None
        except (RPCError, RuntimeError, TimeoutError) as error:
            if not (isinstance(error, RPCError) and error.status == RPCStatusCode.NOT_FOUND):
                self._away_until = time.monotonic() + AWAY_SECONDS
                _LOG.warning("Temporal did not answer", subject=certificate_id, error=type(error).__name__)
            return None

    async def check_health(self) -> bool:
        """Ask Temporal whether it serves."""
        return await self._client.service_client.check_health()

    async def close(self, seconds: float) -> None:
        """Let signals under way end, but not for longer than this."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in tuple(self._tasks):
            task.cancel()

    def _in_background(self, sending: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(sending)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
