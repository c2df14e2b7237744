"""Commands that change certificates: by the one transaction, as every other part of the service does."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import typer

from giftcert.cli.connections import connected, database_settings
from giftcert.cli.errors import CommandError
from giftcert.domain.policy import Policy
from giftcert.embedded.addresses import refuse_embedded_keys
from giftcert.lifecycle.change import Lifecycle
from giftcert.security.keys import keyring_of
from giftcert.settings import Settings
from giftcert.storage.database import Database
from giftcert.storage.service_policy import recorded_policy
from giftcert.telemetry import configure_logging
from giftcert.temporal.client import connect
from giftcert.temporal.signals import Wake
from giftcert.temporal.workflow_starts import send_wakes

CONNECT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class OpenedLifecycle:
    """The transaction that changes certificates, on connections of this command."""

    lifecycle: Lifecycle
    database: Database
    settings: Settings

    async def send(self, wakes: Sequence[Wake]) -> None:
        """Signal the workflows concerned; where Temporal is away, the sweep of ingest does it later."""
        if not wakes:
            return
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                client = await connect(self.settings)
        except (RuntimeError, TimeoutError):
            typer.echo("Temporal is away: the workflows are signalled when it is back", err=True)
            return
        await send_wakes(client, wakes)


@asynccontextmanager
async def opened_lifecycle(command: str) -> AsyncIterator[OpenedLifecycle]:
    """Open the database that the settings name, or that of the running stack.

    Raises:
        CommandError: it cannot be used, or the policy of the service is not known.
        StackError: there is none, or keys of an embedded stack would serve an external one.
    """
    settings = database_settings()
    refuse_embedded_keys(settings)
    # Standard output is the command's.
    configure_logging(settings.model_copy(update={"log_level": "WARNING"}))
    async with connected(settings, command) as database:
        yield OpenedLifecycle(await lifecycle_of(settings, database), database, settings)


async def lifecycle_of(settings: Settings, database: Database) -> Lifecycle:
    """Return the transaction of a command, which decides as the service does and not by its shell's settings.

    Raises:
        CommandError: the policy of the service is not known.
    """
    policy, keyring = await service_policy(database), keyring_of(settings)
    return Lifecycle(database, policy, keyring, web_url=settings.workflow_url, build="command line")


async def service_policy(database: Database) -> Policy:
    """Return the policy that the API recorded when it started.

    Raises:
        CommandError: none has started on this database.
    """
    async with database.connection() as connection:
        policy = await recorded_policy(connection)
    if policy is None:
        raise CommandError(
            "the policy of the service is not known here: start its API once, which records it"
        )
    return policy
