"""``/pool``: how many certificates there are in each status."""

from typing import Annotated

from fastapi import APIRouter, Request, Security

from api.callers import Bearer
from api.documentation import may_answer
from api.schemas import PoolCountView
from api.services import services_of
from giftcert.clock import utc_now
from giftcert.security import Caller, Role
from giftcert.storage.pool import PoolRepository

router = APIRouter(tags=["pool"])


@router.get("/pool", operation_id="countPool", responses=may_answer())
async def count_pool(
    request: Request, _: Annotated[Caller, Security(Bearer(Role.OPS))]
) -> list[PoolCountView]:
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
