"""Commands that change certificates: by the one transaction, as every other part of the service does."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from giftcert.cli.errors import CommandError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from giftcert.domain.policy import Policy
    from giftcert.lifecycle.change import Lifecycle
    from giftcert.settings import Settings
    from giftcert.temporal.signals import Wake

CONNECT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class OpenedLifecycle:
    """The transaction that changes certificates, on connections of this command."""

    lifecycle: "Lifecycle"
    engine: "AsyncEngine"
    settings: "Settings"

    async def send(self, wakes: "Iterable[Wake]") -> None:
        """Signal the workflows concerned; where Temporal is away, the sweep of ingest does it later."""
        from giftcert.temporal.client import connect
        from giftcert.temporal.workflows import send_wakes

        wanted = list(wakes)
        if not wanted:
            return
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                client = await connect(self.settings)
        except (RuntimeError, TimeoutError):
            typer.echo("Temporal is away: the workflows are signalled when it is back", err=True)
            return
        await send_wakes(client, wanted)


@asynccontextmanager
async def opened_lifecycle(name: str) -> AsyncIterator[OpenedLifecycle]:
    """Open the database that the settings name, or that of the running stack.

    Raises:
        CommandError: it cannot be used, or the policy of the service is not known.
        StackError: there is none, or keys of an embedded stack would serve an external one.
    """
    from giftcert.cli.server_errors import reaching_database
    from giftcert.embedded.addresses import with_running_stack
    from giftcert.embedded.key_rule import refuse_embedded_keys
    from giftcert.settings import load_settings
    from giftcert.storage.engine import make_engine
    from giftcert.telemetry import configure_logging

    settings = with_running_stack(load_settings(), ["database_url"])
    refuse_embedded_keys(settings)
    configure_logging(
        settings.model_copy(update={"log_level": "WARNING"})
    )  # standard output is the command's
    engine = make_engine(settings, name)
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    try:
        with reaching_database(url):
            yield OpenedLifecycle(await lifecycle_of(settings, engine), engine, settings)
    finally:
        await engine.dispose()


async def lifecycle_of(settings: "Settings", engine: "AsyncEngine") -> "Lifecycle":
    """Return the transaction of a command, which decides as the service does and not by its shell's settings.

    Raises:
        CommandError: the policy of the service is not known.
    """
    from giftcert.lifecycle.change import Lifecycle
    from giftcert.security import keyring_of

    policy = await service_policy(engine)
    return Lifecycle(
        engine, policy, keyring_of(settings), web_url=settings.workflow_url, build="command line"
    )


async def service_policy(engine: "AsyncEngine") -> "Policy":
    """Return the policy that the API recorded when it started.

    Raises:
        CommandError: none has started on this database.
    """
    from giftcert.storage.service_policy import recorded_policy

    async with engine.connect() as connection:
        policy = await recorded_policy(connection)
    if policy is None:
        raise CommandError(
            "the policy of the service is not known here: start its API once, which records it"
        )
    return policy
