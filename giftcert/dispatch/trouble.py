"""Publishing that keeps failing is itself an event, so that whoever reads the stream learns why it stood still."""

import asyncio
from datetime import timedelta

import asyncpg
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.clock import utc_now
from giftcert.contracts.notices import ProcessingFailed, about_input
from giftcert.storage.outbox import OutboxRepository

PATIENCE = timedelta(seconds=10)
TOLD_EVERY = timedelta(minutes=1)
DATABASE_ERRORS = (
    SQLAlchemyError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what a server that ends in the middle of an answer may look like
    OSError,
)
"""What PostgreSQL away, restarted or out of patience looks like; asyncpg's own where it is used directly."""

_log = structlog.get_logger(__name__)


class Trouble:
    """Counts how long publishing has failed; all lanes of a process share it, and all processes one event a minute."""

    def __init__(self, engine: AsyncEngine, topic: str, patience: timedelta = PATIENCE) -> None:
        self._engine = engine
        self._topic = topic
        self._patience = patience.total_seconds()
        self._since: float | None = None

    def over(self) -> None:
        """A window was published."""
        self._since = None

    async def goes_on(self, error: Exception) -> None:
        """Publishing failed once more; tell of it when that has lasted."""
        now = asyncio.get_running_loop().time()
        if self._since is None:
            self._since = now
        if now - self._since >= self._patience:
            await self._tell(error)

    async def _tell(self, error: Exception) -> None:
        notice = ProcessingFailed(
            topic=self._topic,
            partition=None,
            offset=None,
            event_id=None,
            reason="publishingFails",
            detail=type(error.__cause__ or error).__name__,
            component="dispatch",
        )
        now = utc_now()
        async with self._engine.begin() as connection:
            record = about_input(notice, now)
            if await OutboxRepository(connection).append_once(self._topic, record, now - TOLD_EVERY):
                _log.error("publishing keeps failing", error=str(error))
