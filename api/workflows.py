"""The certificates' workflows as the API uses them: woken after a change, asked for sealed secrets first."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import structlog
from temporalio.client import Client, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError, RPCStatusCode

from giftcert.lifecycle.snapshot import SealedSecrets
from giftcert.settings import Settings
from giftcert.temporal.client import connect
from giftcert.temporal.schedules import start_retirements
from giftcert.temporal.signals import Wake
from giftcert.temporal.workflow_starts import signal_certificate, workflow_id

_LOG = structlog.get_logger(__name__)
AWAY_SECONDS = 5.0
"""For so long Temporal is left alone after it did not answer in time."""
REACHABLE_SECONDS = 1.0
TASKS_AT_ONCE = 64
"""More are not sent while these are under way: the sweep of ingest sends them."""


class CertificateWorkflows:
    """Connects when somebody first needs Temporal, so that the API starts and answers while it is away."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._away_until = float("-inf")
        self._tasks: set[asyncio.Task[None]] = set()

    def retire(self) -> None:
        """Have retirements carried out, in the background; what is not started now the schedule starts."""
        self._in_background("retirement", start_retirements)

    def wake(self, wakes: Sequence[Wake]) -> None:
        """Signal what a committed change means for workflows, in the background; what is lost the sweep sends."""
        for wake in wakes:
            if not self._is_away and len(self._tasks) < TASKS_AT_ONCE:
                self._in_background(wake.certificate_id, partial(signal_certificate, wake=wake))

    async def sealed_secrets(self, certificate_id: str) -> SealedSecrets | None:
        """Return what the workflow holds, or ``None`` if none runs or it does not answer in time."""
        if self._is_away:
            return None
        try:
            async with asyncio.timeout(self._settings.query_timeout.total_seconds()):
                handle = (await self._connected()).get_workflow_handle(workflow_id(certificate_id))
                sealed: Any = await handle.query("sealed_secrets", result_type=SealedSecrets)
        except (WorkflowQueryFailedError, WorkflowQueryRejectedError):
            return None
        except (RPCError, RuntimeError, TimeoutError) as error:
            if not (isinstance(error, RPCError) and error.status == RPCStatusCode.NOT_FOUND):
                self._leave_alone(error, certificate_id)
            return None
        return sealed if isinstance(sealed, SealedSecrets) else None

    async def is_reachable(self) -> bool:
        """Return whether Temporal answers now."""
        try:
            async with asyncio.timeout(REACHABLE_SECONDS):
                return await (await self._connected()).service_client.check_health()
        except (RPCError, RuntimeError, TimeoutError):
            return False

    async def close(self, seconds: float) -> None:
        """Let wakes under way end, but not for longer than this."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in tuple(self._tasks):
            task.cancel()
        self._client = None

    @property
    def _is_away(self) -> bool:
        return time.monotonic() < self._away_until

    def _in_background(self, subject: str, send: Callable[[Client], Awaitable[object]]) -> None:
        async def work() -> None:
            try:
                await send(await self._connected())
            except (RPCError, RuntimeError) as error:
                self._leave_alone(error, subject)

        task = asyncio.create_task(work())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connected(self) -> Client:
        if self._client is None:
            self._client = await connect(self._settings, lazy=True)
        return self._client

    def _leave_alone(self, error: Exception, subject: str) -> None:
        self._away_until = time.monotonic() + AWAY_SECONDS
        _LOG.warning("Temporal did not answer", subject=subject, error=type(error).__name__)
