"""Each event of a refund as a whole: what support, BI and channels read in it."""

from typing import Any

import pytest

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.state import Agreement, RefundState
from giftcert.domain.certificate.words import Awaited, RefundReason
from giftcert.domain.order.standing import CountedMoney
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, issued, reserved, sold, spent

WEB = "http://web/certificate"
BOTH = (make.goods(), make.gift())
ON_LINE: dict[str, Any] = {"order_id": make.ORDER, "line_id": "2"}
WEEK, YEAR = 7 * make.DAY, 365 * make.DAY


def on_line(found: Certificate) -> dict[str, Any]:
    return ON_LINE | {"line_key": found.line.standing.line_key}


@pytest.mark.parametrize(
    ("found", "awaiting", "refund_id", "amount", "patience"),
    [
        (issued(*BOTH).tell(make.returned()), Awaited.PAYMENT, None, 500_000, WEEK),
        (issued().tell(make.refunded(100, "r-1", to={"2": 100})), Awaited.REST, "r-1", 100, WEEK),
        (sold().tell(make.refunded(100, "r-1")), Awaited.CAPTURE, "r-1", 100, make.DAY),
        (
            issued(make.gift("2"), make.gift("3")).tell(make.refunded(500_000, "r-1")),
            Awaited.ALLOCATION,
            "r-1",
            500_000,
            make.DAY,
        ),
    ],
)
def test_a_refund_that_waits(
    found: Certificate, awaiting: Awaited, refund_id: str | None, amount: int, patience: make.timedelta
) -> None:
    assert found.only(e.RefundRequested) == e.RefundRequested(
        **on_line(found),
        refund_case_id=found.case.refund_case_id,
        refund_id=refund_id,
        amount=amount,
        awaiting=awaiting,
        waits_until=make.NOON + patience,
    )


def test_a_refund_carried_out() -> None:
    found = issued().tell(make.refunded(refund_id="r-1"))
    assert found.last == (
        e.RefundCompleted(
            **on_line(found),
            refund_case_id="id-2",
            refund_id="r-1",
            amount=500_000,
            excess=0,
            taken=500_000,
            uncovered=0,
            before_issue=False,
        ),
    )
    assert found.line.counted == CountedMoney(captured=500_000, refunds=(("r-1", "RUB", 500_000),))
    found = sold().tell(make.captured(400_000), make.refunded(400_000, "r-1"))
    assert found.only(e.RefundCompleted) == e.RefundCompleted(
        **on_line(found),
        refund_case_id="id-1",
        refund_id="r-1",
        amount=400_000,
        excess=0,
        taken=0,
        uncovered=0,
        before_issue=True,
    )


def test_a_case_that_was_carried_out_keeps_what_it_counted_and_took() -> None:
    part, rest = (
        make.refunded(100_000, "r-1", to={"2": 100_000}),
        make.refunded(400_000, "r-2", to={"2": 400_000}),
    )
    found = issued().tell(make.block(), part)
    assert found.case.reason == RefundReason.CERTIFICATE_BLOCKED
    found.tell(rest, make.unblock())
    case = found.case
    assert (case.state, case.amount, case.refund_id, case.reason) == (
        RefundState.COMPLETED,
        500_000,
        "r-2",
        None,
    )
    assert (case.counted, case.excess, case.taken, case.before_issue) == (500_000, 0, 500_000, False)
    found = sold().tell(make.captured(400_000), make.refunded(400_000, "r-1"))
    assert (found.case.refund_id, found.case.taken, found.case.before_issue) == ("r-1", 0, True)


def pending(
    found: Certificate,
    reason: RefundReason,
    amount: int,
    refund_id: str | None,
    foreign_currency: str | None = None,
) -> None:
    assert found.only(e.RefundPendingDetails) == e.RefundPendingDetails(
        **on_line(found),
        refund_case_id=found.case.refund_case_id,
        refund_id=refund_id,
        amount=amount,
        reason=reason,
        allowed_decisions=("approve", "reject"),
        web_url=WEB,
        foreign_currency=foreign_currency,
    )


def test_refunds_that_a_person_decides() -> None:
    more = make.refunded(600_000, "r-1", to={"2": 600_000})
    part = make.refunded(100_000, "r-1", to={"2": 100_000})
    foreign = make.refunded(100, "r-1", currency="EUR", to={"2": 100})
    returned = issued(*BOTH).tell(make.returned())
    paid_again = issued().tell(make.refunded(), make.captured(payment_id="P-2"))
    again = make.refunded(400_000, "r-2", to={"2": 400_000}, payment_id="P-2")
    pending(issued().tell(foreign), RefundReason.CURRENCY_MISMATCH, 100, "r-1", "EUR")
    pending(issued().tell(more), RefundReason.EXCEEDS_CAPTURED, 600_000, "r-1")
    pending(paid_again.tell(again), RefundReason.ALREADY_REFUNDED, 400_000, "r-2")
    pending(issued().wait(YEAR).tell(part), RefundReason.CERTIFICATE_EXPIRED, 100_000, "r-1")
    pending(issued().tell(make.block(), part), RefundReason.CERTIFICATE_BLOCKED, 100_000, "r-1")
    pending(issued().tell(make.hold(1), part), RefundReason.REDEMPTION_IN_PROGRESS, 100_000, "r-1")
    pending(spent(1).tell(part), RefundReason.CERTIFICATE_REDEEMED, 100_000, "r-1")
    pending(issued().tell(part).wait(WEEK), RefundReason.AMOUNT_MISMATCH, 100_000, "r-1")
    pending(returned.wait(WEEK), RefundReason.REFUND_PAYMENT_MISSING, 500_000, None)


def test_free_lines_that_a_person_decides() -> None:
    def free() -> Certificate:
        return reserved(terms=make.terms(make.FREE)).tell(make.ordered(make.gift(amount=0), make.goods()))

    pending(free().tell(make.hold(1), make.returned()), RefundReason.REDEMPTION_IN_PROGRESS, 0, None)
    bought = free().tell(make.hold(1), make.spending(amount=1))
    pending(bought.tell(make.returned()), RefundReason.CERTIFICATE_REDEEMED, 0, None)


def test_more_back_than_captured_before_issue() -> None:
    found = sold().tell(make.captured(300_000), make.refunded(400_000, "r-1", to={"2": 400_000}))
    assert found.only(e.RefundPendingDetails) == e.RefundPendingDetails(
        **on_line(found),
        refund_case_id="id-1",
        refund_id="r-1",
        amount=400_000,
        reason=RefundReason.EXCEEDS_CAPTURED,
        allowed_decisions=("approve",),
        web_url=WEB,
    )


def test_a_case_closed_by_itself() -> None:
    found = issued(*BOTH).tell(make.ordered(make.goods(), own=None, version=2))
    case = found.case.refund_case_id
    assert found.tell(make.ordered(*BOTH, version=3)).only(e.RefundResolved) == e.RefundResolved(
        **ON_LINE,
        refund_case_id=case,
        decision="reject",
        amount=0,
        uncovered=0,
        resolved_by="system",
        note="nothing is left to decide here",
    )


def test_what_a_person_approved_before_its_money() -> None:
    found = issued(*BOTH).tell(make.returned())
    case = found.case.refund_case_id
    assert found.tell(make.resolve(case, amount=300_000)).last == (
        e.RefundResolved(
            **ON_LINE,
            refund_case_id=case,
            decision="approve",
            amount=300_000,
            uncovered=0,
            resolved_by="support-1",
            note="agreed by telephone",
        ),
    )
    assert (found.sale.withdrawal_decided, found.case.approved) == (2, 300_000)
    assert found.case.waits_until == make.NOON + WEEK


def test_what_one_of_two_persons_agreed_to() -> None:
    found = issued(terms=make.terms(refund_four_eyes_over=1)).tell(make.hold(), make.refunded())
    case = found.case.refund_case_id
    assert found.tell(make.resolve(case, amount=300_000)).last == (
        e.OperatorActed(
            who="support-1", what=f"agreed to approve refund case {case}; a second person has to repeat it"
        ),
    )
    assert found.case.agreement == Agreement("approve", 300_000, "support-1")


def test_a_case_that_waits_too_long() -> None:
    found = issued().tell(make.refunded(600_000, to={"2": 600_000})).wait(make.DAY)
    assert found.only(e.RefundStuckAlerted) == e.RefundStuckAlerted(
        **ON_LINE,
        refund_case_id=found.case.refund_case_id,
        reason=RefundReason.EXCEEDS_CAPTURED,
        amount=600_000,
        since=make.NOON,
        attempt=1,
        web_url=WEB,
    )


def test_a_case_of_another_currency_that_waits_too_long() -> None:
    found = issued().tell(make.refunded(100, currency="EUR")).wait(make.DAY)
    alert = found.only(e.RefundStuckAlerted)
    assert (alert.amount, alert.foreign_currency) == (100, "EUR")


def test_money_of_a_cancelled_line_that_does_not_go_back() -> None:
    found = sold().tell(make.cancelled(), make.captured()).wait(WEEK)
    assert found.only(e.CancelledWithoutRefundAlerted) == e.CancelledWithoutRefundAlerted(
        **ON_LINE, refund_case_id=found.case.refund_case_id, amount=500_000, web_url=WEB
    )
