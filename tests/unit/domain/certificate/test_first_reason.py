"""The rows of the refund table in their order: where several apply, the first is the reason."""

from collections.abc import Callable

import pytest

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.state import RefundState, Status
from giftcert.domain.certificate.words import Awaited, RefundReason
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, issued, reserved, sold

TO_THE_LINE = {"2": 500_000}
WHOLE = make.refunded(to=TO_THE_LINE)
TOO_MUCH = make.refunded(500_001, to={"2": 500_001})


def with_everything_wrong(found: Certificate) -> Certificate:
    """Spent in part, a hold open, blocked."""
    found.tell(make.hold(), make.spending(), make.hold(50_000, "D-2", order_id="POS-6"))
    return found.tell(make.block())


def expired(found: Certificate) -> Certificate:
    """Past its validity, the hold made just before the end."""
    found.tell(make.hold(), make.spending())
    found.clock += 365 * make.DAY - make.MINUTE
    found.tell(make.hold(50_000, "D-2")).wait(make.MINUTE)
    assert (found.status, found.state.held) == (Status.EXPIRED, 50_000)
    return found


def refunded_and_paid_again() -> Certificate:
    found = issued().tell(make.block(), WHOLE)
    return found.tell(make.resolve(found.case.refund_case_id), make.captured(to=TO_THE_LINE))


def free() -> Certificate:
    return reserved(terms=make.terms(make.FREE)).tell(make.ordered(make.gift(amount=0), make.goods()))


def held_and_spent() -> Certificate:
    return issued().tell(make.hold(), make.spending(), make.hold(50_000, "D-2", order_id="POS-6"))


ROWS: list[tuple[Callable[[], Certificate], RefundReason]] = [
    (
        lambda: with_everything_wrong(issued()).tell(make.refunded(currency="EUR"), TOO_MUCH),
        RefundReason.CURRENCY_MISMATCH,
    ),
    (
        lambda: with_everything_wrong(free()).tell(make.refunded(100, to={"2": 100}), make.returned()),
        RefundReason.CERTIFICATE_REDEEMED,
    ),
    (
        lambda: with_everything_wrong(free()).tell(make.refunded(100, to={"2": 100})).wait(make.DAY),
        RefundReason.NOT_CAPTURED,
    ),
    (lambda: expired(issued()).tell(TOO_MUCH), RefundReason.EXCEEDS_CAPTURED),
    (lambda: with_everything_wrong(issued()).tell(TOO_MUCH), RefundReason.EXCEEDS_CAPTURED),
    (lambda: refunded_and_paid_again().tell(make.refunded(to=TO_THE_LINE)), RefundReason.ALREADY_REFUNDED),
    (lambda: expired(issued()).tell(make.refunded()), RefundReason.CERTIFICATE_EXPIRED),
    (lambda: with_everything_wrong(issued()).tell(make.refunded()), RefundReason.CERTIFICATE_BLOCKED),
    (lambda: held_and_spent().tell(make.refunded()), RefundReason.REDEMPTION_IN_PROGRESS),
    (lambda: held_and_spent().tell(make.refunded(100, to={"2": 100})), RefundReason.REDEMPTION_IN_PROGRESS),
    (
        lambda: held_and_spent().tell(make.unhold("D-2"), make.refunded(100, to={"2": 100})),
        RefundReason.CERTIFICATE_REDEEMED,
    ),
    (
        lambda: (
            issued(make.goods(), make.gift())
            .tell(make.returned(), make.refunded(100, to={"2": 100}))
            .wait(7 * make.DAY)
        ),
        RefundReason.AMOUNT_MISMATCH,
    ),
]


@pytest.mark.parametrize(("begin", "reason"), ROWS)
def test_the_first_row_that_applies_is_the_reason(
    begin: Callable[[], Certificate], reason: RefundReason
) -> None:
    found = begin()
    assert found.case.state == RefundState.PENDING_DETAILS
    assert found.case.reason == reason
    assert found.all(e.RefundPendingDetails)[-1].reason == reason


def test_a_free_certificate_is_refunded_with_nothing_even_while_blocked() -> None:
    found = free().tell(make.block(), make.returned())
    assert (found.status, found.only(e.RefundCompleted).amount) == (Status.REFUNDED, 0)


def test_a_free_certificate_whose_hold_is_open_waits_for_its_end() -> None:
    found = free().tell(make.hold(), make.returned())
    assert found.only(e.RefundPendingDetails).reason == RefundReason.REDEMPTION_IN_PROGRESS
    assert found.tell(make.unhold()).published == ["redemption.voided", "refund.completed"]


def test_a_refund_is_decided_again_when_the_hold_closes() -> None:
    for closing, reason in (
        (make.spending(), RefundReason.CERTIFICATE_REDEEMED),
        (make.spending(amount=60_000), RefundReason.CERTIFICATE_REDEEMED),
    ):
        found = issued().tell(make.hold(), make.refunded(), closing)
        assert found.only(e.RefundPendingDetails).reason == reason
    given_back = (make.unhold(), make.spending("voided"), None)
    for message in given_back:
        found = issued().tell(make.hold(), make.refunded())
        found = found.tell(message) if message else found.wait(make.HOUR)
        assert (found.status, found.published) == (Status.REFUNDED, ["redemption.voided", "refund.completed"])


def test_a_restored_purchase_counts_as_never_made() -> None:
    found = held_and_spent().tell(make.unhold("D-2"), make.refunded())
    found.tell(make.spending("refunded", redemption_id="D-1"))
    assert (found.status, found.published) == (Status.REFUNDED, ["redemption.restored", "refund.completed"])


# Later refunds of the same sale -------------------------------------------------------------------


def test_a_later_refund_opens_a_case_of_its_own_for_its_own_amount() -> None:
    found = issued(make.goods(), make.gift()).tell(make.refunded(200_000, to={"2": 200_000}))
    first = found.case.refund_case_id
    found.tell(make.resolve(first), make.hold(100_000), make.spending())
    found.tell(make.refunded(150_000, "r-2", to={"2": 150_000}))
    event = found.only(e.RefundPendingDetails)
    assert (event.amount, event.refund_id, event.reason) == (
        150_000,
        "r-2",
        RefundReason.CERTIFICATE_REDEEMED,
    )
    assert event.refund_case_id != first
    assert [case.state for case in found.sale.cases] == [RefundState.COMPLETED, RefundState.PENDING_DETAILS]
    found.tell(make.resolve(event.refund_case_id))
    assert found.only(e.RefundCompleted).taken == 150_000
    assert found.state.balance == 50_000


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_when_all_refunds_reach_the_price_and_nothing_was_spent_the_rest_is_taken(decision: str) -> None:
    found = issued(make.goods(), make.gift()).tell(make.refunded(200_000, to={"2": 200_000}))
    found.tell(make.resolve(found.case.refund_case_id, decision))
    left = found.state.balance
    found.tell(make.refunded(300_000, to={"2": 300_000}))
    event = found.only(e.RefundCompleted)
    assert (found.status, event.amount, event.taken, event.uncovered) == (Status.REFUNDED, 300_000, left, 0)


# Per payment --------------------------------------------------------------------------------------


def test_more_back_by_a_payment_than_it_brought_asks_a_person() -> None:
    found = sold().tell(make.captured(300_000, "P-1"), make.captured(200_000, "P-2"))
    found.tell(make.refunded(200_000, payment_id="P-2", to={"2": 200_000}))
    assert found.published == ["refund.requested"]
    found.tell(make.refunded(300_000, payment_id="P-2", to={"2": 300_000}))
    assert found.only(e.RefundPendingDetails).reason == RefundReason.EXCEEDS_CAPTURED
    assert found.tell(make.captured(300_000, "P-2")).published == ["refund.requested"]
    assert found.case.awaiting == Awaited.REST  # it had brought too much, which goes back first


def test_more_back_by_a_payment_than_it_brought_asks_a_person_before_issue_too() -> None:
    found = sold().tell(make.captured(300_000, "P-1"), make.refunded(300_000, payment_id="P-2"))
    assert found.only(e.RefundPendingDetails).reason == RefundReason.EXCEEDS_CAPTURED
    found.tell(make.resolve(found.case.refund_case_id))
    assert (found.published[-1], found.status) == ("issue.released", Status.AVAILABLE)


def test_a_payment_that_brought_too_little_for_other_lines_is_not_the_line_s_matter() -> None:
    found = sold(make.goods(), make.gift()).tell(make.captured(250_000, "P-1"), make.captured(500_000, "P-2"))
    found.tell(make.refunded(250_001, payment_id="P-1", to={"1": 250_001}))
    assert found.published == []
    assert found.tell(make.refunded(payment_id="P-2", to=TO_THE_LINE)).status == Status.REFUNDED
