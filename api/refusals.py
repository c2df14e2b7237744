"""Counts refused claims (409) durably before they are answered, without a transaction for each."""

import asyncio
from contextlib import suppress
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.clock import utc_now
from giftcert.storage.blocked_attempts import TOLD_EVERY, BlockedAttemptRepository, RefusedClaims
from giftcert.storage.outages import DATABASE_ERRORS

_LOG = structlog.get_logger(__name__)


class _Waiting:
    """Refusals of one product and channel that wait to be written together."""

    def __init__(self, first_at: datetime) -> None:
        self.attempts = 0
        self.first_at = self.last_at = first_at


class RefusalLedger:
    """Writes what was refused while the last write ran in one transaction; each caller waits for its own.

    A single write at a time: all would lock the same row anyway.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._waiting: dict[tuple[str, str], _Waiting] = {}
        self._written: asyncio.Future[None] | None = None
        self._writing: asyncio.Task[None] | None = None

    async def record(self, product: str, channel: str, now: datetime) -> None:
        """Count one refusal; when this returns it is committed.

        Raises:
            Exception: what the database raised; then the refusal is not counted and must not be answered.
        """
        refused = self._waiting.setdefault((product, channel), _Waiting(now))
        refused.attempts += 1
        refused.last_at = now
        if self._written is None:
            self._written = asyncio.get_running_loop().create_future()
        written = self._written
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        await asyncio.shield(written)

    async def tell_leftovers(self, stop: asyncio.Event) -> None:
        """Tell until stopped, at most once a second, what no later refusal tells; first what a crash left."""
        while not stop.is_set():
            try:
                async with self._engine.begin() as connection:
                    await BlockedAttemptRepository(connection).tell_due(utc_now())
            except DATABASE_ERRORS as error:
                _LOG.warning("refusals wait to be told", error=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), TOLD_EVERY.total_seconds())

    async def _write_all(self) -> None:
        while self._waiting and self._written is not None:
            waiting, self._waiting = self._waiting, {}
            written, self._written = self._written, None
            try:
                await self._write(waiting)
            except Exception as error:  # noqa: BLE001 - handed to every caller that waits for it
                written.set_exception(error)
            else:
                written.set_result(None)
        self._writing = None

    async def _write(self, waiting: dict[tuple[str, str], _Waiting]) -> None:
        async with self._engine.begin() as connection:
            attempts = BlockedAttemptRepository(connection)
            for (product, channel), one in sorted(waiting.items()):
                await attempts.add(RefusedClaims(product, channel, one.attempts, one.first_at, one.last_at))
            await attempts.tell_due(utc_now())
