"""The connections of one process to PostgreSQL: asyncpg's pool with the time-outs that we rely on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from giftcert.health import ObstacleError
from giftcert.settings import Settings
from giftcert.storage.database_figures import CONNECTIONS, TRANSACTION_SECONDS, count_failure

CONNECT_SECONDS = 5
POOL_SECONDS = 10  # for a connection that nobody else uses; then the database counts as away
LOCK_TIMEOUT = "5s"  # our transactions take milliseconds, so who holds a lock for longer has gone wrong
STATEMENT_TIMEOUT = "20s"  # many times the longest of ours; verification, which needs longer, sets its own
CLOSE_SECONDS = 30  # until what is still lent counts as never given back
COMMAND_SECONDS = 25  # for a server that does not answer at all; its own limits, which say more, come first
IDLE_IN_TRANSACTION_TIMEOUT = "10s"  # then a process that stops in a transaction loses its locks
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
# Our statements find rows one by one. Else the server expects a tenth of a table from a LIMIT that it does not know,
# and goes on scanning what was small when it planned (ADR 103).
WHOLE_TABLE_PLANS = ("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin")
PLAN_FREELY = "; ".join(f"SET {name} = on" for name in WHOLE_TABLE_PLANS)
"""For a session that reads whole tables, and closes its connection."""


class OverloadedError(OSError):
    """So many wait for the database already that whoever comes now had better ask again later."""


@dataclass(slots=True)
class _Request:
    """What somebody waits for; whether it has been lent a connection yet."""

    has_had_one: bool = False


_REQUEST: ContextVar[_Request | None] = ContextVar("_REQUEST", default=None)


def begin_request() -> None:
    """Say that what this task does from now on is for somebody who can ask again, and may be refused."""
    _REQUEST.set(_Request())


DATABASE_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server ended the connection just as we began to use it
    OSError,  # TimeoutError is one
)
"""All that a statement may raise; ``is_database_away`` says which mean an outage."""
# 08: connection lost; 53: no room; 57: shutting down, not up yet, or a statement's time is over; 55P03: a lock's.
_AWAY_STATES = ("08", "53", "57", "55P03")


class StandstillError(ObstacleError):
    """Nothing may be decided now: database and stream do not belong together, or were not compared yet."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"database and stream do not belong together or were not compared yet: {reason}")
        self.reason = reason


@dataclass(slots=True)
class Standstill:
    """Whether a process may use its connections; all its databases share one.

    ``reason``: why not. ``look`` says why a new connection may not be used: it may lead to another database than those
    before it, as after a restore or a failover.
    """

    look: Callable[[Connection], Awaitable[str | None]]
    reason: str | None = None

    def check(self) -> None:
        """Raise `StandstillError` while nothing may be decided."""
        if self.reason is not None:
            raise StandstillError(self.reason)

    async def check_new(self, connection: Connection) -> None:
        """Do the same with a connection that was made just now."""
        self.reason = await self.look(connection)
        self.check()


class Database:
    """A pool of connections, which are made as they are needed, and anew where the server has gone.

    Every statement reads along indexes, whatever the statistics say. With ``standstill`` no connection is lent while
    that says so. ``most_waiting`` bounds how many may wait for a connection: beyond it whatever began with
    `begin_request` and has had none yet is refused with `OverloadedError` at once. One that has is let through, as what
    it has done would be done once more (ADR 107).
    """

    def __init__(
        self,
        address: str,
        application_name: str = "giftcert",
        *,
        pool_size: int = 5,
        standstill: Standstill | None = None,
        most_waiting: int | None = None,
    ) -> None:
        self._standstill = standstill
        self._most_waiting = most_waiting
        self._waiting = 0
        self._pool = asyncpg.create_pool(
            address,
            min_size=0,
            max_size=pool_size,
            init=standstill.check_new if standstill else None,
            reset=_keep,
            timeout=CONNECT_SECONDS,
            command_timeout=COMMAND_SECONDS,
            server_settings=server_settings(application_name),
        )

    @classmethod
    def of(
        cls,
        settings: Settings,
        application_name: str,
        *,
        pool_size: int | None = None,
        standstill: Standstill | None = None,
        most_waiting: int | None = None,
    ) -> "Database":
        """Return the database of the settings; raises `AddressNotSetError`."""
        return cls(
            settings.database_address,
            application_name,
            pool_size=pool_size or settings.database_pool_size,
            standstill=standstill,
            most_waiting=most_waiting,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Wait until all connections are given back, and close them; after ``CLOSE_SECONDS`` cut off the others."""
        pool = await self._pool
        with suppress(TimeoutError):  # asyncpg ends them where it is interrupted
            async with asyncio.timeout(CLOSE_SECONDS):
                await pool.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection, each statement on which is a transaction of its own; raises ``DATABASE_ERRORS``.

        `StandstillError`, where nothing may be decided, is one of them.
        """
        if self._standstill is not None:
            self._standstill.check()
        pool = await self._pool  # puts itself together at first, without a trip
        try:
            # An idle one is lent within CONNECT_SECONDS; a timeout costs as much as the rest of lending.
            connection = await (pool.acquire() if pool.get_idle_size() else self._wait_for_connection(pool))
        except DATABASE_ERRORS as error:
            count_failure(error)
            raise
        CONNECTIONS.inc()
        request = _REQUEST.get()
        if request is not None:
            request.has_had_one = True
        try:
            yield connection
        except asyncio.CancelledError:
            connection.terminate()  # nobody knows whether its BEGIN or COMMIT was carried out
            raise
        except DATABASE_ERRORS as error:
            count_failure(error)
            if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
                forget_values(error)
            raise
        finally:
            CONNECTIONS.dec()
            await pool.release(connection, timeout=POOL_SECONDS)

    async def answer(self) -> None:
        """Have the server answer over a connection of the pool, as all work does; raises ``DATABASE_ERRORS``."""
        async with self.connection() as connection:
            await connection.execute("SELECT 1")

    async def _wait_for_connection(self, pool: Pool) -> "PoolConnectionProxy[asyncpg.Record]":
        is_full = self._most_waiting is not None and self._waiting >= self._most_waiting
        request = _REQUEST.get()
        if is_full and request is not None and not request.has_had_one:
            raise OverloadedError(f"{self._waiting} wait for a connection")
        self._waiting += 1
        try:
            async with asyncio.timeout(POOL_SECONDS):  # the pool's own limit would make a task each time
                return await pool.acquire()
        finally:
            self._waiting -= 1

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend a connection within a transaction, which commits where nothing is raised."""
        async with self.connection() as connection:
            with TRANSACTION_SECONDS.time():
                async with connection.transaction():
                    yield connection


def forget_values(error: asyncpg.PostgresError | asyncpg.InterfaceError) -> None:
    """Take what a statement was given, or found, out of an error of the database, wherever its text may go.

    DETAIL quotes rows and keys; what does not fit (class 22, or asyncpg's own refusal) is quoted in the message itself.
    """
    error.__cause__ = error.__context__ = None  # why something does not fit quotes it too
    if isinstance(error, asyncpg.InterfaceError):
        if isinstance(error, ValueError):
            error.args = ("a value does not fit its parameter",)
        return
    error.detail = error.hint = error.context = None
    if (error.sqlstate or "").startswith("22"):
        error.message = f"SQLSTATE {error.sqlstate}"
        error.args = (error.message,)


async def _keep(_: Any) -> None:  # noqa: ANN401 - a connection of asyncpg
    """Spare the trip that clears a session: whoever sets anything beyond a transaction closes the connection."""


def server_settings(application_name: str) -> dict[str, str]:
    """Return the settings of a session of ours."""
    return {
        "application_name": application_name,
        "timezone": "UTC",
        "jit": "off",  # our statements are short; compiling them costs more than running them
        "plan_cache_mode": "force_generic_plan",  # so does planning one anew for its parameters
        "lock_timeout": LOCK_TIMEOUT,
        "statement_timeout": STATEMENT_TIMEOUT,
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT,
        **dict.fromkeys(WHOLE_TABLE_PLANS, "off"),
    }


def is_database_away(error: BaseException) -> bool:
    """Return whether an error means that the database cannot serve us now, rather than that we asked wrongly."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(_AWAY_STATES)
    return isinstance(error, DATABASE_ERRORS)
