"""What commands connect to: where a server cannot be used, one line names its setting."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TypeAlias
from urllib.parse import urlsplit

import asyncpg
import structlog
import typer
from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException
from temporalio.service import RPCError

from giftcert.cli.errors import CommandError
from giftcert.cli.faults import (
    Fault,
    database_fault,
    kafka_fault,
    refuses_database_user,
    temporal_fault,
)
from giftcert.cli.output import own_texts
from giftcert.domain.policy import Policy
from giftcert.embedded.addresses import refuse_embedded_keys, with_running_stack
from giftcert.kafka_connection import reach_kafka
from giftcert.lifecycle.change import Lifecycle
from giftcert.logs import configure_logging
from giftcert.security.keys import keyring_of
from giftcert.security.vault import KmsUnavailableError
from giftcert.settings import Settings, load_settings
from giftcert.storage.database import (
    Connection,
    Database,
    Standstill,
    StandstillError,
    is_database_away,
)
from giftcert.storage.service_policy import recorded_policy
from giftcert.storage.stream_comparison import StreamComparisonRepository
from giftcert.temporal.client import connect, temporal_configuration
from giftcert.temporal.signals import Wake
from giftcert.temporal.workflow_starts import send_wakes

_CONNECT_SECONDS = 2.0
_ANSWER_SECONDS = 5.0
_LOG = structlog.get_logger(__name__)


class ServerUnusableError(CommandError):
    """A server does not answer or refuses us; the message names the setting to change."""

    def __init__(self, message: str, fault: Fault) -> None:
        super().__init__(message)
        self.fault = fault


def database_settings() -> Settings:
    """Return the settings with the address of a database: that which they name, or that of the running stack."""
    return with_running_stack(load_settings(), ["database_url"])


@asynccontextmanager
async def connected(settings: Settings, command: str, *, decides: bool = False) -> AsyncIterator[Database]:
    """Lend connections to the database; a command that ``decides`` does not while the service stands still."""
    standstill = Standstill(_standstill) if decides else None
    with reaching_database(settings):
        async with Database.of(settings, f"giftcert-{command}", standstill=standstill) as database:
            yield database


async def _standstill(connection: Connection) -> str | None:
    return (await StreamComparisonRepository(connection).state()).standstill


@contextmanager
def reaching_database(settings: Settings) -> Iterator[None]:
    """Raise a `CommandError` where PostgreSQL does not answer or refuses us."""
    with _reaching_postgresql(settings.database_address, "GIFTCERT_DATABASE_URL"):
        yield


@contextmanager
def reaching_database_as_owner(settings: Settings) -> Iterator[None]:
    """Raise a `CommandError` where PostgreSQL does not answer or refuses the owner of the tables."""
    is_set = settings.database_owner_url is not None
    setting = "GIFTCERT_DATABASE_OWNER_URL" if is_set else "GIFTCERT_DATABASE_URL"
    with _reaching_postgresql(settings.database_owner_address, setting):
        yield


@contextmanager
def _reaching_postgresql(url: str, setting: str) -> Iterator[None]:
    try:
        yield
    except StandstillError as error:
        raise CommandError(
            f"database and stream are not of one life ({error.reason}): run `giftcert recover`"
        ) from error
    except Exception as error:
        is_other = isinstance(error, KmsUnavailableError)
        if is_other or not (refuses_database_user(error) or is_database_away(error)):
            raise
        where = urlsplit(url)
        fault = database_fault(error, url, setting)
        raise _unusable("PostgreSQL", f"{where.hostname}:{where.port or 5432}", fault) from error


@contextmanager
def reaching_temporal(settings: Settings) -> Iterator[None]:
    """Raise a `CommandError` where Temporal does not answer or refuses us."""
    try:
        yield
    except (RuntimeError, RPCError, TimeoutError) as error:
        over_tls = bool(temporal_configuration(settings).get("tls"))
        fault = temporal_fault(error, over_tls=over_tls)
        raise _unusable("Temporal", settings.temporal_address, fault) from error


@contextmanager
def reaching_kafka(settings: Settings) -> Iterator[None]:
    """Raise a `CommandError` where Kafka does not answer or refuses us."""
    try:
        yield
    except (KafkaException, KafkaError, OSError) as error:
        fault = kafka_fault(error, settings.kafka_security_protocol)
        raise _unusable("Kafka", settings.kafka_bootstrap_servers, fault) from error


def _unusable(server: str, address: str | None, fault: Fault) -> ServerUnusableError:
    return ServerUnusableError(f"{server} at {address} cannot be used ({fault.setting}): {fault.says}", fault)


async def check_database(settings: Settings) -> None:
    """Raise a `ServerUnusableError` where PostgreSQL does not answer or refuses us."""
    with reaching_database(settings):
        connection = await asyncpg.connect(settings.database_address, timeout=_ANSWER_SECONDS)
        await connection.close()


async def check_temporal(settings: Settings) -> None:
    """Raise a `ServerUnusableError` where Temporal does not answer or refuses us."""
    with reaching_temporal(settings):
        async with asyncio.timeout(_ANSWER_SECONDS):
            await connect(settings)


async def check_kafka(settings: Settings) -> None:
    """Raise a `ServerUnusableError` where Kafka does not answer or refuses us."""
    with reaching_kafka(settings):
        await reach_kafka(settings)


Check: TypeAlias = Callable[[Settings], Awaitable[None]]


async def refuse_if_refused(settings: Settings, needs: Sequence[Check], uses: Sequence[Check] = ()) -> None:
    """Connect to what a process needs and to what it merely uses, before it begins to wait for them.

    A server that is away may come back, but one that refuses us as we are set up will not: then a
    `ServerUnusableError` is raised, or a line logged where it is only used.
    """

    async def look(check: Check) -> None:
        try:
            await check(settings)
        except ServerUnusableError as error:
            if error.fault.refused and check in needs:
                raise
            _LOG.warning("a server cannot be used yet", reason=str(error))

    await asyncio.gather(*map(look, (*needs, *uses)))


@asynccontextmanager
async def opened_lifecycle(command: str) -> AsyncIterator[Lifecycle]:
    """Open the one transaction on the database that the settings name, or on that of the running stack."""
    settings = database_settings()
    refuse_embedded_keys(settings)
    # Standard output is the command's.
    configure_logging(settings.model_copy(update={"log_level": "WARNING"}))
    async with connected(settings, command, decides=True) as database:
        yield await lifecycle_of(settings, database)


async def lifecycle_of(settings: Settings, database: Database) -> Lifecycle:
    """Return the transaction of a command, which decides as the service does and not by its shell's settings."""
    policy, keyring = await service_policy(database), keyring_of(settings)
    return Lifecycle(database, policy, keyring, web_url=settings.workflow_url, build="command line")


async def service_policy(database: Database) -> Policy:
    """Return the policy that the API recorded when it started (ADR 60)."""
    async with database.connection() as connection:
        policy = await recorded_policy(connection)
    if policy is None:
        raise CommandError(
            "the policy of the service is not known here: start its API once, which records it"
        )
    return policy


async def send_if_reachable(wakes: Sequence[Wake]) -> None:
    """Signal the workflows concerned; where Temporal is away, the sweep of ingest does it later."""
    if not wakes:
        return
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            client = await connect(database_settings())
    except (RuntimeError, TimeoutError):
        typer.echo(own_texts()("temporal-away"), err=True)
        return
    await send_wakes(client, wakes)
