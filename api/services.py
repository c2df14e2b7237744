"""What the endpoints work with: made once per process, kept going in the background, and closed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import structlog
from temporalio.client import Client

from api.disclosure_limits import DisclosureLimits
from api.limits import ReservationCap
from api.products import Catalogue
from api.verification import CredentialCheck, record_locks
from api.workflows import CertificateWorkflows
from giftcert.build import build_id
from giftcert.clock import Clock, utc_now
from giftcert.dispatch.stream_guard import guarding
from giftcert.domain.certificate.messages import Request
from giftcert.health import Health
from giftcert.lifecycle.change import Lifecycle
from giftcert.lifecycle.requests import AnswerOf, Outcome
from giftcert.requirements.watch import of_database, watching
from giftcert.security.keys import keyring_of, token_verifier_of
from giftcert.settings import Settings
from giftcert.storage.certificates import LoadedCertificate
from giftcert.storage.claim_batching import ClaimQueue
from giftcert.storage.claims import ClaimRepository
from giftcert.storage.data_keys import Seals
from giftcert.storage.database import DATABASE_ERRORS, Database, StandstillError
from giftcert.storage.idempotency import IdempotencyKey
from giftcert.storage.refused_claims import RefusedClaimRepository
from giftcert.storage.service_policy import record_policy
from giftcert.temporal.client import connect

_LOG = structlog.get_logger(__name__)
CLOSE_SECONDS = 2
CLAIM_CONNECTIONS = 4
"""Of a process, or half of its connections if those are fewer. Claims of one product share a connection: these are for
several products, and for claims that wait for a lock."""
WAITING_PER_CONNECTION = 8
"""So many requests may wait for one: what they ask takes milliseconds, so all are served within a second."""
RECORD_SECONDS = 1  # how often is recorded what no request waits for


class Services:
    """All that an endpoint may need."""

    def __init__(
        self, settings: Settings, clock: Clock, database: Database, claims: ClaimRepository, client: Client
    ) -> None:
        self.settings, self.clock, self.database = settings, clock, database
        self.health = Health()
        self.keyring = keyring_of(settings)
        self.seals = Seals(database, self.keyring)
        self.tokens = token_verifier_of(settings)
        self.lifecycle = Lifecycle(
            database, settings.policy, self.keyring, web_url=settings.workflow_url, build=build_id()
        )
        self.workflows = CertificateWorkflows(client, settings.query_timeout)
        self.catalogue = Catalogue(database, settings.default_product)
        self.past_claims, self.claims = claims, ClaimQueue(claims)
        self.cap = ReservationCap(database, settings.reservation_cap, settings.reservation_share)
        self.credentials = CredentialCheck(database, self.keyring, self.seals, settings)
        self.disclosure_limits = DisclosureLimits(database, settings)

    async def act(
        self,
        certificate_id: str,
        request: Request,
        *,
        key: IdempotencyKey | None = None,
        answer: AnswerOf | None = None,
        seen: LoadedCertificate | None = None,
    ) -> Outcome:
        """Carry a request out as ``Lifecycle.act`` does, then wake the workflows that it concerns."""
        outcome = await self.lifecycle.act(
            certificate_id, request, self.clock(), key=key, answer=answer, seen=seen
        )
        self.workflows.wake(outcome.wakes)
        return outcome


@asynccontextmanager
async def open_services(settings: Settings, clock: Clock = utc_now) -> AsyncIterator[Services]:
    """Make the services, keep their background work going, and close them; ``KeyFileError`` where keys are missing.

    Nothing here waits for the database, Temporal or Kafka: the API starts while they are away.
    """
    client = await connect(settings, lazy=True)
    claiming = min(CLAIM_CONNECTIONS, settings.database_pool_size // 2)
    others = settings.database_pool_size - claiming
    most_waiting = others * WAITING_PER_CONNECTION
    async with AsyncExitStack() as stack:
        standstill = await stack.enter_async_context(guarding(settings))
        open_pool = partial(Database.of, settings, standstill=standstill)
        database = await stack.enter_async_context(
            open_pool("giftcert-api", pool_size=others, most_waiting=most_waiting)
        )
        for_claims = await stack.enter_async_context(open_pool("giftcert-claims", pool_size=claiming))
        services = Services(settings, clock, database, ClaimRepository(for_claims), client)
        record_new_locks = partial(record_locks, database, services.lifecycle, services.keyring)
        tasks = [
            asyncio.create_task(_record("refused claims", partial(_record_refused_claims, services))),
            asyncio.create_task(_record("locks of numbers", record_new_locks)),
            asyncio.create_task(_record("the policy", partial(_record_policy, services), once=True)),
            asyncio.create_task(services.tokens.keys.keep_renewing()),
            asyncio.create_task(_record("keys to be unwrapped", services.seals.unwrap_all, once=True)),
        ]
        services.health.ready()
        try:
            async with watching(services.health, of_database(database)):
                yield services
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
            await services.workflows.close(CLOSE_SECONDS)


async def _record(subject: str, record: Callable[[], Awaitable[None]], *, once: bool = False) -> None:
    """Record what no request waits for, again and again or once; the database may be away meanwhile."""
    while True:
        try:
            await record()
            if once:
                return
        except StandstillError:
            pass  # the guard has logged it
        except DATABASE_ERRORS as error:
            _LOG.warning("wait to be recorded", subject=subject, error=type(error).__name__)
        await asyncio.sleep(RECORD_SECONDS)


async def _record_refused_claims(services: Services) -> None:
    """Of what no later refusal records, or a crash left."""
    async with services.database.transaction() as connection:
        await RefusedClaimRepository(connection).record_due(services.clock())


async def _record_policy(services: Services) -> None:
    """Commands decide by the policy of this process too (ADR 60)."""
    async with services.database.transaction() as connection:
        await record_policy(connection, services.settings.policy, services.clock())
