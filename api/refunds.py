"""``/refunds``: refund cases that wait, for CRM and support to decide."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Security
from starlette.responses import Response

from api import problems
from api.act_schemas import AwaitingSecond, ResolutionOrder, ResolutionView
from api.callers import Bearer
from api.documentation import may_answer
from api.idempotency import HIT_HEADER, SentKey, key_of
from api.repeats import Reply, answer_once
from api.resolving import reply
from api.schemas import CASE_ID, PendingRefund, PendingRefundPage
from api.services import services_of
from api.views import money
from giftcert.domain.state import Agreement, RefundState
from giftcert.people.refund_cases import CasePage, OpenCase, open_cases
from giftcert.people.resolving import Resolving, UnknownCaseError, Verdict
from giftcert.security import Caller, Role
from giftcert.settings import Settings

router = APIRouter(tags=["refunds"])
Decider = Annotated[Caller, Security(Bearer(Role.CRM, Role.SUPPORT))]
RefundCaseId = Annotated[UUID, Path(alias="refundCaseId", examples=[CASE_ID])]
_RESOLVING = may_answer(
    problems.UNKNOWN_REFUND_CASE,
    problems.NOTHING_PENDING,
    problems.IDEMPOTENCY_KEY_REQUIRED,
    problems.IDEMPOTENCY_MISMATCH,
)


@router.get("/refunds", operation_id="listRefunds", responses=may_answer())
async def list_refunds(
    request: Request,
    _: Decider,
    state: Annotated[Literal["pendingDetails", "awaitingCapture", "requested"], Query()] = "pendingDetails",
    after: Annotated[
        str, Query(max_length=64, pattern=r"^[^\x00]*$", description="`next` of the page before")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> PendingRefundPage:
    """List open refund cases of one state, oldest first, with what a person needs to decide them."""
    services = services_of(request)
    async with services.engine.connect() as connection:
        page = await open_cases(connection, RefundState(state), after, limit)
    return page_of(page, services.settings)


@router.post(
    "/refunds/{refundCaseId}/resolution",
    operation_id="resolveRefund",
    response_model=ResolutionView,
    responses={**_RESOLVING, 200: HIT_HEADER, 202: {"model": AwaitingSecond, **HIT_HEADER}},
)
async def resolve_refund(
    request: Request,
    caller: Decider,
    refund_case_id: RefundCaseId,
    body: ResolutionOrder,
    key: SentKey = None,
) -> Response:
    """Decide a refund case: approve, and take from the balance what the refund is worth, or reject.

    A case of more than is set takes two persons: the first is answered 202, another repeats decision and amount.
    After a 503 it may be decided or not: repeat with the same key.
    """
    services = services_of(request)
    verdict = Verdict(refund_case_id=str(refund_case_id), by=caller.subject, **body.model_dump())
    resolving = Resolving(services.engine, services.workflows.ask, services.settings.channels)
    parameters = {"refundCaseId": verdict.refund_case_id, **body.model_dump()}

    async def work() -> Reply:
        try:
            return reply(await resolving.resolve(verdict, may_repeat=key is not None))
        except UnknownCaseError:
            raise problems.ProblemError(problems.UNKNOWN_REFUND_CASE) from None

    used = key_of(services.settings, caller, "resolve", key, parameters)
    return await answer_once(services, used, work)


def page_of(page: CasePage, settings: Settings) -> PendingRefundPage:
    """Return a page of cases as it is listed."""
    items = [_view(one, settings.workflow_url(one.state.certificate_id)) for one in page.cases]
    return PendingRefundPage(items=items, next=page.next)


def _view(found: OpenCase, web_url: str) -> PendingRefund:
    case, currency = found.case, found.state.currency
    return PendingRefund.model_validate(
        {
            "refund_case_id": case.refund_case_id,
            "refund_id": case.refund_id,
            "certificate_id": found.state.certificate_id,
            "order_id": found.sale.order_id,
            "line_id": found.sale.line_id,
            "customer_id": found.sale.customer_id,
            "state": case.state.value,
            "reason": case.reason.value if case.reason else None,
            "reason_text": found.reason_text,
            "amount": money(case.amount, case.foreign_currency or currency),
            "price": money(found.sale.amount, currency),
            "captured": money(found.line.captured + found.line.returned, currency),
            "refunded": money(found.line.refunded + found.line.returned, currency),
            "balance": money(found.state.balance, currency),
            "held": money(found.state.held, currency),
            "since": case.pending_since or case.opened_at,
            "allowed_decisions": list(found.allowed_decisions),
            "approved": money(case.approved, currency),
            "agreed": _agreed(case.agreement),
            "web_url": web_url,
        }
    )


def _agreed(agreement: Agreement | None) -> dict[str, object] | None:
    if agreement is None:
        return None
    return {"decision": agreement.decision, "amount": agreement.amount, "by": agreement.by}
