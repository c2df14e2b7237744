"""``/livez``, ``/readyz``, ``/healthz``, ``/metrics``, and the explanation of each type of problem."""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import Field
from starlette.responses import Response
from temporalio.service import RPCError

from api.problems import PROBLEMS, Problem, ProblemError
from api.schemas import Schema
from giftcert.health import POSTGRESQL
from giftcert.storage.database import DATABASE_ERRORS, OverloadedError
from giftcert.storage.products import ProductRepository
from giftcert.telemetry import exposition

if TYPE_CHECKING:
    from api.services import Services

router = APIRouter(tags=["operation"])
ANSWER_SECONDS = 1
metrics_router = APIRouter(tags=["operation"])
_NOT_READY = "Send no requests here, for these reasons"
_METRIC = 'giftcert_http_request_seconds_count{method="GET",route="/certificates/next",status="200"} 3.0'


class PartStatus(Schema):
    """Whether the service is ready, part by part."""

    status: Literal["ready", "notReady"]
    parts: dict[str, str] = Field(
        examples=[{"database": "ok", "temporal": "away", "kafka": "not needed here"}]
    )
    reasons: dict[str, str] = Field(
        description="Why no requests should be sent, by part; empty where the service is ready",
        examples=[{"PostgreSQL": "it does not answer within 1 s"}],
    )


class Liveness(Schema):
    """Whether the process should go on, or be started anew."""

    status: Literal["alive", "stuck"]
    reasons: dict[str, str] = Field(description="Which of its loops hang", examples=[{}])


@router.get(
    "/healthz",
    responses={
        200: {
            "description": "The process answers",
            "content": {"application/json": {"example": {"status": "ok"}}},
        }
    },
)
async def is_alive() -> dict[str, str]:
    """Answer as long as the process does."""
    return {"status": "ok"}


@router.get(
    "/livez",
    responses={503: {"model": Liveness, "description": "A part of the process hangs: start it anew"}},
)
async def is_living(request: Request, response: Response) -> Liveness:
    """Say whether the process goes on. Servers that are away are no reason to start it anew."""
    services: Services = request.app.state.services
    verdict = services.health.liveness()
    response.status_code = 200 if verdict.is_well else 503
    return Liveness(status="alive" if verdict.is_well else "stuck", reasons=dict(verdict.reasons))


@router.get(
    "/readyz",
    responses={503: {"model": PartStatus, "description": _NOT_READY}},
)
async def is_ready(request: Request, response: Response) -> PartStatus:
    """Say whether requests should be sent here. Reservations need the database alone, so its absence decides.

    A process that ends is not ready, while it still answers whatever it is asked.
    """
    if request.app.state.is_leaving:
        response.status_code = 503
        return PartStatus(status="notReady", parts={"process": "ending"}, reasons={"process": "it is ending"})
    services: Services = request.app.state.services
    database, temporal = await asyncio.gather(
        _answers(_reads_products(services)), _answers(services.workflows.check_health())
    )
    answers = {"database": database, "temporal": temporal}
    parts = {part: "ok" if is_there else "away" for part, is_there in answers.items()}
    reasons = dict(services.health.readiness().reasons)
    if not database:
        reasons[POSTGRESQL] = (
            f"it does not answer within {ANSWER_SECONDS} s"  # whatever else is not known of it
        )
    response.status_code = 503 if reasons else 200
    status: Literal["ready", "notReady"] = "notReady" if reasons else "ready"
    return PartStatus(status=status, parts={**parts, "kafka": "not needed here"}, reasons=reasons)


@router.get("/problems/{name}", include_in_schema=False)
async def explain_problem(name: str) -> dict[str, Any]:
    """Explain a type of problem."""
    problem = PROBLEMS.get(name)
    if problem is None:
        raise ProblemError(Problem.NOT_FOUND)
    return problem.document


@metrics_router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {
            "description": "All figures",
            "content": {"text/plain": {"schema": {"type": "string"}, "example": _METRIC}},
        }
    },
)
async def read_metrics() -> Response:
    """Metrics in the format of Prometheus."""
    return Response(await exposition(), media_type=CONTENT_TYPE_LATEST)


async def _reads_products(services: "Services") -> bool:
    try:
        async with services.database.connection() as connection:
            await ProductRepository(connection).all()
    except OverloadedError:
        pass  # it is there, and works to capacity: taking the process out would make it worse for the others
    return True


async def _answers(question: Awaitable[bool]) -> bool:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await question
    except (*DATABASE_ERRORS, RPCError, RuntimeError):
        return False
