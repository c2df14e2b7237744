"""Tells running workflows that their certificates were changed without them, so that people see it in the Web UI."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from workflows.names import CHANGED_ELSEWHERE, workflow_id

AT_ONCE = 16
ANSWER_LIMIT = timedelta(seconds=2)


class Nudge:
    """Signals workflows as long as Temporal answers: each would see the change at its next step anyway."""

    def __init__(self, client: Callable[[], Awaitable[Client]]) -> None:
        self._client = client
        self.is_away = False
        """Whether Temporal did not answer, so that some were not told."""

    async def tell(self, certificate_ids: Sequence[str]) -> None:
        """Tell the workflows of these certificates that run; nobody else is told, and nothing is raised."""
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(certificate_id: str) -> None:
            async with slots:
                if not self.is_away:
                    await self._signal(certificate_id)

        await asyncio.gather(*map(one, certificate_ids))

    async def _signal(self, certificate_id: str) -> None:
        try:
            handle = (await self._client()).get_workflow_handle(workflow_id(certificate_id))
            await handle.signal(CHANGED_ELSEWHERE, rpc_timeout=ANSWER_LIMIT)
        except (RPCError, RuntimeError) as error:
            if isinstance(error, RPCError) and error.status == RPCStatusCode.NOT_FOUND:
                return
            self.is_away = True
