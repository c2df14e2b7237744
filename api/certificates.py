"""``/certificates``: what is known of one, and which there are to an order, a refund, a reservation, a customer."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Security

from api import problems
from api.callers import Bearer, check_channel
from api.documentation import may_answer
from api.problems import InvalidFieldError
from api.schemas import CERTIFICATE_ID, CertificatePage, CertificateView
from api.services import services_of
from api.views import summary, view
from giftcert.domain.state import CertificateState
from giftcert.security import Caller, Role
from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.reading import ReadingRepository

router = APIRouter(tags=["certificates"])
CertificateId = Annotated[UUID, Path(alias="certificateId", examples=[CERTIFICATE_ID])]
Reader = Annotated[Caller, Security(Bearer(Role.CHANNEL, Role.CRM, Role.SUPPORT))]
Searcher = Annotated[Caller, Security(Bearer(Role.CRM, Role.SUPPORT))]
# PostgreSQL's text cannot hold NUL.
Name = Annotated[str | None, Query(min_length=1, max_length=128, pattern=r"^[^\x00]*$")]
HISTORY_PAGE = 500


@router.get(
    "/certificates/{certificateId}",
    operation_id="getCertificate",
    responses=may_answer(problems.CHANNEL_NOT_ALLOWED, problems.UNKNOWN_CERTIFICATE),
)
async def get_certificate(
    request: Request,
    caller: Reader,
    certificate_id: CertificateId,
    history_after: Annotated[int, Query(alias="historyAfter", ge=0, le=2**31 - 1)] = 0,
) -> CertificateView:
    """Tell status, balance, order, refund cases and history of a certificate; a channel only of its own."""
    services = services_of(request)
    async with services.engine.connect() as connection:
        stored = await CertificateRepository(connection).load(str(certificate_id))
        _check_access(caller, stored.state)
        reading = ReadingRepository(connection)
        [found] = await reading.search({"certificate_id": certificate_id}, None, 1)
        history = await reading.history(certificate_id, history_after, HISTORY_PAGE)
    return view(found, stored, history, services.settings.workflow_url(str(certificate_id)))


@router.get("/certificates", operation_id="searchCertificates", responses=may_answer())
async def search_certificates(  # noqa: PLR0913 - one argument per criterion
    request: Request,
    _: Searcher,
    *,
    order_id: Annotated[Name, Query(alias="orderId", examples=["IM-1001"])] = None,
    refund_id: Annotated[Name, Query(alias="refundId", examples=["R-12"])] = None,
    reservation_id: Annotated[UUID | None, Query(alias="reservationId")] = None,
    customer_id: Annotated[Name, Query(alias="customerId", examples=["C-77"])] = None,
    last_four: Annotated[str | None, Query(alias="lastFour", pattern="^[0-9]{4}$")] = None,
    after: Annotated[UUID | None, Query(description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> CertificatePage:
    """Find certificates by one criterion or several, paged."""
    given = {
        "order_id": order_id,
        "refund_id": refund_id,
        "reservation_id": reservation_id,
        "customer_id": customer_id,
        "last_four": last_four,
    }
    criteria = {name: value for name, value in given.items() if value is not None}
    if not criteria:
        raise InvalidFieldError(
            "orderId", "name an order, refund, reservation, customer or the last four digits"
        )
    async with services_of(request).engine.connect() as connection:
        found = await ReadingRepository(connection).search(criteria, after, limit + 1)
    page, more = found[:limit], len(found) > limit
    return CertificatePage(
        items=[summary(one) for one in page], next=page[-1].certificate_id if more else None
    )


def _check_access(caller: Caller, state: CertificateState) -> None:
    """A caller that is a channel and nothing else sees what its channels sell or last reserved."""
    if caller.roles & {Role.CRM, Role.SUPPORT}:
        return
    reserved_by = state.reservation.channel if state.reservation else None
    check_channel(caller, state.sale_channel or reserved_by or "")
