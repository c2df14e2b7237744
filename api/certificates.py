"""``/certificates``: read, search, disclose the CVC, notify again, block, unblock, unlock."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from prometheus_client import Counter
from pydantic import Field, Json
from starlette.responses import Response

from api.authentication import AuthenticatedRoute, Call, CrmCall, CrmOrSupportCall, ReadingCall, SupportCall
from api.idempotency_header import SentKey, key_of, reply
from api.openapi import keyed, may_answer
from api.problems import InvalidFieldError, Problem, refused
from api.refunds import RefundCaseView, case_view
from api.schemas import (
    CERTIFICATE_ID,
    LONGEST_ID,
    NO_NUL,
    WORKFLOW_URL,
    CertificateId,
    FreeText,
    Money,
    PageAfter,
    RefundState,
    Schema,
    Standing,
    Status,
)
from giftcert.domain.certificate import messages
from giftcert.domain.certificate.state import CertificateState
from giftcert.lifecycle.requests import Outcome
from giftcert.lifecycle.snapshot import SealedSecrets
from giftcert.security.data_keys import Purpose, SealError
from giftcert.security.tokens import Role
from giftcert.storage.certificate_search import CertificateSearch, FoundCertificate
from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.data_keys import Seals
from giftcert.storage.events import EventRepository
from giftcert.storage.guesses import GuessRepository
from giftcert.storage.idempotency import IdempotencyKey

router = APIRouter(tags=["certificates"], route_class=AuthenticatedRoute)
HISTORY_PAGE = 500
Identifier = Annotated[str | None, Query(min_length=1, max_length=LONGEST_ID, pattern=NO_NUL)]


# Read and search ----------------------------------------------------------------------------------


class OrderView(Schema):
    """The sale under which the certificate stands."""

    order_id: str = Field(examples=["IM-1001"])
    line_id: str = Field(examples=["2"])
    amount: Money
    channel: str | None = Field(examples=["im"])
    customer_id: str | None = Field(examples=["C-77"])
    issued_at: datetime | None
    valid_until: datetime | None


class ReservationView(Schema):
    """The last reservation."""

    reservation_id: UUID
    channel: str | None = Field(examples=["im"])
    reserved_at: datetime | None
    reserved_until: datetime
    ended: bool


class PastEventView(Schema):
    """One event of the certificate as it is on ``GiftCertificates.Stream``."""

    event_id: UUID
    sequence: int = Field(examples=[1])
    event_type: str = Field(examples=["issue.reserved"])
    occurred_at: datetime
    recorded_at: datetime
    channel: str | None = Field(examples=["im"])
    status: Status | None = Field(examples=["reserved"])
    refund_state: RefundState | None = Field(examples=["none"])
    balance: Money | None
    held: Money | None
    payload: Json[dict[str, Any]]


class CertificateSummary(Standing):
    """A certificate in a list."""

    masked_number: str = Field(examples=["************1234"])
    product: str = Field(examples=["GC-5000"])
    nominal: Money | None
    order_id: str | None = Field(examples=["IM-1001"])
    line_id: str | None = Field(examples=["2"])
    customer_id: str | None = Field(examples=["C-77"])


class CertificateView(CertificateSummary):
    """All that may be known of a certificate; nothing secret."""

    reservation: ReservationView | None
    order: OrderView | None
    refund_cases: list[RefundCaseView]
    history: list[PastEventView] = Field(description="In order of `sequence`; `historyAfter` pages on")
    web_url: str = Field(description="The workflow, for support", examples=[WORKFLOW_URL])


class CertificatePage(Schema):
    """A page of certificates; ``next`` goes into ``after`` of the next request, and is null on the last page."""

    items: list[CertificateSummary]
    next: UUID | None


@router.get(
    "/certificates/{certificateId}",
    responses=may_answer(Problem.CHANNEL_NOT_ALLOWED, Problem.UNKNOWN_CERTIFICATE),
)
async def get_certificate(
    call: ReadingCall,
    certificate_id: CertificateId,
    history_after: Annotated[
        int,
        Query(
            alias="historyAfter",
            ge=0,
            le=2**31 - 1,
            description="`sequence` of the last event that was read: the history goes on behind it",
        ),
    ] = 0,
) -> CertificateView:
    """Return status, balance, order, refund cases and history of a certificate; a channel sees only its own."""
    async with call.services.database.connection() as connection:
        stored = await CertificateRepository(connection).load(str(certificate_id))
        state = stored.state
        _check_access(call, state)
        if history_after > stored.sequence:
            raise InvalidFieldError("historyAfter", "is beyond the last event")
        [found] = await CertificateSearch(connection).find({"certificate_id": certificate_id})
        history = await EventRepository(connection).history(certificate_id, history_after, HISTORY_PAGE)
    view = {
        **dict(_summary(found)),
        "reservation": state.reservation,
        "order": state.sale,
        "refund_cases": [case_view(state, sale, case) for sale in state.sales for case in sale.cases],
        "history": history,
        "web_url": call.services.settings.workflow_url(str(certificate_id)),
    }
    return CertificateView.model_validate(view, context=state.currency)


@router.get("/certificates", responses=may_answer())
async def search_certificates(  # noqa: PLR0913 - one argument per criterion
    call: CrmOrSupportCall,
    *,
    order_id: Annotated[
        Identifier, Query(alias="orderId", description="Sold under this order", examples=["IM-1001"])
    ] = None,
    refund_id: Annotated[
        Identifier, Query(alias="refundId", description="Concerned by this refund", examples=["R-12"])
    ] = None,
    reservation_id: Annotated[
        UUID | None, Query(alias="reservationId", description="Last reserved so")
    ] = None,
    customer_id: Annotated[
        Identifier, Query(alias="customerId", description="Sold to this customer", examples=["C-77"])
    ] = None,
    last_four: Annotated[
        str | None,
        Query(alias="lastFour", pattern="^[0-9]{4}$", description="Last four digits of the number"),
    ] = None,
    after: PageAfter = None,
    limit: Annotated[int, Query(ge=1, le=200, description="Number of certificates on a page")] = 50,
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
    async with call.services.database.connection() as connection:
        search = CertificateSearch(connection)
        if after is not None and not await search.find({"certificate_id": after}):
            raise InvalidFieldError("after", "is not `next` of a page")
        found = await search.find(criteria, after, limit + 1)
    page, more = found[:limit], len(found) > limit
    items = [_summary(certificate) for certificate in page]
    return CertificatePage(items=items, next=page[-1].certificate_id if more else None)


def _check_access(call: Call, state: CertificateState) -> None:
    """A caller that is a channel and nothing else sees what its channels sell or last reserved."""
    if call.caller.roles.isdisjoint({Role.CRM, Role.SUPPORT}):
        reserved_by = state.reservation.channel if state.reservation else None
        call.check_channel(state.sale_channel or reserved_by or "")


def _summary(found: FoundCertificate) -> CertificateSummary:
    return CertificateSummary.model_validate(found, context=found.currency)


# Disclose the CVC ---------------------------------------------------------------------------------


SOURCE_HEADER = "Sealed-Secrets-From"
_SOURCES = Counter("giftcert_disclosed_secrets", "Sealed secrets by where they came from", ["source"])
_SOURCE = {
    "description": "`workflow`, or `storage` if the workflow could not answer in time",
    "schema": {"type": "string", "enum": ["workflow", "storage"]},
}


class Disclosure(Schema):
    """Number and CVC. Never stored, never logged."""

    certificate_id: UUID = Field(examples=[CERTIFICATE_ID])
    number: str = Field(examples=["0000000000000000"])
    cvc: str = Field(examples=["000000"])


@router.get(
    "/certificates/{certificateId}/cvc",
    responses={
        **may_answer(
            Problem.UNKNOWN_CERTIFICATE,
            Problem.NOT_ISSUED,
            Problem.NOT_ACTIVE,
            Problem.TOO_MANY_DISCLOSURES,
        ),
        200: {"headers": {SOURCE_HEADER: _SOURCE}},
    },
)
async def disclose_cvc(
    call: CrmCall,
    response: Response,
    certificate_id: CertificateId,
    purpose: Annotated[
        Literal["notification"], Query(description="What it is for", examples=["notification"])
    ],
    notification_id: Annotated[UUID | None, Query(alias="notificationId")] = None,
) -> Disclosure:
    """Give number and CVC of a spendable certificate, no refund of which is open.

    The disclosure is recorded with its event before the reply; so is every refusal.
    """
    services, caller = call.services, call.caller.subject
    request = messages.DiscloseCvc(
        disclosed_to=caller,
        purpose=purpose,
        notification_id=str(notification_id) if notification_id else None,
    )
    async with services.disclosure_limits.within(caller, str(certificate_id), services.clock()):
        sealed = await services.workflows.sealed_secrets(str(certificate_id))
        outcome = await services.act(str(certificate_id), request)
    if outcome.refusal is not None or outcome.sealed is None:
        raise refused(outcome, Problem.NOT_ACTIVE)
    source = "storage" if sealed is None else "workflow"
    response.headers[SOURCE_HEADER] = source
    _SOURCES.labels(source).inc()
    try:
        return await _opened(services.seals, certificate_id, sealed or outcome.sealed)
    except SealError:
        if sealed is None or sealed == outcome.sealed:
            raise
        # The run has not followed a rotation of keys, or the secrets were sealed anew since it was asked.
        return await _opened(services.seals, certificate_id, outcome.sealed)


async def _opened(seals: Seals, certificate_id: UUID, secrets: SealedSecrets) -> Disclosure:
    number = await seals.open(secrets.number_sealed, Purpose.NUMBER, certificate_id.bytes)
    cvc = await seals.open(secrets.cvc_sealed, Purpose.CVC, certificate_id.bytes)
    return Disclosure(certificate_id=certificate_id, number=number.decode(), cvc=cvc.decode())


# Support ------------------------------------------------------------------------------------------


class Reason(Schema):
    """Why support acts."""

    reason: FreeText = Field(examples=["reported stolen"])


class ChangedCertificate(Standing):
    """How a certificate stands after a request of support or CRM."""


_DECIDED = keyed(
    {200: ChangedCertificate}, Problem.UNKNOWN_CERTIFICATE, Problem.STATUS_NOT_ALLOWED, has_body=True
)


@router.post("/certificates/{certificateId}/block", **_DECIDED)
async def block_certificate(
    call: SupportCall, certificate_id: CertificateId, body: Reason, key: SentKey = None
) -> Response:
    """Stop spending and disclosure of a certificate, and that it is given if nobody has it yet."""
    used = key_of(call, "block", key, {"certificateId": certificate_id, "reason": body.reason})
    request = messages.Block(reason=body.reason, by=call.caller.subject)
    return await _act(call, certificate_id, request, used)


@router.post("/certificates/{certificateId}/unblock", **_DECIDED)
async def unblock_certificate(
    call: SupportCall, certificate_id: CertificateId, body: Reason, key: SentKey = None
) -> Response:
    """Lift a block; all is as it was, and refunds that waited for it are judged again."""
    used = key_of(call, "unblock", key, {"certificateId": certificate_id, "reason": body.reason})
    request = messages.Unblock(reason=body.reason, by=call.caller.subject)
    return await _act(call, certificate_id, request, used)


@router.post(
    "/certificates/{certificateId}/unlock",
    **keyed({200: ChangedCertificate}, Problem.UNKNOWN_CERTIFICATE, has_body=True),
)
async def unlock_certificate(
    call: SupportCall, certificate_id: CertificateId, body: Reason, key: SentKey = None
) -> Response:
    """Have number and CVC checked again after too many wrong ones; where nothing is locked nothing changes."""
    used = key_of(call, "unlock", key, {"certificateId": certificate_id, "reason": body.reason})
    async with call.services.database.connection() as connection:
        is_locked = await GuessRepository(connection).is_locked(certificate_id, call.services.clock())
    request = messages.UnlockVerification(reason=body.reason, by=call.caller.subject, is_locked=is_locked)
    return await _act(call, certificate_id, request, used)


@router.post(
    "/certificates/{certificateId}/notifications",
    **keyed({202: ChangedCertificate}, Problem.UNKNOWN_CERTIFICATE, Problem.STATUS_NOT_ALLOWED),
)
async def notify_again(
    call: CrmOrSupportCall, certificate_id: CertificateId, key: SentKey = None
) -> Response:
    """Have the client written to again: it never came. A new `notification.requested` is published."""
    used = key_of(call, "notify", key, {"certificateId": certificate_id})
    request = messages.RequestNotification(call.caller.subject)
    return await _act(call, certificate_id, request, used, 202)


async def _act(
    call: Call, certificate_id: UUID, request: messages.Request, key: IdempotencyKey | None, status: int = 200
) -> Response:
    """Carry a request of support or CRM out, and answer how the certificate then stands."""
    outcome = await call.services.act(str(certificate_id), request, key=key, answer=_changed)
    if outcome.refusal is not None:
        raise refused(outcome, Problem.STATUS_NOT_ALLOWED)
    return reply(outcome.answer, status, repeated=outcome.repeated)


def _changed(outcome: Outcome) -> dict[str, object]:
    state = outcome.state
    changed = ChangedCertificate.model_validate(state, context=state.currency)
    return changed.model_dump(mode="json", by_alias=True)
