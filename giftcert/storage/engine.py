"""The connections of one process to PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from giftcert.settings import Settings

CONNECT_SECONDS = 5
LOCK_TIMEOUT = "5s"
"""Our transactions take milliseconds, so whoever waits longer for a lock waits for something that went wrong."""
STATEMENT_TIMEOUT = "20s"
"""Many times the longest statement of ours; what needs longer, as verification does, sets its own."""
COMMAND_SECONDS = 25
"""Above the server's own limits, whose errors say more: this one is for a server that does not answer at all."""
IDLE_IN_TRANSACTION_TIMEOUT = "10s"
"""A process that stops in the middle of a transaction loses its locks after this."""
CLAIM_CONNECTIONS = 4
"""Claims of one product share a connection: these are for several products, and for claims that wait for a lock."""
Driver: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
AnyConnection: TypeAlias = "AsyncConnection | Driver"
_INDEX_PLANS = dict.fromkeys(
    ("enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin"), "off"
)
"""For statements that find rows one by one: along an index, whatever statistics say. Else the server expects a tenth
of a table from a LIMIT that it does not know, and goes on scanning what was small when it planned.
"""


class NoDatabaseAddressError(Exception):
    """No address of PostgreSQL is set, and this process does not start one."""

    def __init__(self) -> None:
        super().__init__("GIFTCERT_DATABASE_URL is not set")


def make_engine(
    settings: Settings, application_name: str = "giftcert", *, index_plans: bool = False
) -> AsyncEngine:
    """Return the engine of this process; no connection is made yet.

    With ``index_plans`` every statement reads along indexes, whatever the statistics say.

    Raises:
        NoDatabaseAddressError: no address is set.
    """
    size = settings.database_pool_size
    return engine_at(_address(settings), application_name, pool_size=size, index_plans=index_plans)


@asynccontextmanager
async def opened_engine(
    settings: Settings, application_name: str, *, index_plans: bool = False
) -> AsyncIterator[AsyncEngine]:
    """Lend the engine of ``make_engine``, and close its connections in the end."""
    engine = make_engine(settings, application_name, index_plans=index_plans)
    try:
        yield engine
    finally:
        await engine.dispose()


def engine_at(
    database_url: str, application_name: str = "giftcert", *, pool_size: int = 5, index_plans: bool = False
) -> AsyncEngine:
    """Return an engine for an address as ``make_engine`` does for the settings."""
    engine = create_async_engine(
        driver_url(database_url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        hide_parameters=True,  # they may name people, and errors are logged
        connect_args={
            "server_settings": _server_settings(application_name, index_plans=index_plans),
            "timeout": CONNECT_SECONDS,
            "command_timeout": COMMAND_SECONDS,
        },
    )
    event.listen(engine.sync_engine, "checkout", _refuse_lost_connection)
    return engine


def _address(settings: Settings) -> str:
    if settings.database_url is None:
        raise NoDatabaseAddressError
    return settings.database_url.get_secret_value()


def _server_settings(application_name: str, *, index_plans: bool) -> dict[str, str]:
    return {
        "application_name": application_name,
        "timezone": "UTC",
        "jit": "off",  # our statements are short; compiling them costs more than running them
        "plan_cache_mode": "force_generic_plan",  # so does planning one anew for its parameters
        "lock_timeout": LOCK_TIMEOUT,
        "statement_timeout": STATEMENT_TIMEOUT,
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT,
        **(_INDEX_PLANS if index_plans else {}),
    }


@asynccontextmanager
async def claim_connections(settings: Settings) -> "AsyncIterator[asyncpg.Pool[asyncpg.Record]]":
    """Open asyncpg's own pool for the claims, which share one statement; it connects at the first of them.

    SQLAlchemy's way round the driver costs as much processor time as a claim itself.

    Raises:
        NoDatabaseAddressError: no address is set.
    """
    async with asyncpg.create_pool(
        _address(settings).replace("postgresql+asyncpg://", "postgresql://"),
        min_size=0,
        max_size=CLAIM_CONNECTIONS,
        reset=_keep,
        timeout=CONNECT_SECONDS,
        command_timeout=COMMAND_SECONDS,
        server_settings=_server_settings("giftcert-claims", index_plans=True),
    ) as connections:
        yield connections


async def _keep(_: Any) -> None:  # noqa: ANN401 - a pooled connection of asyncpg
    """Spare the trip that clears a session: a claim leaves nothing in it."""


@asynccontextmanager
async def autocommit(engine: AsyncEngine) -> AsyncIterator[Driver]:
    """Lend asyncpg's own connection, each statement on which is a transaction of its own; begin none.

    SQLAlchemy's connection around it costs as much processor time as three trips to the server.

    Raises:
        Exception: what asyncpg raised, one of ``outages.DATABASE_ERRORS``.
    """
    try:
        pooled = await engine.raw_connection()
    except (
        engine.dialect.loaded_dbapi.Error
    ) as error:  # of the adapter, where the server refuses to connect us
        raise error.__cause__ or error from None
    try:
        yield _asyncpg(pooled.driver_connection)
    except asyncio.CancelledError:
        pooled.invalidate()  # cancelled in the middle of BEGIN it would go back to the pool with a transaction open
        raise
    finally:
        pooled.close()


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[Driver]:
    """Lend asyncpg's own connection within a transaction, which commits where nothing is raised."""
    async with autocommit(engine) as driver, driver.transaction():
        yield driver


async def driver_of(connection: AnyConnection) -> Driver:
    """Return asyncpg's own connection, within the transaction that ``connection`` is in.

    Without ``begin()`` there is none, and each statement is a transaction of its own. SQLAlchemy sends BEGIN with its
    own first statement only; what the driver did before would be outside.
    """
    if isinstance(connection, asyncpg.Connection):
        return connection
    # The connection below is asked directly: the way round through a greenlet costs half a statement.
    sync = connection.sync_connection
    driver = _asyncpg((sync.connection if sync else await connection.get_raw_connection()).driver_connection)
    if connection.in_transaction() and not driver.is_in_transaction():
        await connection.exec_driver_sql("SELECT 1")
    return driver


def _asyncpg(driver: object) -> Driver:
    if not isinstance(driver, asyncpg.Connection):
        raise TypeError("not a connection of asyncpg")
    return driver


def driver_url(database_url: str) -> URL:
    """Return the address for asyncpg; libpq's ``sslmode`` is called ``ssl`` there."""
    url = make_url(database_url)
    if "sslmode" in url.query:
        query = dict(url.query)
        query["ssl"] = query.pop("sslmode")
        url = url.set(query=query)
    return url.set(drivername="postgresql+asyncpg")


def _refuse_lost_connection(dbapi_connection: Any, _record: Any, _proxy: Any) -> None:  # noqa: ANN401
    """Have the pool connect anew where the server has gone: asyncpg knows it, where a ping costs a trip.

    Nor may anybody go on in the transaction of somebody else, whose BEGIN was cancelled.
    """
    driver = dbapi_connection.driver_connection
    if driver.is_closed() or driver.is_in_transaction():
        raise DisconnectionError
