"""The servers that commands use: where one cannot be used, one line names its setting."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit

from aiokafka.errors import KafkaError
from asyncpg import (
    InsufficientPrivilegeError,
    InvalidAuthorizationSpecificationError,
    InvalidCatalogNameError,
)
from confluent_kafka import KafkaException
from temporalio.service import RPCError

from giftcert.cli.errors import CommandError
from giftcert.embedded.addresses import with_running_stack
from giftcert.settings import Settings, load_settings
from giftcert.storage.database import Database
from giftcert.storage.outages import is_database_away

_REFUSALS = (InvalidAuthorizationSpecificationError, InvalidCatalogNameError, InsufficientPrivilegeError)


def database_settings() -> Settings:
    """Return the settings with the address of a database: that which they name, or that of the running stack.

    Raises:
        StackError: there is neither.
    """
    return with_running_stack(load_settings(), ["database_url"])


@asynccontextmanager
async def connected(settings: Settings, command: str) -> AsyncIterator[Database]:
    """Lend connections to the database.

    Raises:
        CommandError: PostgreSQL does not answer or refuses us.
    """
    with reaching_database(database_url(settings)):
        async with Database.of(settings, f"giftcert-{command}") as database:
            yield database


def database_url(settings: Settings) -> str:
    """Return the address of the database, which is set."""
    return settings.database_url.get_secret_value() if settings.database_url else ""


@contextmanager
def reaching_database(url: str) -> Iterator[None]:
    """Name ``GIFTCERT_DATABASE_URL`` when PostgreSQL does not answer or refuses us.

    Raises:
        CommandError: in place of what asyncpg raised.
    """
    try:
        yield
    except Exception as error:
        if not (isinstance(error, _REFUSALS) or is_database_away(error)):
            raise
        where = urlsplit(url)
        address = f"{where.hostname}:{where.port or 5432}"
        raise _unusable("PostgreSQL", address, "GIFTCERT_DATABASE_URL", str(error)) from error


@contextmanager
def reaching_temporal(settings: Settings) -> Iterator[None]:
    """Name ``GIFTCERT_TEMPORAL_ADDRESS`` when Temporal does not answer or refuses us.

    Raises:
        CommandError: in place of what the client raised.
    """
    try:
        yield
    except (RuntimeError, RPCError) as error:
        address, said = settings.temporal_address, str(error)[:200]
        raise _unusable("Temporal", address, "GIFTCERT_TEMPORAL_ADDRESS", said) from error


@contextmanager
def reaching_kafka(settings: Settings) -> Iterator[None]:
    """Name ``GIFTCERT_KAFKA_BOOTSTRAP_SERVERS`` when Kafka does not answer or refuses us.

    Raises:
        CommandError: in place of what the client raised.
    """
    try:
        yield
    except (KafkaException, KafkaError) as error:
        said = error.args[0].str() if isinstance(error, KafkaException) else str(error)
        servers = settings.kafka_bootstrap_servers
        raise _unusable("Kafka", servers, "GIFTCERT_KAFKA_BOOTSTRAP_SERVERS", said) from error


def _unusable(server: str, address: str | None, setting: str, said: str) -> CommandError:
    return CommandError(f"{server} at {address} cannot be used ({setting}): {' '.join(said.split())}")
