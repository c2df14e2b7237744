"""``/pool`` and ``/operations``: certificates per status, and their retirement by operations."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import Field
from starlette.responses import Response
from uuid_utils.compat import uuid7

from api.authentication import AuthenticatedRoute, Call, OpsCall
from api.idempotency_header import SentKey, key_of, reply
from api.openapi import keyed, may_answer
from api.problems import InvalidFieldError, Problem, ProblemError
from api.schemas import FreeText, Schema
from giftcert.lifecycle.idempotency import IdempotencyBusyError
from giftcert.lifecycle.retirement import retire_next
from giftcert.storage.idempotency import IdempotencyKey, IdempotencyRepository
from giftcert.storage.operations import Operation, OperationRepository
from giftcert.storage.pool import PoolRepository

router = APIRouter(tags=["pool"], route_class=AuthenticatedRoute)
BATCH_ID = "01936f8e-4a00-7d1e-8b2c-3a4b5c6d7e8f"
OPERATION_ID = "01936f92-3e40-7d5c-9a4b-4b5c6d7e8f90"
OperationId = Annotated[UUID, Path(alias="operationId", examples=[OPERATION_ID])]


class PoolCountView(Schema):
    """How many certificates of a product stand in each status."""

    product: str = Field(examples=["GC-5000"])
    available: int = Field(examples=[98_000])
    cooling: int = Field(
        description="Of the available: released so lately that others go first; 10,000 at most"
    )
    statuses: dict[str, int] = Field(examples=[{"available": 98_000, "issued": 2_000}])
    low_threshold: int = Field(examples=[1_000])
    sold: int = Field(examples=[2_000])
    sold_since: datetime | None
    empty_at: datetime | None


class RetirementOrder(Schema):
    """What operations withdraw: a batch or one certificate."""

    batch_id: UUID | None = Field(None, examples=[BATCH_ID])
    certificate_id: UUID | None = Field(None, examples=[None])
    reason: FreeText = Field(examples=["the printer lost a box"])


class OperationView(Schema):
    """A retirement, and how far it has come; it is carried on after a crash."""

    operation_id: UUID = Field(examples=[OPERATION_ID])
    batch_id: UUID | None = Field(examples=[BATCH_ID])
    certificate_id: UUID | None = Field(examples=[None])
    reason: str = Field(examples=["the printer lost a box"])
    total: int = Field(description="Certificates to look at", examples=[10_000])
    done: int = Field(description="Certificates looked at", examples=[4_997])
    retired: int = Field(description="Were available or reserved", examples=[4_990])
    blocked: int = Field(description="Were ordered or sold", examples=[7])
    requested_at: datetime
    finished_at: datetime | None


@router.get("/pool", responses=may_answer())
async def count_pool(call: OpsCall) -> list[PoolCountView]:
    """Count the certificates of each product by status."""
    services = call.services
    async with services.database.connection() as connection:
        counts = await PoolRepository(connection).counts(
            services.clock(), services.settings.cooling_period, services.settings.pool_low_threshold
        )
    return [PoolCountView.model_validate(count) for count in counts]


@router.post(
    "/pool/retire",
    **keyed({202: OperationView}, Problem.UNKNOWN_BATCH, Problem.UNKNOWN_CERTIFICATE, has_body=True),
)
async def retire(call: OpsCall, body: RetirementOrder, key: SentKey = None) -> Response:
    """Withdraw a batch or one certificate: what is not sold is retired, what is sold is blocked.

    The answer is an operation; `GET /operations/{operationId}` says how far it has come.
    """
    if (body.batch_id is None) == (body.certificate_id is None):
        field = "batchId" if body.batch_id is None else "certificateId"
        raise InvalidFieldError(field, "name either a batch or a certificate")
    used = key_of(call, "retire", key, body.model_dump(mode="json"))
    operation = Operation(
        operation_id=uuid7(),
        **body.model_dump(),
        requested_by=call.caller.subject,
        requested_at=call.services.clock(),
    )
    answer, repeated = await _start(call, operation, used)
    if repeated:
        return reply(answer, 202, repeated=True)
    services = call.services
    if body.certificate_id is not None:  # at once, so that it needs no workflow
        retired = await retire_next(services.lifecycle, operation.operation_id, services.clock())
        services.workflows.wake(retired.wakes)
    else:
        services.workflows.retire()
    return reply(answer, 202)


@router.get("/operations/{operationId}", responses=may_answer(Problem.UNKNOWN_OPERATION))
async def get_operation(call: OpsCall, operation_id: OperationId) -> OperationView:
    """Return the progress of a retirement."""
    async with call.services.database.connection() as connection:
        found = await OperationRepository(connection).find(operation_id)
    if found is None:
        raise ProblemError(Problem.UNKNOWN_OPERATION)
    return OperationView.model_validate(found)


async def _start(call: Call, operation: Operation, key: IdempotencyKey | None) -> tuple[bytes, bool]:
    """Store an operation and what its caller is answered; return the answer, and whether it was given before."""
    async with call.services.database.transaction() as connection:
        before = await IdempotencyRepository(connection).find(key, operation.requested_at) if key else None
        if before is not None:
            return before, True
        stored = await OperationRepository(connection).start(
            operation, call.services.settings.general_stream_key
        )
        body = OperationView.model_validate(stored).model_dump_json(by_alias=True).encode()
        if key is not None:
            answer = key.answered(body, operation.requested_at)
            if not await IdempotencyRepository(connection).remember(answer):
                raise IdempotencyBusyError
    return body, False
