"""What commands connect to: where a server cannot be used, one line names its setting."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit

import typer
from aiokafka.errors import KafkaError
from asyncpg import PostgresError
from confluent_kafka import KafkaException
from temporalio.service import RPCError

from giftcert.cli.errors import CommandError
from giftcert.domain.policy import Policy
from giftcert.embedded.addresses import refuse_embedded_keys, with_running_stack
from giftcert.lifecycle.change import Lifecycle
from giftcert.security.keys import keyring_of
from giftcert.settings import Settings, load_settings
from giftcert.storage.database import Database, is_database_away
from giftcert.storage.service_policy import recorded_policy
from giftcert.telemetry import configure_logging
from giftcert.temporal.client import connect
from giftcert.temporal.signals import Wake
from giftcert.temporal.workflow_starts import send_wakes

_REFUSED_STATES = ("28", "3D000", "42501")  # not this user, no such database, without the right
_CONNECT_SECONDS = 2.0


def database_settings() -> Settings:
    """Return the settings with the address of a database: that which they name, or that of the running stack."""
    return with_running_stack(load_settings(), ["database_url"])


@asynccontextmanager
async def connected(settings: Settings, command: str) -> AsyncIterator[Database]:
    """Lend connections to the database."""
    with reaching_database(settings):
        async with Database.of(settings, f"giftcert-{command}") as database:
            yield database


@contextmanager
def reaching_database(settings: Settings) -> Iterator[None]:
    """Raise a `CommandError` where PostgreSQL does not answer or refuses us."""
    try:
        yield
    except Exception as error:
        state = error.sqlstate if isinstance(error, PostgresError) else None
        if not ((state or "").startswith(_REFUSED_STATES) or is_database_away(error)):
            raise
        where = urlsplit(settings.database_address)
        address = f"{where.hostname}:{where.port or 5432}"
        raise _unusable("PostgreSQL", address, "GIFTCERT_DATABASE_URL", str(error)) from error


@contextmanager
def reaching_temporal(settings: Settings) -> Iterator[None]:
    """Raise a `CommandError` where Temporal does not answer or refuses us."""
    try:
        yield
    except (RuntimeError, RPCError) as error:
        address, said = settings.temporal_address, str(error)[:200]
        raise _unusable("Temporal", address, "GIFTCERT_TEMPORAL_ADDRESS", said) from error


@contextmanager
def reaching_kafka(settings: Settings) -> Iterator[None]:
    """Raise a `CommandError` where Kafka does not answer or refuses us."""
    try:
        yield
    except (KafkaException, KafkaError) as error:
        said = error.args[0].str() if isinstance(error, KafkaException) else str(error)
        servers = settings.kafka_bootstrap_servers
        raise _unusable("Kafka", servers, "GIFTCERT_KAFKA_BOOTSTRAP_SERVERS", said) from error


def _unusable(server: str, address: str | None, setting: str, said: str) -> CommandError:
    return CommandError(f"{server} at {address} cannot be used ({setting}): {' '.join(said.split())}")


@asynccontextmanager
async def opened_lifecycle(command: str) -> AsyncIterator[Lifecycle]:
    """Open the one transaction on the database that the settings name, or on that of the running stack."""
    settings = database_settings()
    refuse_embedded_keys(settings)
    # Standard output is the command's.
    configure_logging(settings.model_copy(update={"log_level": "WARNING"}))
    async with connected(settings, command) as database:
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
        typer.echo("Temporal is away: the workflows are signalled when it is back", err=True)
        return
    await send_wakes(client, wakes)
