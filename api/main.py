"""The HTTP application put together, and the process that serves it."""

import gc
from datetime import timedelta
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from pydantic.alias_generators import to_camel

from api import certificates, health, pool, products, redemptions, refunds, reservations, verification
from api.documentation import serve_documentation
from api.middleware import RequestMiddleware
from api.openapi import TAGS, document
from api.problems import handle_problems
from api.request_spans import SpanMiddleware
from api.server import serve_until_cancelled, server_of
from api.services import open_services
from giftcert import tracing
from giftcert.settings import Settings

_CROSS_ORIGIN: dict[str, Any] = {
    "allow_methods": ["GET", "POST", "DELETE"],
    "allow_headers": ["Authorization", "Content-Type", "Idempotency-Key", "Giftcert-End-User"],
    "expose_headers": ["Retry-After", "Idempotency-Hit"],
}
YOUNG_OBJECTS = 5_000
"""How many come before the garbage collector looks: by default it does twice a request, and takes 6 % of it."""
_DESCRIPTION = """Gift certificates: channels reserve them, CRM discloses them, support looks into them.

Errors are problem documents (RFC 9457); their `type` is stable. Money is in minor units. Times are UTC."""


def create_app(settings: Settings) -> FastAPI:
    """Return the application; it answers once its ``state.services`` are opened."""
    serves_docs, serves_metrics = (
        settings.is_api_local if chosen is None else chosen
        for chosen in (settings.serve_docs, settings.serve_metrics)
    )
    app = FastAPI(
        title="Gift certificates",
        version="1",
        description=_DESCRIPTION,
        openapi_url="/openapi.json" if serves_docs else None,
        docs_url=None,
        redoc_url=None,
        openapi_tags=TAGS,
        generate_unique_id_function=lambda route: to_camel(route.name),
        telemetry={"tracing": False, "metrics": False, "logs": False},  # ours say no secrets
    )
    app.state.is_leaving = False
    handle_problems(app)
    app.include_router(reservations.next_router)  # the calls that buyers wait for are found first
    app.include_router(redemptions.redeem_router)
    for resource in (reservations, verification, redemptions, certificates, products, pool, refunds, health):
        app.include_router(resource.router)
    if serves_metrics:
        app.include_router(health.metrics_router)
    document(app)
    if serves_docs:
        serve_documentation(app)
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.cors_origins, **_CROSS_ORIGIN)
    app.add_middleware(RequestMiddleware, log=settings.access_log, most=settings.api_requests)
    if tracing.is_on():
        app.add_middleware(SpanMiddleware)
    return app


async def serve(settings: Settings) -> None:
    """Serve the API until cancelled; requests under way are finished first."""
    app = create_app(settings)
    server = server_of(
        app,
        connections=settings.api_connections,
        drain=settings.api_drain,
        **trusted_by(settings),
    )
    async with open_services(settings) as app.state.services:
        gc.collect()
        gc.freeze()  # what is loaded by now stays; looking through it again would hold up requests
        gc.set_threshold(YOUNG_OBJECTS)
        await serve_until_cancelled(
            server,
            settings.api_host,
            settings.api_port,
            "API",
            leave=partial(_leave, app, settings.api_notice),
        )


def _leave(app: FastAPI, notice: timedelta) -> float:
    """Have ``/readyz`` say no, and return the seconds until balancers have heard it."""
    app.state.is_leaving = True
    return notice.total_seconds()


def trusted_by(settings: Settings) -> dict[str, Any]:
    """Return the options by which uvicorn believes the proxies that the settings name, and nobody else."""
    networks = [str(network) for network in settings.trusted_proxies]
    return {"proxy_headers": bool(networks), "forwarded_allow_ips": networks}
