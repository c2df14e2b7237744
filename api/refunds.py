"""``/refunds``: refund cases that wait, and what CRM and support decide of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field, RootModel
from starlette.responses import Response

from api.authentication import AuthenticatedRoute, CrmOrSupportCall
from api.idempotency_header import SentKey, key_of, reply
from api.openapi import keyed, may_answer
from api.problems import InvalidFieldError, Problem, ProblemError
from api.schemas import (
    CERTIFICATE_ID,
    LARGEST_AMOUNT,
    WORKFLOW_URL,
    DecisionWord,
    FreeText,
    Money,
    PageAfter,
    ReasonWord,
    RefundState,
    Schema,
    Standing,
    Status,
)
from giftcert.domain.certificate.events import RefundCompleted, RefundResolved
from giftcert.domain.certificate.messages import ResolveRefund
from giftcert.domain.certificate.refund_resolution import ResolutionRefusal
from giftcert.domain.certificate.refunds import allowed_decisions
from giftcert.domain.certificate.state import CertificateState, RefundCase, Sale
from giftcert.lifecycle.requests import Outcome
from giftcert.settings import Settings
from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.database import Connection
from giftcert.storage.refund_cases import OpenCase, RefundCaseRepository
from giftcert.texts import texts_in

router = APIRouter(tags=["refunds"], route_class=AuthenticatedRoute)
CASE_ID = "01936f90-1c20-7b3a-9e2f-2a3b4c5d6e7f"
RefundCaseId = Annotated[UUID, Path(alias="refundCaseId", examples=[CASE_ID])]
REFUSED_FIELDS: Mapping[object, str] = {
    ResolutionRefusal.DECISION_NOT_ALLOWED: "decision",
    ResolutionRefusal.AMOUNT_REQUIRED: "amount",
    ResolutionRefusal.AMOUNT_TOO_HIGH: "amount",
    ResolutionRefusal.AMOUNT_NEEDLESS: "amount",
}
"""Which field of a decision does not fit; the text ``refused-…`` says why."""


class AgreementView(Schema):
    """What one person wants to decide of a refund that takes two; another repeats decision and amount."""

    decision: DecisionWord = Field(examples=["approve"])
    amount: int | None = Field(examples=[400_000])
    by: str = Field(examples=["anna"])


class RefundCaseView(Schema):
    """One refund of one sale of a certificate."""

    refund_case_id: UUID = Field(examples=[CASE_ID])
    refund_id: str | None = Field(examples=["R-12"])
    order_id: str = Field(examples=["IM-1001"])
    line_id: str = Field(examples=["2"])
    state: RefundState = Field(examples=["pendingDetails"])
    amount: Money = Field(
        description="Money back or awaited, in minor units of the currency in which it came"
    )
    reason: ReasonWord | None = Field(examples=["amountMismatch"])
    since: datetime | None


class PendingRefund(RefundCaseView):
    """A refund case that waits, with what a person needs to decide it."""

    certificate_id: UUID = Field(examples=[CERTIFICATE_ID])
    customer_id: str | None = Field(examples=["C-77"])
    reason_text: str | None = Field(examples=["What came back is not the price of the line."])
    price: Money
    captured: Money
    refunded: Money
    balance: Money
    held: Money
    allowed_decisions: list[DecisionWord] = Field(examples=[["approve", "reject"]])
    approved: Money | None = Field(
        description="What may be taken from the balance once the money is back, in minor units"
    )
    agreed: AgreementView | None
    web_url: str = Field(examples=[WORKFLOW_URL])


class PendingRefundPage(Schema):
    """A page of refund cases, oldest first; ``next`` goes into ``after``, and is null on the last page."""

    items: list[PendingRefund]
    next: UUID | None


class ResolutionOrder(Schema):
    """What a person decides about a refund case."""

    decision: Literal["approve", "reject"] = Field(examples=["approve"])
    amount: int | None = Field(
        None,
        ge=0,
        le=LARGEST_AMOUNT,
        strict=True,
        description="To take from the balance, in minor units of the nominal; left out, as much as the refund is worth."
        " With a rejection of money in another currency: what that is worth."
        " Left out with any other rejection, and before issue, when nothing is on the certificate",
        examples=[400_000],
    )
    note: FreeText = Field(examples=["agreed with the buyer"])


class ResolutionView(Standing):
    """What came of a decision that was carried out."""

    outcome: Literal["decided"] = Field(description="Distinguishes this answer from `awaitingSecond`")
    refund_case_id: UUID = Field(examples=[CASE_ID])
    decision: DecisionWord = Field(examples=["approve"])
    amount: Money = Field(description="Allowed to be taken from the balance, in minor units")
    taken: Money = Field(description="Taken now, in minor units; 0 while the money is not back")
    uncovered: Money = Field(
        description="Worth of the money back that the certificate does not answer for, in minor units"
    )
    status: Status = Field(validation_alias="shown_status", examples=["refunded"])
    refund_state: RefundState = Field(examples=["completed"])


class AwaitingSecond(Schema):
    """One person has agreed; another has to repeat decision and amount."""

    outcome: Literal["awaitingSecond"] = Field(description="Distinguishes this answer from `decided`")
    refund_case_id: UUID = Field(examples=[CASE_ID])
    certificate_id: UUID = Field(examples=[CERTIFICATE_ID])
    awaiting_second: bool = Field(description="Always true", examples=[True])
    decision: DecisionWord = Field(examples=["approve"])
    amount: int | None = Field(examples=[400_000])


class ResolutionAnswer(RootModel[Annotated[ResolutionView | AwaitingSecond, Field(discriminator="outcome")]]):
    """What came of a decision, or that another person has to repeat it; `outcome` says which.

    One type for 200 and 202, as clients decode by it whatever the status.
    """


def case_view(state: CertificateState, sale: Sale, case: RefundCase) -> RefundCaseView:
    """Return a refund case of one of the certificate's sales as callers see it."""
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


@router.get("/refunds", responses=may_answer())
async def list_refunds(
    call: CrmOrSupportCall,
    state: Annotated[
        Literal["pendingDetails", "awaitingCapture", "requested"],
        Query(description="Cases in this open state"),
    ] = "pendingDetails",
    after: PageAfter = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Number of cases on a page")] = 50,
) -> PendingRefundPage:
    """List open refund cases of one state, oldest first, with what a person needs to decide them."""
    async with call.services.database.connection() as connection:
        if after is not None and await RefundCaseRepository(connection).certificate_of(str(after)) is None:
            raise InvalidFieldError("after", "is not `next` of a page")
        return await read_page(connection, call.services.settings, state, after, limit)


async def read_page(
    connection: Connection, settings: Settings, state: str, after: UUID | None, limit: int
) -> PendingRefundPage:
    """Return a page of the cases in an open state, from behind the case ``after``."""
    found = await RefundCaseRepository(connection).open_cases(state, str(after or ""), limit + 1)
    page, more = found[:limit], len(found) > limit
    stored = await CertificateRepository(connection).load_all({case.certificate_id for case in page})
    states = {certificate.state.certificate_id: certificate.state for certificate in stored}
    views = [_view(states[case.certificate_id], case, settings) for case in page]
    items = [view for view in views if view.state == state]  # some may have been decided meanwhile
    return PendingRefundPage(items=items, next=UUID(page[-1].refund_case_id) if more else None)


def _case_of(state: CertificateState, refund_case_id: str) -> tuple[Sale, RefundCase]:
    cases = ((sale, case) for sale in state.sales for case in sale.cases)
    [found] = [(sale, case) for sale, case in cases if case.refund_case_id == refund_case_id]
    return found


def _view(state: CertificateState, open_case: OpenCase, settings: Settings) -> PendingRefund:
    line = open_case.standing
    sale, case = _case_of(state, open_case.refund_case_id)
    refunds = line.refunds if line else ()
    view = {
        **dict(case_view(state, sale, case)),
        "certificate_id": state.certificate_id,
        "customer_id": sale.customer_id,
        "reason_text": texts_in(settings.language)(f"reason-{case.reason.value}") if case.reason else None,
        "price": sale.amount,
        "captured": line.captured if line else 0,
        "refunded": sum(refund.certain for refund in refunds if refund.currency == state.currency),
        "balance": state.balance,
        "held": state.held,
        "allowed_decisions": list(allowed_decisions(sale)),
        "approved": case.approved,
        "agreed": case.agreement,
        "web_url": settings.workflow_url(state.certificate_id),
    }
    return PendingRefund.model_validate(view, context=state.currency)


@router.post(
    "/refunds/{refundCaseId}/resolution",
    **keyed(
        {200: ResolutionAnswer, 202: ResolutionAnswer},
        Problem.UNKNOWN_REFUND_CASE,
        Problem.NOTHING_PENDING,
        has_body=True,
    ),
)
async def resolve_refund(
    call: CrmOrSupportCall, refund_case_id: RefundCaseId, body: ResolutionOrder, key: SentKey = None
) -> Response:
    """Decide a refund case: approve, and take from the balance what the refund is worth, or reject.

    A case of more than is set takes two persons: the first is answered 202, another repeats decision and amount.
    After a 503 it may be decided or not: repeat with the same key.
    """
    decision = body.model_dump()
    message = ResolveRefund(refund_case_id=str(refund_case_id), resolved_by=call.caller.subject, **decision)
    used = key_of(call, "resolve", key, {"refundCaseId": refund_case_id, **decision})
    async with call.services.database.connection() as connection:
        certificate_id = await RefundCaseRepository(connection).certificate_of(message.refund_case_id)
    if certificate_id is None:
        raise ProblemError(Problem.UNKNOWN_REFUND_CASE)
    outcome = await call.services.act(
        certificate_id,
        message,
        key=used,
        answer=lambda outcome: resolution_of(outcome, message).model_dump(mode="json", by_alias=True),
    )
    if outcome.refusal == ResolutionRefusal.NOTHING_PENDING:
        raise ProblemError(Problem.NOTHING_PENDING)
    if outcome.refusal is not None:
        why = texts_in("en")(f"refused-{outcome.refusal}")
        raise InvalidFieldError(REFUSED_FIELDS[outcome.refusal], why)
    awaits_second = b"awaitingSecond" in (outcome.answer or b"")
    return reply(outcome.answer, 202 if awaits_second else 200, repeated=outcome.repeated)


def resolution_of(outcome: Outcome, message: ResolveRefund) -> BaseModel:
    """Return what came of a decision that was not refused; also for one that stands already."""
    state = outcome.state
    _, case = _case_of(state, message.refund_case_id)
    if case.agreement is not None:
        return AwaitingSecond(
            outcome="awaitingSecond",
            awaiting_second=True,
            refund_case_id=UUID(case.refund_case_id),
            certificate_id=UUID(state.certificate_id),
            decision=message.decision,
            amount=message.amount,
        )
    amounts = {"amount": case.approved or 0, "taken": 0, "uncovered": 0}
    for recorded in outcome.recorded:
        match recorded.event:
            case RefundResolved(refund_case_id=message.refund_case_id, amount=amount, uncovered=uncovered):
                amounts |= {"amount": amount, "uncovered": uncovered}
            case RefundCompleted(refund_case_id=message.refund_case_id, taken=taken):
                amounts["taken"] = taken
            case _:
                pass
    standing = dict(Standing.model_validate(state, context=state.currency))
    view = {
        **standing,
        "outcome": "decided",
        "refund_case_id": case.refund_case_id,
        "decision": message.decision,
        **amounts,
    }
    return ResolutionView.model_validate(view, context=state.currency)
