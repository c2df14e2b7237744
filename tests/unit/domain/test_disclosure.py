import pytest

from giftcert.domain.disclosure import DisclosureRefusal, refuse_disclosure
from giftcert.domain.state import CertificateState, RefundCase, RefundState, Sale, Status

SPENDABLE = {Status.ISSUED, Status.PARTIALLY_REDEEMED}
MAY_CHANGE = {Status.RESERVED, Status.ORDERED}


def certificate(
    status: Status, refund_state: RefundState | None = None, *, blocked: bool = False
) -> CertificateState:
    cases = (RefundCase(refund_case_id="c", state=refund_state, amount=1),) if refund_state else ()
    sale = Sale(order_id="IM-1", line_id="1", amount=1, cases=cases)
    return CertificateState(
        certificate_id="c", product="p", currency="RUB", nominal=1, status=status, blocked=blocked, sale=sale
    )


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
    is_open = refund_state in {
        RefundState.REQUESTED,
        RefundState.AWAITING_CAPTURE,
        RefundState.PENDING_DETAILS,
    }
    assert refusal == (DisclosureRefusal.NOT_ISSUED if is_open else None)


def test_a_finished_certificate_stays_closed_even_if_it_is_blocked() -> None:
    assert refuse_disclosure(certificate(Status.REFUNDED, blocked=True)) == DisclosureRefusal.NOT_ACTIVE
