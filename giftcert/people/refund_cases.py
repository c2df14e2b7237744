"""Refund cases that wait for something, with what a person needs to decide them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from giftcert.domain import refunds
from giftcert.domain.events import RefundReason
from giftcert.domain.refunds import Standing
from giftcert.domain.state import CertificateState, RefundCase, RefundState, Sale
from giftcert.storage.certificates import CertificateRepository
from giftcert.storage.refund_cases import RefundCaseRepository

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
"""What each reason means, in words."""


@dataclass(frozen=True, slots=True)
class OpenCase:
    """A case with its sale, its certificate, and how the money of its line stands."""

    state: CertificateState
    sale: Sale
    case: RefundCase
    line: Standing

    @property
    def reason_text(self) -> str | None:
        """Why it waits, in words."""
        return REASONS[self.case.reason] if self.case.reason else None

    @property
    def allowed_decisions(self) -> tuple[str, ...]:
        """What a person may decide."""
        return refunds.allowed_decisions(self.sale)


@dataclass(frozen=True, slots=True)
class CasePage:
    """Cases, oldest first; ``next`` goes into ``after``, and is ``None`` on the last page."""

    cases: Sequence[OpenCase]
    next: str | None


async def open_cases(connection: AsyncConnection, state: RefundState, after: str, limit: int) -> CasePage:
    """Return a page of the cases in an open state, from behind the case ``after``."""
    found = await RefundCaseRepository(connection).open_cases([state.value], after, limit + 1)
    certificates = CertificateRepository(connection)
    cases: list[OpenCase] = []
    for certificate_id, case_id in found[:limit]:
        stored = await certificates.load(certificate_id)
        cases += [one for one in cases_of(stored.state) if one.case.refund_case_id == case_id]
    # One may have been decided since the list was read.
    still = [one for one in cases if one.case.state == state]
    return CasePage(still, found[limit - 1][1] if len(found) > limit else None)


def cases_of(state: CertificateState) -> list[OpenCase]:
    """Return the cases of all sales of a certificate."""
    sales = (*state.past_sales, state.sale) if state.sale else state.past_sales
    return [
        OpenCase(state, sale, case, refunds.standing(state.order(sale.order_id), sale))
        for sale in sales
        for case in sale.cases
    ]
