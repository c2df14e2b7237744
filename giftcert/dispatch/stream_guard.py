"""Stream guard: nothing is decided by a process while its database and the stream do not belong together (ADR 91)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import asyncpg
import structlog
from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException
from prometheus_client import Gauge

from giftcert.background import in_background
from giftcert.dispatch.comparison import Mismatch, compare
from giftcert.settings import Settings
from giftcert.storage.database import DATABASE_ERRORS, Connection, Database, Standstill
from giftcert.storage.stream_comparison import Reason, StreamComparisonRepository, StreamState

EVERY_SECONDS = 1.0
AGAIN_SECONDS = 10.0
"""After which they are compared once more while they do not belong together: Kafka may have been mended."""
COMPARED_EVERY_SECONDS = 30.0
"""By dispatch, though the database leads the same life: it may be the stream that is lost."""
FIRST_SECONDS = 3.0
"""For which the start of a process waits for the first comparison; then it begins, and perhaps stands still."""
REMEDY = "stop selling elsewhere, then run giftcert recover"
_STANDS_STILL = Gauge(
    "giftcert_standstill",
    "1 while nothing is decided, as database and stream do not belong together, by reason",
    ["reason"],
)
_STORED = tuple(one for one in Reason if one is not Reason.NOT_COMPARED)
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class StreamGuard:
    """Looks once a second, and at each new connection, and compares where that has to be done.

    A process without Kafka's address compares nothing, and follows what the others find. A database that never was
    compared is a new one: it is used while Kafka is away.
    """

    settings: Settings
    database: Database  # without a standstill of its own
    keeps_comparing: bool = False
    standstill: Standstill = field(init=False)
    _shown: str | None = field(default=None, init=False)
    _compared_at: float | None = field(default=None, init=False)
    _kafka_is_away: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.standstill = Standstill(self._reason_of)

    async def look(self, *, may_compare: bool = True) -> None:
        """See whether anything may be decided; where database and stream must be compared, do so first."""
        try:
            async with self.database.connection() as connection:
                state = await StreamComparisonRepository(connection).state()
                if may_compare and self._is_to_compare(state):
                    await self._compare(connection, state)
                    state = await StreamComparisonRepository(connection).state()
        except DATABASE_ERRORS:
            return  # whoever needs the database finds that out, and says so
        self.standstill.reason = self._reason(state)
        self._show(state)

    async def watch(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            await self.look()

    async def _compare(self, connection: Connection, state: StreamState) -> None:
        self._compared_at = asyncio.get_running_loop().time()
        try:
            mismatch = await compare(self.settings, connection, state)
        except (asyncpg.PostgresError, asyncpg.InterfaceError):
            raise
        except (KafkaError, KafkaException, OSError) as error:
            self._away(error)
            return
        self._kafka_is_away = False
        if mismatch is not None:
            await self._stand_still(connection, mismatch)

    def _away(self, error: Exception) -> None:
        if not self._kafka_is_away:
            _log.warning("database and stream cannot be compared yet", error=type(error).__name__)
        self._kafka_is_away, self._compared_at = True, None

    async def _stand_still(self, connection: Connection, mismatch: Mismatch) -> None:
        await StreamComparisonRepository(connection).stands_still(mismatch.reason, mismatch.detail)

    def _is_to_compare(self, state: StreamState) -> bool:
        if self.settings.kafka_bootstrap_servers is None or state.reason is Reason.RECOVERING:
            return False
        if state.reason is None and not self.keeps_comparing:
            return False
        if state.reason is Reason.NOT_COMPARED or self._compared_at is None:
            return True
        every = AGAIN_SECONDS if state.standstill else COMPARED_EVERY_SECONDS
        return asyncio.get_running_loop().time() - self._compared_at >= every

    async def _reason_of(self, connection: Connection) -> str | None:
        return self._reason(await StreamComparisonRepository(connection).state())

    def _reason(self, state: StreamState) -> Reason | None:
        is_new = state.reason is Reason.NOT_COMPARED and not state.was_ever_compared
        return None if is_new else state.reason

    def _show(self, state: StreamState) -> None:
        """Say it in one line when it changes."""
        reason = self.standstill.reason
        for one in _STORED:
            _STANDS_STILL.labels(one.value).set(reason == one)
        if reason == self._shown:
            return
        if reason is None:
            _log.info("database and stream belong together")
        elif reason == Reason.NOT_COMPARED:
            _log.warning("nothing is decided before database and stream are compared", reason=reason)
        else:
            _log.error("nothing is decided", reason=reason, detail=state.detail, remedy=REMEDY)
        self._shown = reason


@asynccontextmanager
async def guarded_database(
    settings: Settings, application_name: str, *, keeps_comparing: bool = False
) -> AsyncIterator[Database]:
    """Open the database of a service process, which lends no connection while nothing may be decided."""
    async with (
        guarding(settings, keeps_comparing=keeps_comparing) as standstill,
        Database.of(settings, application_name, standstill=standstill) as database,
    ):
        yield database


@asynccontextmanager
async def guarding(settings: Settings, *, keeps_comparing: bool = False) -> AsyncIterator[Standstill]:
    """Guard the databases that are opened with the yielded standstill, while the context lasts."""
    async with Database.of(settings, "giftcert-guard", pool_size=1) as database:
        guard = StreamGuard(settings, database, keeps_comparing)
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_SECONDS):
                await guard.look(may_compare=False)
                if guard.standstill.reason is not None:
                    await guard.look()
        async with in_background(guard.watch()):
            yield guard.standstill
