"""Group commit of refused claims (409): counted durably before they are answered, without a transaction for each."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.clock import Clock
from giftcert.storage.blocked_attempts import RECORDED_EVERY, BlockedAttemptRepository, RefusedClaims
from giftcert.storage.outages import DATABASE_ERRORS

_LOG = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Waiting:
    """Refusals of one product and channel that wait to be written together."""

    first_at: datetime
    last_at: datetime
    attempts: int = 0


class RefusedClaimLedger:
    """Writes what was refused while the last write ran in one transaction; each caller waits for its own.

    A single write at a time: all would lock the same row anyway.
    """

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._waiting: dict[tuple[str, str], _Waiting] = {}
        self._written: asyncio.Future[None] | None = None
        self._writing: asyncio.Task[None] | None = None

    async def record(self, product: str, channel: str, now: datetime) -> None:
        """Count one refusal; when this returns it is committed.

        Raises:
            Exception: what the database raised; then the refusal is not counted and must not be answered.
        """
        waiting = self._waiting.setdefault((product, channel), _Waiting(now, now))
        waiting.attempts += 1
        waiting.last_at = now
        if self._written is None:
            self._written = asyncio.get_running_loop().create_future()
        written = self._written
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        await asyncio.shield(written)

    async def run(self, stop: asyncio.Event) -> None:
        """Append until stopped ``issue.blocked`` for what no later refusal does; first for what a crash left."""
        while not stop.is_set():
            try:
                async with self._engine.begin() as connection:
                    await BlockedAttemptRepository(connection).record_due(self._clock())
            except DATABASE_ERRORS as error:
                _LOG.warning("refused claims wait to be recorded", error=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), RECORDED_EVERY.total_seconds())

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
            for (product, channel), count in sorted(waiting.items(), key=lambda one: one[0]):
                refused = RefusedClaims(product, channel, count.attempts, count.first_at, count.last_at)
                await attempts.add(refused)
            await attempts.record_due(self._clock())
