"""Block, unblock, unlock, write again: what support and CRM do to one certificate."""

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Security
from starlette.responses import Response

from api import problems
from api.act_schemas import Reason, StandingView
from api.callers import Bearer
from api.certificates import CertificateId
from api.documentation import may_answer
from api.idempotency import HIT_HEADER, SentKey, key_of
from api.repeats import Reply, answer_once
from api.services import Services, services_of
from api.views import money
from giftcert.clock import utc_now
from giftcert.people.blocking import Blocking, NotAllowedError, Standing, standing_of
from giftcert.people.deciding import Act
from giftcert.security import Caller, Role
from giftcert.storage.idempotency import IdempotencyKey
from giftcert.storage.verification_locks import VerificationLockRepository

router = APIRouter(tags=["support"])
Supporter = Annotated[Caller, Security(Bearer(Role.SUPPORT))]
_KEYED = (problems.UNKNOWN_CERTIFICATE, problems.IDEMPOTENCY_KEY_REQUIRED, problems.IDEMPOTENCY_MISMATCH)
_RESPONSES = may_answer(*_KEYED, problems.STATUS_NOT_ALLOWED)


@router.post(
    "/certificates/{certificateId}/block",
    operation_id="blockCertificate",
    response_model=StandingView,
    responses={**_RESPONSES, 200: HIT_HEADER},
)
async def block(
    request: Request, caller: Supporter, certificate_id: CertificateId, body: Reason, key: SentKey = None
) -> Response:
    """Stop spending and disclosure of a certificate, and that it is given if nobody has it yet."""
    services = services_of(request)
    act = Act(body.reason, caller.subject)
    parameters = {"certificateId": str(certificate_id), "reason": body.reason}
    used = key_of(services.settings, caller, "block", key, parameters)
    return await _answer(services, used, lambda: _blocking(services).block(certificate_id, act))


@router.post(
    "/certificates/{certificateId}/unblock",
    operation_id="unblockCertificate",
    response_model=StandingView,
    responses={**_RESPONSES, 200: HIT_HEADER},
)
async def unblock(
    request: Request, caller: Supporter, certificate_id: CertificateId, body: Reason, key: SentKey = None
) -> Response:
    """Lift a block; all is as it was, and refunds that waited for it are judged again."""
    services = services_of(request)
    act = Act(body.reason, caller.subject)
    parameters = {"certificateId": str(certificate_id), "reason": body.reason}
    used = key_of(services.settings, caller, "unblock", key, parameters)
    return await _answer(services, used, lambda: _blocking(services).unblock(certificate_id, act))


@router.post(
    "/certificates/{certificateId}/unlock",
    operation_id="unlockCertificate",
    response_model=StandingView,
    responses={**may_answer(*_KEYED), 200: HIT_HEADER},
)
async def unlock(
    request: Request, caller: Supporter, certificate_id: CertificateId, body: Reason, key: SentKey = None
) -> Response:
    """Have number and CVC checked again after too many wrong ones; where nothing is locked nothing changes."""
    services = services_of(request)
    act = Act(body.reason, caller.subject)
    parameters = {"certificateId": str(certificate_id), "reason": body.reason}
    used = key_of(services.settings, caller, "unlock", key, parameters)
    return await _answer(services, used, lambda: _unlock(services, certificate_id, act))


@router.post(
    "/certificates/{certificateId}/notifications",
    operation_id="notifyAgain",
    status_code=202,
    response_model=StandingView,
    responses={**_RESPONSES, 202: HIT_HEADER},
)
async def notify_again(
    request: Request,
    caller: Annotated[Caller, Security(Bearer(Role.CRM, Role.SUPPORT))],
    certificate_id: CertificateId,
    key: SentKey = None,
) -> Response:
    """Have the client written to again: it never came. The stream then tells a new `notification.requested`."""
    services = services_of(request)
    used = key_of(services.settings, caller, "notify", key, {"certificateId": str(certificate_id)})

    def work() -> Awaitable[Standing]:
        return _blocking(services).notify_again(certificate_id, caller.subject)

    return await _answer(services, used, work, 202)


def _blocking(services: Services) -> Blocking:
    settings = services.settings
    return Blocking(services.engine, services.workflows.ask, settings.policy, settings.channels)


async def _unlock(services: Services, certificate_id: UUID, act: Act) -> Standing:
    async with services.engine.begin() as connection:
        locks = VerificationLockRepository(connection)
        return standing_of(await locks.unlock(certificate_id, act.by, act.reason, utc_now()))


async def _answer(
    services: Services,
    key: IdempotencyKey | None,
    act: Callable[[], Awaitable[Standing]],
    status: int = 200,
) -> Response:
    async def work() -> Reply:
        try:
            return Reply(_view(await act()), status)
        except NotAllowedError as error:
            members = {"certificateStatus": error.status}
            raise problems.ProblemError(problems.STATUS_NOT_ALLOWED, members) from None

    return await answer_once(services, key, work)


def _view(standing: Standing) -> StandingView:
    return StandingView.model_validate(
        {
            "certificate_id": standing.certificate_id,
            "status": standing.status,
            "refund_state": standing.refund_state,
            "balance": money(standing.balance, standing.currency),
            "held": money(standing.held, standing.currency),
        }
    )
