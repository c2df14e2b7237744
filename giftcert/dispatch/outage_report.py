"""Outage report: publishing that keeps failing is itself an event, so that readers learn why the stream stood still."""

import asyncio
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.clock import utc_now
from giftcert.contracts.notices import ProcessingFailed, about_input
from giftcert.storage.outbox import OutboxRepository

PATIENCE = timedelta(seconds=10)
REPORTED_EVERY = timedelta(minutes=1)

_log = structlog.get_logger(__name__)


class OutageReport:
    """Counts how long publishing has failed, for all publishers of a process; all processes report once a minute."""

    def __init__(self, engine: AsyncEngine, topic: str, patience: timedelta = PATIENCE) -> None:
        self._engine = engine
        self._topic = topic
        self._patience = patience.total_seconds()
        self._since: float | None = None

    def over(self) -> None:
        """A window was published."""
        self._since = None

    async def goes_on(self, error: Exception) -> None:
        """Publishing failed once more; report it when that has lasted."""
        now = asyncio.get_running_loop().time()
        if self._since is None:
            self._since = now
        if now - self._since >= self._patience:
            await self._report(error)

    async def _report(self, error: Exception) -> None:
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
            if await OutboxRepository(connection).append_once(self._topic, record, now - REPORTED_EVERY):
                _log.error("publishing keeps failing", error=str(error))
