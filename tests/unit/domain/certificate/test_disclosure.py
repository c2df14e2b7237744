from datetime import UTC, datetime

import pytest

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.decision import Decision
from giftcert.domain.certificate.disclosure import DisclosureRefusal, disclose, refuse_disclosure
from giftcert.domain.certificate.messages import DiscloseCvc
from giftcert.domain.certificate.state import (
    OPEN_REFUND_STATES,
    SPENDABLE,
    CertificateState,
    RefundCase,
    RefundState,
    Sale,
    Status,
)
from giftcert.domain.policy import Terms
from giftcert.domain.products import Product

MAY_CHANGE = {Status.RESERVED, Status.ORDERED}
ASKED = DiscloseCvc(disclosed_to="crm", purpose="notification", notification_id="N-1")


def certificate(
    status: Status, refund_state: RefundState | None = None, *, blocked: bool = False
) -> CertificateState:
    cases = (RefundCase(refund_case_id="c", state=refund_state, amount=1),) if refund_state else ()
    sale = Sale(order_id="IM-1", line_key=1, line_id="1", amount=1, cases=cases)
    return CertificateState(
        certificate_id="c", product="p", currency="RUB", nominal=1, status=status, blocked=blocked, sale=sale
    )


def asked(state: CertificateState) -> Decision:
    terms = Terms(product=Product(id="p", currency="RUB", nominal=1))
    decision = Decision(state, datetime(2026, 11, 23, tzinfo=UTC), terms, lambda: "id")
    disclose(decision, ASKED)
    return decision


@pytest.mark.parametrize("status", list(Status))
def test_only_a_spendable_certificates_cvc_is_given_out(status: Status) -> None:
    refusal = refuse_disclosure(certificate(status))
    if status in SPENDABLE:
        assert refusal is None
    elif status in MAY_CHANGE:
        assert refusal == DisclosureRefusal.NOT_ISSUED
    else:
        assert refusal == DisclosureRefusal.NOT_ACTIVE


@pytest.mark.parametrize("status", sorted(SPENDABLE))
def test_a_blocked_certificates_cvc_is_not_given_out_for_now(status: Status) -> None:
    assert refuse_disclosure(certificate(status, blocked=True)) == DisclosureRefusal.NOT_ISSUED


@pytest.mark.parametrize("refund_state", list(RefundState))
def test_an_open_refund_stops_disclosure_and_a_closed_one_does_not(refund_state: RefundState) -> None:
    refusal = refuse_disclosure(certificate(Status.ISSUED, refund_state))

    assert refusal == (DisclosureRefusal.NOT_ISSUED if refund_state in OPEN_REFUND_STATES else None)


def test_a_finished_certificate_stays_closed_even_if_it_is_blocked() -> None:
    assert refuse_disclosure(certificate(Status.REFUNDED, blocked=True)) == DisclosureRefusal.NOT_ACTIVE


def test_a_disclosure_is_recorded() -> None:
    decision = asked(certificate(Status.ISSUED))

    assert decision.refusal is None
    assert decision.public == (
        e.CvcDisclosed(disclosed_to="crm", purpose="notification", notification_id="N-1"),
    )


def test_a_refused_disclosure_is_recorded_with_the_reason() -> None:
    decision = asked(certificate(Status.ORDERED))

    assert decision.refusal == DisclosureRefusal.NOT_ISSUED
    assert decision.public == (
        e.CvcRefused(disclosed_to="crm", purpose="notification", notification_id="N-1", reason="not-issued"),
    )
