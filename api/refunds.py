"""``/refunds``: refund cases that wait, for CRM and support."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Security

from api.callers import Bearer
from api.documentation import may_answer
from api.schemas import PendingRefund, PendingRefundPage
from api.services import services_of
from api.views import money, sales
from giftcert.domain import refunds
from giftcert.domain.events import RefundReason
from giftcert.domain.state import CertificateState, RefundCase, RefundState, Sale
from giftcert.security import Caller, Role
from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.reading import ReadingRepository

router = APIRouter(tags=["refunds"])
REASONS = {
    RefundReason.CURRENCY_MISMATCH: "The refund is in another currency than the sale.",
    RefundReason.CERTIFICATE_REDEEMED: "The certificate has been spent, in part or whole.",
    RefundReason.NOT_CAPTURED: "Money came back that we never saw captured.",
    RefundReason.EXCEEDS_CAPTURED: "More came back than was captured for the line.",
    RefundReason.ALREADY_REFUNDED: "The price of the line had been refunded already.",
    RefundReason.CERTIFICATE_EXPIRED: "The certificate has expired.",
    RefundReason.CERTIFICATE_BLOCKED: "The certificate is blocked.",
    RefundReason.REDEMPTION_IN_PROGRESS: "A purchase holds part of the balance at this moment.",
    RefundReason.AMOUNT_MISMATCH: "What came back is not the price of the line.",
    RefundReason.REFUND_PAYMENT_MISSING: "The line was returned or cancelled, and no money has come back.",
    RefundReason.ALLOCATION_MISSING: "Money came back, and nobody said for which line of the order.",
}


@router.get("/refunds", operation_id="listRefunds", responses=may_answer())
async def list_refunds(
    request: Request,
    _: Annotated[Caller, Security(Bearer(Role.CRM, Role.SUPPORT))],
    state: Annotated[Literal["pendingDetails", "awaitingCapture", "requested"], Query()] = "pendingDetails",
    after: Annotated[
        str, Query(max_length=64, pattern=r"^[^\x00]*$", description="`next` of the page before")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> PendingRefundPage:
    """List open refund cases of one state, oldest first, with what a person needs to decide them."""
    services = services_of(request)
    items: list[PendingRefund] = []
    async with services.engine.connect() as connection:
        cases = await ReadingRepository(connection).refund_cases([state], after, limit + 1)
        certificates = CertificateRepository(connection)
        for certificate_id, case_id in cases[:limit]:
            stored = await certificates.load(certificate_id)
            url = services.settings.workflow_url(certificate_id)
            items += [
                _view(stored.state, sale, case, url)
                for sale in sales(stored.state)
                for case in sale.cases
                if case.refund_case_id == case_id and case.state == RefundState(state)
            ]
    return PendingRefundPage(items=items, next=cases[limit - 1][1] if len(cases) > limit else None)


def _view(state: CertificateState, sale: Sale, case: RefundCase, web_url: str) -> PendingRefund:
    line = refunds.standing(state.order(sale.order_id), sale)
    return PendingRefund.model_validate(
        {
            "refund_case_id": case.refund_case_id,
            "refund_id": case.refund_id,
            "certificate_id": state.certificate_id,
            "order_id": sale.order_id,
            "line_id": sale.line_id,
            "customer_id": sale.customer_id,
            "state": case.state.value,
            "reason": case.reason.value if case.reason else None,
            "reason_text": REASONS[case.reason] if case.reason else None,
            "amount": money(case.amount, state.currency),
            "price": money(sale.amount, state.currency),
            "captured": money(line.captured + line.returned, state.currency),
            "refunded": money(line.refunded + line.returned, state.currency),
            "balance": money(state.balance, state.currency),
            "held": money(state.held, state.currency),
            "since": case.pending_since or case.opened_at,
            "allowed_decisions": ["approve"] if sale.issued_at is None else ["approve", "reject"],
            "web_url": web_url,
        }
    )
