"""The HTTP application put together, and the process that serves it."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from api import (
    certificates,
    health,
    pool,
    problems,
    products,
    redemptions,
    refunds,
    reservations,
    verification,
)
from api.authentication import CheckedTokens
from api.limits import CallLimit, ReservationCap
from api.middleware import RequestMiddleware
from api.openapi import document
from api.products import Catalogue
from api.reservations import RefusedClaimLedger
from api.services import Services
from api.verification import CredentialCheck, LockRecorder
from api.workflows import CertificateWorkflows
from giftcert.clock import Clock, utc_now
from giftcert.lifecycle.change import Lifecycle
from giftcert.lifecycle.idempotency import CallsInProgress
from giftcert.security import keyring_of, token_verifier_of
from giftcert.settings import Settings
from giftcert.storage.claim_queue import ClaimQueue
from giftcert.storage.claims import ClaimRepository
from giftcert.storage.engine import claim_connections, make_engine
from giftcert.storage.outages import DATABASE_ERRORS
from giftcert.storage.service_policy import record_policy
from giftcert.temporal.deployment import build_id

SHUTDOWN_SECONDS = 5
CLOSE_SECONDS = 2
RETRY_SECONDS = 1
YOUNG_OBJECTS = 5_000
"""How many come before the garbage collector looks: by default it does twice a request, and takes 6 % of it."""
_LOG = structlog.get_logger(__name__)
_DESCRIPTION = """Gift certificates: channels reserve them, CRM discloses them, support looks into them.

Errors are problem documents (RFC 9457); their `type` is stable. Money is in minor units. Times are UTC."""


class AddressTakenError(Exception):
    """The port of the API is in use, or its host is not ours."""

    def __init__(self, settings: Settings, error: OSError) -> None:
        where = f"{settings.api_host}:{settings.api_port}"
        super().__init__(f"GIFTCERT_API_HOST, GIFTCERT_API_PORT: cannot listen on {where}: {error.strerror}")


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
        telemetry={"tracing": False, "metrics": False, "logs": False},  # ours say no secrets
    )
    problems.handle_problems(app)
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
    locks = LockRecorder(engine, lifecycle, keyring)
    recording = partial(_record_policy, engine, settings, clock)
    try:
        async with (
            claim_connections(settings) as connections,
            _background(refused_claims.run, locks.run, recording),
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
                    settings.disclosures_per_caller, problems.TOO_MANY_DISCLOSURES
                ),
                disclosures_by_certificate=CallLimit(
                    settings.disclosures_per_certificate, problems.TOO_MANY_DISCLOSURES
                ),
                workflows=workflows,
                keyring=keyring,
                credentials=CredentialCheck(engine, keyring, settings),
                tokens=CheckedTokens(token_verifier_of(settings)),
            )
    finally:
        await workflows.close(CLOSE_SECONDS)
        await engine.dispose()


async def _record_policy(engine: AsyncEngine, settings: Settings, clock: Clock, stop: asyncio.Event) -> None:
    """Record the policy of this process, once the database is there: commands decide by it too (ADR 60)."""
    while not stop.is_set():
        try:
            async with engine.begin() as connection:
                await record_policy(connection, settings.policy, clock())
        except DATABASE_ERRORS as error:
            _LOG.warning("the policy waits to be recorded", error=type(error).__name__)
        else:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), RETRY_SECONDS)


@asynccontextmanager
async def _background(*works: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
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


@contextmanager
def _listen(settings: Settings) -> Iterator[socket.socket]:
    try:
        listener = socket.create_server((settings.api_host, settings.api_port), backlog=2048)
    except OSError as error:
        raise AddressTakenError(settings, error) from error
    with listener:
        yield listener
