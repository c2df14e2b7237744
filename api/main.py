"""The HTTP application, and the process that serves it."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import FastAPI

from api import (
    acts,
    certificates,
    disclosures,
    health,
    pool,
    products,
    redemptions,
    refunds,
    reservations,
    verification,
)
from api.access import Access
from api.documentation import document
from api.problem_handlers import handle_problems
from api.services import open_services
from giftcert.settings import Settings

SHUTDOWN_SECONDS = 5
_DESCRIPTION = """Gift certificates: channels reserve them, CRM discloses them, support looks into them.

Errors are problem documents (RFC 9457); their `type` is stable. Money is in minor units. Times are UTC."""


class AddressTakenError(Exception):
    """The port of the API is in use, or its host is not ours."""

    def __init__(self, settings: Settings, error: OSError) -> None:
        where = f"{settings.api_host}:{settings.api_port}"
        super().__init__(f"GIFTCERT_API_HOST, GIFTCERT_API_PORT: cannot listen on {where}: {error.strerror}")


def create_app(settings: Settings) -> FastAPI:
    """Return the application; it opens its connections when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings) as services:
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
    handle_problems(app)
    app.include_router(reservations.next_router)
    for resource in (
        reservations,
        disclosures,
        verification,
        redemptions,
        acts,
        certificates,
        products,
        pool,
        refunds,
        health,
    ):
        app.include_router(resource.router)
    if settings.serve_metrics:
        app.include_router(health.metrics_router)
    document(app)
    app.add_middleware(Access, log=settings.access_log)
    return app


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
