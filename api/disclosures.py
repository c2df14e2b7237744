"""``/certificates/{id}/cvc``: number and CVC for CRM, recorded before they are opened."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response, Security

from api import problems
from api.callers import Bearer
from api.certificates import CertificateId
from api.documentation import may_answer
from api.schemas import Disclosure
from api.sealed_secrets import Source, count
from api.services import Services, services_of
from giftcert.clock import utc_now
from giftcert.domain.disclosure import DisclosureRefusal
from giftcert.domain.state import CertificateState
from giftcert.security import Caller, Role
from giftcert.storage.disclosures import DisclosureDecision, DisclosureRepository, DisclosureRequest

router = APIRouter(tags=["disclosures"])
SOURCE_HEADER = "Sealed-Secrets-From"
_PROBLEMS = {
    DisclosureRefusal.NOT_ISSUED: problems.NOT_ISSUED,
    DisclosureRefusal.NOT_ACTIVE: problems.NOT_ACTIVE,
}
_RESPONSES = may_answer(
    problems.UNKNOWN_CERTIFICATE, problems.NOT_ISSUED, problems.NOT_ACTIVE, problems.TOO_MANY_DISCLOSURES
)
_SOURCE = {
    "description": "`workflow`, or `storage` if the workflow could not answer in time",
    "schema": {"type": "string", "enum": [source.value for source in Source]},
}


@router.get(
    "/certificates/{certificateId}/cvc",
    operation_id="discloseCvc",
    responses={**_RESPONSES, 200: {"headers": {SOURCE_HEADER: _SOURCE}}},
)
async def disclose_cvc(
    request: Request,
    response: Response,
    caller: Annotated[Caller, Security(Bearer(Role.CRM))],
    certificate_id: CertificateId,
    purpose: Annotated[Literal["notification"], Query(examples=["notification"])],
    notification_id: Annotated[
        str | None, Query(alias="notificationId", min_length=1, max_length=64, pattern=r"^[^\x00]*$")
    ] = None,
) -> Disclosure:
    """Give number and CVC of a spendable certificate, no refund of which is open.

    The disclosure is recorded and told on the stream before the reply; so is every refusal.
    """
    services = services_of(request)
    wanted = DisclosureRequest(
        certificate_id=certificate_id,
        disclosed_to=caller.subject,
        purpose=purpose,
        notification_id=notification_id,
    )
    await services.limits.check(caller.subject, str(certificate_id))
    sealed = await services.secrets.sealed(str(certificate_id))
    decision = await _decide(services, wanted)
    _check(decision)
    source = Source.STORAGE if sealed is None else Source.WORKFLOW
    response.headers[SOURCE_HEADER] = source.value
    count(source)
    secrets = sealed or decision.stored
    return Disclosure(
        certificate_id=certificate_id,
        number=services.keyring.open(secrets.number_sealed, certificate_id.bytes),
        cvc=services.keyring.open(secrets.cvc_sealed, certificate_id.bytes),
    )


async def _decide(services: Services, wanted: DisclosureRequest) -> DisclosureDecision:
    """Commit the record of the disclosure, or of its refusal, before anybody learns anything."""
    async with services.engine.begin() as connection:
        return await DisclosureRepository(connection).decide(wanted, utc_now())


def _check(decision: DisclosureDecision) -> None:
    if decision.refusal is not None:
        raise problems.ProblemError(_PROBLEMS[decision.refusal], _standing(decision.stored.state))


def _standing(state: CertificateState) -> dict[str, str]:
    return {"certificateStatus": state.shown_status, "refundState": state.refund_state.value}
