"""What ingest waits for, and the event that says so when it lasts."""

import asyncio
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from giftcert.clock import utc_now
from giftcert.contracts.notices import ProcessingFailed, about_input
from giftcert.storage.outages import DATABASE_ERRORS
from giftcert.storage.outbox import OutboxRepository
from giftcert.telemetry import Health
from kafka_ingest import metrics
from kafka_ingest.rejection import COMPONENT

PATIENCE_SECONDS = 10.0
TOLD_EVERY = timedelta(minutes=1)

_log = structlog.get_logger(__name__)


class Trouble:
    """Keeps which parts fail, and since when; the parts of a process share one.

    A failure that lasts is told of on the stream at most once a minute for each part, if PostgreSQL can take it.
    """

    def __init__(self, engine: AsyncEngine, health: Health, stream_key: str) -> None:
        self._engine = engine
        self._health = health
        self._stream_key = stream_key
        self._since: dict[str, float] = {}
        self._told: dict[str, float] = {}

    @property
    def parts(self) -> set[str]:
        """The parts that fail now."""
        return set(self._since)

    def over(self, part: str) -> None:
        """Say that a part works."""
        if self._since.pop(part, None) is not None:
            _log.info("works again", part=part)
        self._show()

    async def goes_on(self, part: str, error: BaseException) -> None:
        """Say that a part failed once more."""
        metrics.FAILURES.labels(part).inc()
        now = asyncio.get_running_loop().time()
        if part not in self._since:
            self._since[part] = now
            _log.warning("waits", part=part, error=_kind(error))
        self._show()
        if now - self._since[part] >= PATIENCE_SECONDS and self._is_due(part, now):
            self._told[part] = now
            await self._tell(part, error)

    def _is_due(self, part: str, now: float) -> bool:
        told = self._told.get(part)
        return told is None or now - told >= TOLD_EVERY.total_seconds()

    def _show(self) -> None:
        if self._since:
            self._health.waits_for(", ".join(sorted(self._since)))
        else:
            self._health.ready()

    async def _tell(self, part: str, error: BaseException) -> None:
        notice = ProcessingFailed(
            topic=None,
            partition=None,
            offset=None,
            event_id=None,
            reason=f"{part} fails",
            detail=_kind(error),
            component=COMPONENT,
        )
        _log.error("keeps failing", part=part, error=_kind(error))
        now = utc_now()
        try:
            async with self._engine.begin() as connection:
                outbox = OutboxRepository(connection)
                await outbox.append_once(self._stream_key, about_input(notice, now), now - TOLD_EVERY)
        except DATABASE_ERRORS as failure:
            _log.warning("trouble could not be recorded", error=_kind(failure))


def _kind(error: BaseException) -> str:
    """Only the kind of an error is told: its text may quote what was read."""
    return type(getattr(error, "orig", None) or error).__name__
