"""The HTTP application put together, and the process that serves it."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial

import structlog
import uvicorn
from fastapi import FastAPI
from pydantic.alias_generators import to_camel
from sqlalchemy.ext.asyncio import AsyncEngine

from api import (
    certificates,
    health,
    pool,
    products,
    redemptions,
    refunds,
    reservations,
    verification,
)
from api.limits import CallLimit, ReservationCap
from api.middleware import RequestMiddleware
from api.openapi import document
from api.problems import Problem, handle_problems
from api.products import Catalogue
from api.reservations import RefusedClaimLedger
from api.services import Services
from api.verification import CredentialCheck, record_locks
from api.workflows import CertificateWorkflows
from giftcert.clock import Clock, utc_now
from giftcert.lifecycle.change import Lifecycle
from giftcert.lifecycle.idempotency import CallsInProgress
from giftcert.security import keyring_of, token_verifier_of
from giftcert.settings import Settings
from giftcert.storage.claim_queue import ClaimQueue
from giftcert.storage.claims import ClaimRepository
from giftcert.storage.engine import claim_connections, make_engine, transaction
from giftcert.storage.outages import DATABASE_ERRORS
from giftcert.storage.service_policy import record_policy
from giftcert.temporal.deployment import build_id

_LOG = structlog.get_logger(__name__)
SHUTDOWN_SECONDS = 5
CLOSE_SECONDS = 2
RECORD_SECONDS = 1
"""How often is recorded what no request waits for."""
YOUNG_OBJECTS = 5_000
"""How many come before the garbage collector looks: by default it does twice a request, and takes 6 % of it."""
_DESCRIPTION = """Gift certificates: channels reserve them, CRM discloses them, support looks into them.

Errors are problem documents (RFC 9457); their `type` is stable. Money is in minor units. Times are UTC."""


class AddressTakenError(Exception):
    """The port of the API is in use, or its host is not ours."""


def create_app(settings: Settings, clock: Clock = utc_now) -> FastAPI:
    """Return the application; it opens its connections when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings, clock) as services:
            app.state.services = services
            yield

    app = FastAPI(
        title="Gift certificates",
        version="1",
        description=_DESCRIPTION,
        lifespan=lifespan,
        openapi_url="/openapi.json" if settings.serve_docs else None,
        docs_url="/docs" if settings.serve_docs else None,
        redoc_url=None,
        generate_unique_id_function=lambda route: to_camel(route.name),
        telemetry={"tracing": False, "metrics": False, "logs": False},  # ours say no secrets
    )
    handle_problems(app)
    app.include_router(reservations.next_router)  # the calls that buyers wait for are found first
    app.include_router(redemptions.redeem_router)
    for resource in (reservations, verification, redemptions, certificates, products, pool, refunds, health):
        app.include_router(resource.router)
    if settings.serve_metrics:
        app.include_router(health.metrics_router)
    document(app)
    app.add_middleware(RequestMiddleware, log=settings.access_log)
    return app


@asynccontextmanager
async def open_services(settings: Settings, clock: Clock = utc_now) -> AsyncIterator[Services]:
    """Make the services, keep their background work going, and close them.

    Nothing here waits for the database, Temporal or Kafka: the API starts while they are away.

    Raises:
        KeyFileError: the keyring or the public keys cannot be read.
    """
    engine, keyring = make_engine(settings, "giftcert-api", index_plans=True), keyring_of(settings)
    workflows = CertificateWorkflows(settings)
    lifecycle = Lifecycle(engine, settings.policy, keyring, web_url=settings.workflow_url, build=build_id())
    refused_claims = RefusedClaimLedger(engine, clock)
    try:
        async with (
            claim_connections(settings) as connections,
            _recording("refused claims", refused_claims.record_due),
            _recording("locks of numbers", partial(record_locks, engine, lifecycle, keyring)),
            _recording("the policy", partial(_record_policy, engine, settings, clock), once=True),
        ):
            claims = ClaimRepository(connections)
            yield Services(
                settings=settings,
                clock=clock,
                engine=engine,
                lifecycle=lifecycle,
                claims=ClaimQueue(claims),
                past_claims=claims,
                claims_in_progress=CallsInProgress(),
                catalogue=Catalogue(engine),
                cap=ReservationCap(engine, settings.reservation_cap),
                refused_claims=refused_claims,
                disclosures_by_caller=CallLimit(
                    settings.disclosures_per_caller, Problem.TOO_MANY_DISCLOSURES
                ),
                disclosures_by_certificate=CallLimit(
                    settings.disclosures_per_certificate, Problem.TOO_MANY_DISCLOSURES
                ),
                workflows=workflows,
                keyring=keyring,
                credentials=CredentialCheck(engine, keyring, settings),
                tokens=token_verifier_of(settings),
            )
    finally:
        await workflows.close(CLOSE_SECONDS)
        await engine.dispose()


async def _record_policy(engine: AsyncEngine, settings: Settings, clock: Clock) -> None:
    """Record the policy of this process: commands decide by it too (ADR 60)."""
    async with transaction(engine) as connection:
        await record_policy(connection, settings.policy, clock())


@asynccontextmanager
async def _recording(
    subject: str, record: Callable[[], Awaitable[None]], *, once: bool = False
) -> AsyncIterator[None]:
    """Record in the background, again and again or until it was done once; the database may be away meanwhile."""
    stop = asyncio.Event()

    async def work() -> None:
        while not stop.is_set():
            try:
                await record()
                if once:
                    return
            except DATABASE_ERRORS as error:
                _LOG.warning("wait to be recorded", subject=subject, error=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), RECORD_SECONDS)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait([task], timeout=CLOSE_SECONDS)
        task.cancel()  # while the database is away it may take longer


async def serve(settings: Settings) -> None:
    """Serve the API until cancelled; requests under way are finished first.

    Raises:
        AddressTakenError: the port is in use.
        KeyFileError: the keyring or the public keys cannot be read.
    """
    app = create_app(settings)
    configuration = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",  # a failure to start is ours to tell, in one line
        ws="none",
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    server = _Server(configuration)
    async with open_services(settings) as app.state.services:
        gc.collect()
        gc.freeze()  # what is loaded by now stays; looking through it again would hold up requests
        gc.set_threshold(YOUNG_OBJECTS)
        await _serve(server, settings)


async def _serve(server: uvicorn.Server, settings: Settings) -> None:
    with _listen(settings) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            server.should_exit = True
            await serving
            raise


class _Server(uvicorn.Server):
    """Leaves signals to the runner of the process, which turns them into cancellation."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(settings: Settings) -> socket.socket:
    address = (settings.api_host, settings.api_port)
    try:
        return socket.create_server(address, backlog=2048)
    except OSError as error:
        where = f"{settings.api_host}:{settings.api_port}"
        raise AddressTakenError(
            f"GIFTCERT_API_HOST, GIFTCERT_API_PORT: cannot listen on {where}: {error.strerror}"
        ) from error
