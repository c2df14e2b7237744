"""Stored certificates as HTTP shows them; nothing secret passes through here."""

import json

from api import schemas
from giftcert.domain.numbers import mask
from giftcert.domain.state import CertificateState, RefundCase, Sale
from giftcert.storage.certificates import StoredCertificate
from giftcert.storage.reading import FoundCertificate, PastEvent


def money(amount: int | None, currency: str | None) -> schemas.Money | None:
    """Return an amount as money; what does not apply is ``None``."""
    if amount is None or currency is None:
        return None
    return schemas.Money(amount=amount, currency=currency)


def summary(found: FoundCertificate) -> schemas.CertificateSummary:
    """Return a certificate as it stands in a list."""
    return schemas.CertificateSummary.model_validate(_summary(found))


def view(
    found: FoundCertificate, stored: StoredCertificate, history: list[PastEvent], web_url: str
) -> schemas.CertificateView:
    """Return all that may be known of a certificate."""
    state = stored.state
    return schemas.CertificateView.model_validate(
        {
            **_summary(found),
            "reservation": _reservation(state),
            "order": _order(state),
            "refund_cases": [_case(state, sale, case) for sale in sales(state) for case in sale.cases],
            "history": [_past(event) for event in history],
            "web_url": web_url,
        }
    )


def sales(state: CertificateState) -> tuple[Sale, ...]:
    """Return the sales of a certificate, the current one last."""
    return (*state.past_sales, state.sale) if state.sale else state.past_sales


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


def _reservation(state: CertificateState) -> schemas.ReservationView | None:
    last = state.reservation
    if last is None:
        return None
    return schemas.ReservationView.model_validate(
        {
            "reservation_id": last.reservation_id,
            "channel": last.channel,
            "reserved_at": last.reserved_at,
            "reserved_until": last.reserved_until,
            "ended": last.ended,
        }
    )


def _order(state: CertificateState) -> schemas.OrderView | None:
    sale = state.sale
    if sale is None:
        return None
    return schemas.OrderView.model_validate(
        {
            "order_id": sale.order_id,
            "line_id": sale.line_id,
            "amount": money(sale.amount, state.currency),
            "channel": sale.channel,
            "customer_id": sale.customer_id,
            "issued_at": sale.issued_at,
            "valid_until": sale.valid_until,
        }
    )


def _case(state: CertificateState, sale: Sale, case: RefundCase) -> schemas.RefundCaseView:
    return schemas.RefundCaseView.model_validate(
        {
            "refund_case_id": case.refund_case_id,
            "refund_id": case.refund_id,
            "order_id": sale.order_id,
            "line_id": sale.line_id,
            "state": case.state.value,
            "amount": money(case.amount, case.foreign_currency or state.currency),
            "reason": case.reason.value if case.reason else None,
            "since": case.pending_since or case.opened_at,
        }
    )


def _past(event: PastEvent) -> schemas.PastEventView:
    return schemas.PastEventView.model_validate(
        {
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
    )
