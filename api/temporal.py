"""The API's one connection to Temporal, made when somebody first needs it."""

import asyncio

from temporalio.client import Client
from temporalio.service import RPCError

from activities.temporal_client import connect
from giftcert.settings import Settings

ANSWER_SECONDS = 1


class TemporalConnection:
    """Connects lazily, so that the API starts while Temporal is away."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client | None = None

    async def client(self) -> Client:
        """Return the client; it connects with its first call."""
        if self._client is None:
            self._client = await connect(self._settings, lazy=True)
        return self._client

    async def is_reachable(self) -> bool:
        """Return whether Temporal answers now."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await (await self.client()).service_client.check_health()
        except (RPCError, RuntimeError, TimeoutError):
            return False
