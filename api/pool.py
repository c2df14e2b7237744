"""``/pool``: how many certificates there are in each status, and their withdrawal by operations."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Request, Security
from starlette.responses import Response

from api import problems
from api.act_schemas import RetirementOrder, RetirementView
from api.callers import Bearer
from api.documentation import may_answer
from api.idempotency import HIT_HEADER, SentKey, key_of
from api.problems import InvalidFieldError
from api.repeats import Reply, answer_once
from api.schemas import PoolCountView
from api.services import services_of
from giftcert.clock import utc_now
from giftcert.people.deciding import Act
from giftcert.people.nudging import Nudge
from giftcert.people.retiring import Retirement, Retiring, UnknownBatchError
from giftcert.security import Caller, Role
from giftcert.storage.pool import PoolRepository

_LOG = structlog.get_logger(__name__)
router = APIRouter(tags=["pool"])
Operator = Annotated[Caller, Security(Bearer(Role.OPS))]
_RETIRING = may_answer(
    problems.UNKNOWN_BATCH,
    problems.UNKNOWN_CERTIFICATE,
    problems.IDEMPOTENCY_KEY_REQUIRED,
    problems.IDEMPOTENCY_MISMATCH,
)


@router.get("/pool", operation_id="countPool", responses=may_answer())
async def count_pool(request: Request, _: Operator) -> list[PoolCountView]:
    """Count the certificates of each product by status."""
    services = services_of(request)
    async with services.engine.connect() as connection:
        counts = await PoolRepository(connection).counts(utc_now(), services.settings.cooling_period)
    return [
        PoolCountView(
            product=one.product, available=one.available, cooling=one.cooling, statuses=one.statuses
        )
        for one in counts
    ]


@router.post(
    "/pool/retire",
    operation_id="retire",
    response_model=RetirementView,
    responses={**_RETIRING, 200: HIT_HEADER},
)
async def retire(request: Request, caller: Operator, body: RetirementOrder, key: SentKey = None) -> Response:
    """Withdraw a batch or one certificate: what is not sold is retired, what is sold is blocked.

    Repeated, it goes on with what is left. Ten thousand take a few seconds.
    """
    if body.batch_id is not None and body.certificate_id is not None:
        raise InvalidFieldError("certificateId", "name either a batch or a certificate, not both")
    services = services_of(request)
    act, nudge = Act(body.reason, caller.subject), Nudge(services.temporal.client)
    retiring = Retiring(services.engine, services.settings.policy, act, nudge)

    async def work() -> Reply:
        done = await _retire(retiring, body)
        if nudge.is_away:
            _LOG.warning("workflows learn of their retirement or block at their next step")
        return Reply(_retirement(done))

    used = key_of(services.settings, caller, "retire", key, body.model_dump(mode="json"))
    return await answer_once(services, used, work)


async def _retire(retiring: Retiring, body: RetirementOrder) -> Retirement:
    if body.certificate_id is not None:
        return await retiring.certificate(body.certificate_id)
    if body.batch_id is None:
        raise InvalidFieldError("batchId", "name either a batch or a certificate")
    try:
        return await retiring.batch(body.batch_id)
    except UnknownBatchError:
        raise problems.ProblemError(problems.UNKNOWN_BATCH) from None


def _retirement(done: Retirement) -> RetirementView:
    return RetirementView(retired=done.retired, blocked=done.blocked, statuses=done.statuses)
