"""What the endpoints work with, made once per process and put together here."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncEngine

from api.asking import Workflows
from api.caps import ReservationCap
from api.catalogue import Catalogue
from api.credentials import CredentialCheck, LockTeller
from api.known_callers import KnownCallers
from api.limits import DisclosureLimits
from api.refusals import RefusalLedger
from api.sealed_secrets import WorkflowSecrets
from api.temporal import TemporalConnection
from giftcert.security import Keyring, keyring_of, token_verifier_of
from giftcert.settings import Settings
from giftcert.storage.claims import ClaimRepository
from giftcert.storage.engine import claim_connections, make_engine


@dataclass(frozen=True, slots=True)
class Services:
    """All that an endpoint may need."""

    settings: Settings
    engine: AsyncEngine
    claims: ClaimRepository
    catalogue: Catalogue
    cap: ReservationCap
    refusals: RefusalLedger
    limits: DisclosureLimits
    temporal: TemporalConnection
    secrets: WorkflowSecrets
    workflows: Workflows
    keyring: Keyring
    credentials: CredentialCheck
    callers: KnownCallers
    key_holders: asyncio.Semaphore
    """Calls that hold an Idempotency-Key on one connection while they work on another; some must stay free for that."""


CLOSE_SECONDS = 2


def services_of(request: Request) -> Services:
    """Return the services of the application that answers this request."""
    services: Services = request.app.state.services
    return services


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Make the services, keep their background work going, and close them.

    Nothing here waits for the database, Temporal or Kafka: the API starts while they are away.

    Raises:
        KeyFileError: the keyring or the public keys cannot be read.
    """
    engine, keyring = make_engine(settings, "giftcert-api"), keyring_of(settings)
    refusals, temporal = RefusalLedger(engine), TemporalConnection(settings)
    try:
        async with (
            claim_connections(settings) as connections,
            _going_on(refusals.tell_leftovers, LockTeller(engine, settings).tell),
        ):
            yield Services(
                settings=settings,
                engine=engine,
                claims=ClaimRepository(connections),
                catalogue=Catalogue(engine),
                cap=ReservationCap(engine, settings.reservation_cap),
                refusals=refusals,
                limits=DisclosureLimits(settings),
                temporal=temporal,
                secrets=WorkflowSecrets(settings, temporal),
                workflows=Workflows(settings, temporal),
                keyring=keyring,
                credentials=CredentialCheck(engine, keyring, settings),
                callers=KnownCallers(token_verifier_of(settings)),
                key_holders=asyncio.Semaphore(settings.database_pool_size // 2),
            )
    finally:
        await engine.dispose()


@asynccontextmanager
async def _going_on(*works: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Keep works going in the background; each ends when its event is set, or soon after."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(work(stop)) for work in works]
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
        for task in tasks:
            task.cancel()  # while the database is away it may take longer
