"""Turns the many errors of a server that is not there into one line that names the setting."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from giftcert.cli.errors import CommandError


@contextmanager
def reaching_database(url: str) -> Iterator[None]:
    """Name ``GIFTCERT_DATABASE_URL`` when PostgreSQL does not answer or refuses us.

    Raises:
        CommandError: in place of what the driver raised.
    """
    from asyncpg import (
        InsufficientPrivilegeError,
        InvalidAuthorizationSpecificationError,
        InvalidCatalogNameError,
    )

    from giftcert.storage.outages import is_database_away

    refusals = (
        InvalidAuthorizationSpecificationError,
        InvalidCatalogNameError,
        InsufficientPrivilegeError,
    )
    try:
        yield
    except Exception as error:
        cause = _as_the_driver_said(error)
        if not (isinstance(cause, refusals) or is_database_away(cause)):
            raise
        where = urlsplit(url)
        raise CommandError(
            f"PostgreSQL at {where.hostname}:{where.port or 5432} cannot be used (GIFTCERT_DATABASE_URL): "
            f"{' '.join(str(cause).split())}"
        ) from error


def _as_the_driver_said(error: Exception) -> BaseException:
    """Return what SQLAlchemy wrapped twice, or the error itself."""
    from sqlalchemy.exc import DBAPIError

    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig.__cause__ or error.orig
    return error


@contextmanager
def reaching_temporal(address: str | None) -> Iterator[None]:
    """Name ``GIFTCERT_TEMPORAL_ADDRESS`` when Temporal does not answer or refuses us.

    Raises:
        CommandError: in place of what the client raised.
    """
    from temporalio.service import RPCError

    try:
        yield
    except (RuntimeError, RPCError) as error:
        raise CommandError(
            f"Temporal at {address} cannot be used (GIFTCERT_TEMPORAL_ADDRESS): {' '.join(str(error).split())[:200]}"
        ) from error


@contextmanager
def reaching_kafka(servers: str | None) -> Iterator[None]:
    """Name ``GIFTCERT_KAFKA_BOOTSTRAP_SERVERS`` when Kafka does not answer or refuses us.

    Raises:
        CommandError: in place of what the client raised.
    """
    from aiokafka.errors import KafkaError
    from confluent_kafka import KafkaException

    try:
        yield
    except (KafkaException, KafkaError) as error:
        said = error.args[0].str() if isinstance(error, KafkaException) else str(error)
        raise CommandError(
            f"Kafka at {servers} cannot be used (GIFTCERT_KAFKA_BOOTSTRAP_SERVERS): {said}"
        ) from error
