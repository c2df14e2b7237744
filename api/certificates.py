"""``/certificates``: read, search, disclose the CVC, notify again, block, unblock, unlock."""

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from prometheus_client import Counter
from pydantic import Field
from starlette.responses import Response

from api import problems
from api.authentication import (
    AuthenticatedRoute,
    CrmCaller,
    CrmOrSupportCaller,
    ReadingCaller,
    SupportCaller,
    check_channel,
)
from api.idempotency import HIT_HEADER, SentKey, json_reply, key_of
from api.openapi import WITH_BODY, WITH_KEY, may_answer
from api.problems import InvalidFieldError
from api.schemas import (
    CERTIFICATE_ID,
    LONGEST_ID,
    NO_NUL,
    CertificateId,
    FreeText,
    Money,
    RefundState,
    Schema,
    Status,
    money,
    standing_of,
)
from api.services import services_of
from giftcert.domain.certificate.disclosure import DisclosureRefusal
from giftcert.domain.certificate.messages import (
    Block,
    DiscloseCvc,
    RequestNotification,
    Unblock,
    UnlockVerification,
)
from giftcert.domain.certificate.messages import Request as Message
from giftcert.domain.certificate.state import CertificateState, RefundCase, Sale
from giftcert.domain.numbers import mask
from giftcert.lifecycle.idempotency import IdempotencyKey
from giftcert.lifecycle.requests import Outcome
from giftcert.security import Caller, Role
from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.reading import FoundCertificate, PastEvent, ReadingRepository
from giftcert.storage.verification_locks import VerificationLockRepository

router = APIRouter(tags=["certificates"], route_class=AuthenticatedRoute)
CASE_ID = "01936f90-1c20-7b3a-9e2f-2a3b4c5d6e7f"
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


class RefundCaseView(Schema):
    """One refund of one sale of the certificate."""

    refund_case_id: UUID = Field(examples=[CASE_ID])
    refund_id: str | None = Field(examples=["R-12"])
    order_id: str = Field(examples=["IM-1001"])
    line_id: str = Field(examples=["2"])
    state: RefundState = Field(examples=["pendingDetails"])
    amount: Money
    reason: str | None = Field(examples=["amountMismatch"])
    since: datetime | None


class PastEventView(Schema):
    """One event of the certificate as it stands on ``GiftCertificates.Stream``."""

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
    payload: dict[str, Any]


class CertificateSummary(Schema):
    """A certificate in a list."""

    certificate_id: UUID = Field(examples=[CERTIFICATE_ID])
    masked_number: str = Field(examples=["************1234"])
    product: str = Field(examples=["GC-5000"])
    status: Status = Field(examples=["issued"])
    refund_state: RefundState = Field(examples=["none"])
    nominal: Money | None
    balance: Money
    held: Money
    order_id: str | None = Field(examples=["IM-1001"])
    line_id: str | None = Field(examples=["2"])
    customer_id: str | None = Field(examples=["C-77"])


class CertificateView(CertificateSummary):
    """All that may be known of a certificate; nothing secret."""

    reservation: ReservationView | None
    order: OrderView | None
    refund_cases: list[RefundCaseView]
    history: list[PastEventView] = Field(description="In order of `sequence`; `historyAfter` pages on")
    web_url: str = Field(description="The workflow, for support")


class CertificatePage(Schema):
    """A page of certificates; ``next`` goes into ``after`` of the next request, and is null on the last page."""

    items: list[CertificateSummary]
    next: UUID | None


@router.get(
    "/certificates/{certificateId}",
    operation_id="getCertificate",
    responses=may_answer(problems.CHANNEL_NOT_ALLOWED, problems.UNKNOWN_CERTIFICATE),
)
async def get_certificate(
    request: Request,
    caller: ReadingCaller,
    certificate_id: CertificateId,
    history_after: Annotated[int, Query(alias="historyAfter", ge=0, le=2**31 - 1)] = 0,
) -> CertificateView:
    """Tell status, balance, order, refund cases and history of a certificate; a channel only of its own."""
    services = services_of(request)
    async with services.engine.connect() as connection:
        stored = await CertificateRepository(connection).load(str(certificate_id))
        state = stored.state
        _check_access(caller, state)
        if history_after > stored.sequence:
            raise InvalidFieldError("historyAfter", "is beyond the last event")
        reading = ReadingRepository(connection)
        [found] = await reading.search({"certificate_id": certificate_id}, None, 1)
        history = await reading.history(certificate_id, history_after, HISTORY_PAGE)
    return CertificateView.model_validate(
        {
            **_summary(found),
            "reservation": state.reservation,
            "order": _order(state),
            "refund_cases": [_case(state, sale, case) for sale in state.sales for case in sale.cases],
            "history": [_past_event(event) for event in history],
            "web_url": services.settings.workflow_url(str(certificate_id)),
        }
    )


@router.get("/certificates", operation_id="searchCertificates", responses=may_answer())
async def search_certificates(  # noqa: PLR0913 - one argument per criterion
    request: Request,
    _: CrmOrSupportCaller,
    *,
    order_id: Annotated[Identifier, Query(alias="orderId", examples=["IM-1001"])] = None,
    refund_id: Annotated[Identifier, Query(alias="refundId", examples=["R-12"])] = None,
    reservation_id: Annotated[UUID | None, Query(alias="reservationId")] = None,
    customer_id: Annotated[Identifier, Query(alias="customerId", examples=["C-77"])] = None,
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
        reading = ReadingRepository(connection)
        if after is not None and not await reading.exists(after):
            raise InvalidFieldError("after", "is not `next` of a page")
        found = await reading.search(criteria, after, limit + 1)
    page, more = found[:limit], len(found) > limit
    items = [CertificateSummary.model_validate(_summary(one)) for one in page]
    return CertificatePage(items=items, next=page[-1].certificate_id if more else None)


def _check_access(caller: Caller, state: CertificateState) -> None:
    """A caller that is a channel and nothing else sees what its channels sell or last reserved."""
    if caller.roles & {Role.CRM, Role.SUPPORT}:
        return
    reserved_by = state.reservation.channel if state.reservation else None
    check_channel(caller, state.sale_channel or reserved_by or "")


def _summary(found: FoundCertificate) -> dict[str, object]:
    return {
        "certificate_id": found.certificate_id,
        "masked_number": mask(found.last_four, found.number_length),
        "product": found.product,
        "status": found.status,
        "refund_state": found.refund_state,
        "nominal": money(found.nominal, found.currency),
        "balance": money(found.balance, found.currency),
        "held": money(found.held, found.currency),
        "order_id": found.order_id,
        "line_id": found.line_id,
        "customer_id": found.customer_id,
    }


def _order(state: CertificateState) -> OrderView | None:
    sale = state.sale
    if sale is None:
        return None
    return OrderView(
        order_id=sale.order_id,
        line_id=sale.line_id,
        amount=Money(amount=sale.amount, currency=state.currency),
        channel=sale.channel,
        customer_id=sale.customer_id,
        issued_at=sale.issued_at,
        valid_until=sale.valid_until,
    )


def _case(state: CertificateState, sale: Sale, case: RefundCase) -> RefundCaseView:
    return RefundCaseView(
        refund_case_id=UUID(case.refund_case_id),
        refund_id=case.refund_id,
        order_id=sale.order_id,
        line_id=sale.line_id,
        state=case.state.value,
        amount=Money(amount=case.amount, currency=case.foreign_currency or state.currency),
        reason=case.reason,
        since=case.pending_since or case.opened_at,
    )


def _past_event(event: PastEvent) -> dict[str, object]:
    return {
        "event_id": event.event_id,
        "sequence": event.sequence,
        "event_type": event.event_type,
        "occurred_at": event.occurred_at,
        "recorded_at": event.recorded_at,
        "channel": event.channel,
        "status": event.status,
        "refund_state": event.refund_state,
        "balance": money(event.balance, event.currency),
        "held": money(event.held, event.currency),
        "payload": json.loads(event.payload),
    }


# Disclose the CVC ---------------------------------------------------------------------------------


class SecretSource(StrEnum):
    """Where a sealed secret came from."""

    WORKFLOW = "workflow"
    STORAGE = "storage"


SOURCE_HEADER = "Sealed-Secrets-From"
_SOURCES = Counter("giftcert_disclosed_secrets", "Sealed secrets by where they came from", ["source"])
_SOURCE = {
    "description": "`workflow`, or `storage` if the workflow could not answer in time",
    "schema": {"type": "string", "enum": [source.value for source in SecretSource]},
}
_DISCLOSURE_PROBLEMS: Mapping[object, problems.Problem] = {
    DisclosureRefusal.NOT_ISSUED: problems.NOT_ISSUED,
    DisclosureRefusal.NOT_ACTIVE: problems.NOT_ACTIVE,
}


class Disclosure(Schema):
    """Number and CVC. Never stored, never logged."""

    certificate_id: UUID = Field(examples=[CERTIFICATE_ID])
    number: str = Field(examples=["0000000000000000"])
    cvc: str = Field(examples=["000000"])


@router.get(
    "/certificates/{certificateId}/cvc",
    operation_id="discloseCvc",
    responses={
        **may_answer(
            problems.UNKNOWN_CERTIFICATE,
            problems.NOT_ISSUED,
            problems.NOT_ACTIVE,
            problems.TOO_MANY_DISCLOSURES,
        ),
        200: {"headers": {SOURCE_HEADER: _SOURCE}},
    },
)
async def disclose_cvc(
    request: Request,
    response: Response,
    caller: CrmCaller,
    certificate_id: CertificateId,
    purpose: Annotated[Literal["notification"], Query(examples=["notification"])],
    notification_id: Annotated[UUID | None, Query(alias="notificationId")] = None,
) -> Disclosure:
    """Give number and CVC of a spendable certificate, no refund of which is open.

    The disclosure is recorded and told on the stream before the reply; so is every refusal.
    """
    services = services_of(request)
    services.disclosures_by_certificate.hit(str(certificate_id))
    services.disclosures_by_caller.hit(caller.subject)
    sealed = await services.workflows.sealed_secrets(str(certificate_id))
    message = DiscloseCvc(
        disclosed_to=caller.subject,
        purpose=purpose,
        notification_id=str(notification_id) if notification_id else None,
    )
    outcome = await services.act(str(certificate_id), message)
    if outcome.refusal is not None or outcome.sealed is None:
        raise problems.ProblemError(_DISCLOSURE_PROBLEMS[outcome.refusal], standing_of(outcome.state))
    source = SecretSource.STORAGE if sealed is None else SecretSource.WORKFLOW
    response.headers[SOURCE_HEADER] = source.value
    _SOURCES.labels(source.value).inc()
    secrets = sealed or outcome.sealed
    return Disclosure(
        certificate_id=certificate_id,
        number=services.keyring.open(secrets.number_sealed, certificate_id.bytes),
        cvc=services.keyring.open(secrets.cvc_sealed, certificate_id.bytes),
    )


# Support ------------------------------------------------------------------------------------------


class Reason(Schema):
    """Why support acts."""

    reason: FreeText = Field(examples=["reported stolen"])


class ChangedCertificate(Schema):
    """How a certificate stands after a request of support or CRM."""

    certificate_id: UUID = Field(examples=[CERTIFICATE_ID])
    status: Status = Field(examples=["blocked"])
    refund_state: RefundState = Field(examples=["none"])
    balance: Money
    held: Money


_KEYED = (problems.UNKNOWN_CERTIFICATE, *WITH_KEY)
_CHANGING = may_answer(*_KEYED, problems.STATUS_NOT_ALLOWED, *WITH_BODY)


@router.post(
    "/certificates/{certificateId}/block",
    operation_id="blockCertificate",
    response_model=ChangedCertificate,
    responses={**_CHANGING, 200: HIT_HEADER},
)
async def block(
    request: Request, caller: SupportCaller, certificate_id: CertificateId, body: Reason, key: SentKey = None
) -> Response:
    """Stop spending and disclosure of a certificate, and that it is given if nobody has it yet."""
    message = Block(reason=body.reason, by=caller.subject)
    used = _key(request, caller, certificate_id, "block", key, body.reason)
    return await _act(request, certificate_id, message, used)


@router.post(
    "/certificates/{certificateId}/unblock",
    operation_id="unblockCertificate",
    response_model=ChangedCertificate,
    responses={**_CHANGING, 200: HIT_HEADER},
)
async def unblock(
    request: Request, caller: SupportCaller, certificate_id: CertificateId, body: Reason, key: SentKey = None
) -> Response:
    """Lift a block; all is as it was, and refunds that waited for it are judged again."""
    message = Unblock(reason=body.reason, by=caller.subject)
    used = _key(request, caller, certificate_id, "unblock", key, body.reason)
    return await _act(request, certificate_id, message, used)


@router.post(
    "/certificates/{certificateId}/unlock",
    operation_id="unlockCertificate",
    response_model=ChangedCertificate,
    responses={**may_answer(*_KEYED, *WITH_BODY), 200: HIT_HEADER},
)
async def unlock(
    request: Request, caller: SupportCaller, certificate_id: CertificateId, body: Reason, key: SentKey = None
) -> Response:
    """Have number and CVC checked again after too many wrong ones; where nothing is locked nothing changes."""
    services = services_of(request)
    async with services.engine.connect() as connection:
        is_locked = await VerificationLockRepository(connection).is_locked(certificate_id, services.clock())
    message = UnlockVerification(reason=body.reason, by=caller.subject, is_locked=is_locked)
    used = _key(request, caller, certificate_id, "unlock", key, body.reason)
    return await _act(request, certificate_id, message, used)


@router.post(
    "/certificates/{certificateId}/notifications",
    operation_id="notifyAgain",
    status_code=202,
    response_model=ChangedCertificate,
    responses={**may_answer(*_KEYED, problems.STATUS_NOT_ALLOWED), 202: HIT_HEADER},
)
async def notify_again(
    request: Request, caller: CrmOrSupportCaller, certificate_id: CertificateId, key: SentKey = None
) -> Response:
    """Have the client written to again: it never came. The stream then tells a new `notification.requested`."""
    message = RequestNotification(caller.subject)
    used = _key(request, caller, certificate_id, "notify", key)
    return await _act(request, certificate_id, message, used, 202)


def _key(
    request: Request,
    caller: Caller,
    certificate_id: UUID,
    call: str,
    key: str | None,
    reason: str | None = None,
) -> IdempotencyKey | None:
    parameters = {"certificateId": str(certificate_id), "reason": reason}
    return key_of(services_of(request), caller, call, key, parameters)


async def _act(
    request: Request, certificate_id: UUID, message: Message, key: IdempotencyKey | None, status: int = 200
) -> Response:
    """Carry a request of support or CRM out, and answer how the certificate then stands."""
    outcome = await services_of(request).act(str(certificate_id), message, key=key, answer=_changed)
    if outcome.refusal is not None:
        shown = {"certificateStatus": outcome.state.shown_status}
        raise problems.ProblemError(problems.STATUS_NOT_ALLOWED, shown)
    return json_reply(outcome.answer, status, repeated=outcome.repeated)


def _changed(outcome: Outcome) -> dict[str, object]:
    state = outcome.state
    changed = ChangedCertificate(
        certificate_id=UUID(state.certificate_id),
        status=state.shown_status,
        refund_state=state.refund_state.value,
        balance=Money(amount=state.balance, currency=state.currency),
        held=Money(amount=state.held, currency=state.currency),
    )
    return changed.model_dump(mode="json", by_alias=True)
