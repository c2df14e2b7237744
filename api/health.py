"""``/healthz``, ``/readyz``, ``/metrics``, and the explanation of each type of problem."""

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
from giftcert.storage.database import DATABASE_ERRORS
from giftcert.storage.products import ProductRepository
from giftcert.telemetry import exposition

if TYPE_CHECKING:
    from api.services import Services

router = APIRouter(tags=["operation"])
metrics_router = APIRouter(tags=["operation"])
_NOT_READY = "The database is away, or the process ends"
_METRIC = 'giftcert_http_request_seconds_count{method="GET",route="/certificates/next",status="200"} 3.0'


class PartStatus(Schema):
    """Whether the service is ready, part by part."""

    status: Literal["ready", "notReady"]
    parts: dict[str, str] = Field(
        examples=[{"database": "ok", "temporal": "away", "kafka": "not needed here"}]
    )


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


@router.get("/readyz", responses={503: {"model": PartStatus, "description": _NOT_READY}})
async def is_ready(request: Request, response: Response) -> PartStatus:
    """Say of each part whether it answers. Reservations need the database alone, so that decides.

    A process that ends is not ready, while it still answers whatever it is asked.
    """
    if request.app.state.is_leaving:
        response.status_code = 503
        return PartStatus(status="notReady", parts={"process": "ending"})
    services: Services = request.app.state.services
    database, temporal = await asyncio.gather(
        _answers(_reads_products(services)), _answers(services.workflows.check_health())
    )
    answers = {"database": database, "temporal": temporal}
    parts = {part: "ok" if is_there else "away" for part, is_there in answers.items()}
    response.status_code = 200 if database else 503
    status: Literal["ready", "notReady"] = "ready" if database else "notReady"
    return PartStatus(status=status, parts={**parts, "kafka": "not needed here"})


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
    async with services.database.connection() as connection:
        await ProductRepository(connection).all()
    return True


async def _answers(question: Awaitable[bool]) -> bool:
    try:
        async with asyncio.timeout(1):
            return await question
    except (*DATABASE_ERRORS, RPCError, RuntimeError):
        return False
