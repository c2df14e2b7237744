"""``/certificates/verify``: whether number and CVC belong together, and what may be spent."""

from typing import Annotated

from fastapi import APIRouter, Request, Security

from api import problems
from api.callers import Bearer, check_own_channel
from api.documentation import may_answer
from api.services import services_of
from api.spending_schemas import Credentials, Verification
from api.views import money
from giftcert.domain.state import CertificateState
from giftcert.security import Caller, Role
from giftcert.storage.certificates import CertificateRepository

router = APIRouter(tags=["spending"])
ChannelCaller = Annotated[Caller, Security(Bearer(Role.CHANNEL))]


@router.post(
    "/certificates/verify",
    operation_id="verifyCertificate",
    responses=may_answer(problems.CHANNEL_NOT_ALLOWED, problems.TOO_MANY_ATTEMPTS),
)
async def verify_certificate(request: Request, caller: ChannelCaller, body: Credentials) -> Verification:
    """Tell whether number and CVC belong together, and then status and balance."""
    check_own_channel(request, caller, body.channel)
    services = services_of(request)
    number, cvc = body.number.get_secret_value(), body.cvc.get_secret_value()
    certificate_id = await services.credentials.certificate_of(caller.subject, body.channel, number, cvc)
    if certificate_id is None:
        return Verification(valid=False)
    async with services.engine.connect() as connection:
        stored = await CertificateRepository(connection).load(str(certificate_id))
    return _view(stored.state)


def _view(state: CertificateState) -> Verification:
    return Verification.model_validate(
        {
            "valid": True,
            "certificate_id": state.certificate_id,
            "product": state.product,
            "status": state.shown_status,
            "balance": money(state.balance, state.currency),
            "held": money(state.held, state.currency),
            "valid_until": state.sale.valid_until if state.sale else None,
        }
    )
