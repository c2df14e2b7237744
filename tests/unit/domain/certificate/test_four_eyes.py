"""Above a limit a refund takes two persons: the first agreement waits, another person repeats it."""

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.state import Status
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, spendable, spent

LIMITED = make.terms(refund_four_eyes_over=400_000)


def waiting(amount: int = 500_000) -> Certificate:
    return spent(100_000, terms=LIMITED).tell(make.refunded(amount, to={"2": amount}))


def agree(found: Certificate, by: str, decision: str = "approve", amount: int | None = None) -> Certificate:
    return found.tell(make.resolve(found.case.refund_case_id, decision, amount, by=by))


def test_the_first_agreement_waits_and_is_told() -> None:
    found = agree(waiting(), "support-1")
    assert found.published == ["audit.operatorActed"]
    event = found.only(e.OperatorActed)
    assert event.who == "support-1"
    assert found.case.refund_case_id in event.what
    assert "approve" in event.what
    assert (found.case.is_open, found.state.balance) == (True, 400_000)


def test_another_person_repeats_decision_and_amount_and_it_is_carried_out() -> None:
    found = agree(agree(waiting(), "support-1", amount=50_000), "support-2", amount=50_000)
    assert found.published == ["refund.resolved", "refund.completed"]
    assert found.only(e.RefundResolved).resolved_by == "support-2"
    assert found.only(e.RefundCompleted).taken == 50_000
    assert found.case.agreement is None


def test_the_same_person_cannot_repeat_it() -> None:
    for amount in (None, 50_000):
        found = agree(agree(waiting(), "support-1", amount=amount), "support-1", amount=amount)
        assert found.last == ()
        assert found.case.is_open


def test_another_person_who_wants_something_else_is_the_first_for_that() -> None:
    for other in ({"amount": 60_000}, {"decision": "reject"}):
        found = agree(agree(waiting(), "support-1", amount=50_000), "support-2", **other)  # type: ignore[arg-type]
        assert found.published == ["audit.operatorActed"]
        agree(found, "support-1", **other)  # type: ignore[arg-type]
        assert not found.case.is_open


def test_the_first_who_did_not_hear_of_the_second_repeats_it_and_nothing_begins_anew() -> None:
    found = spent(100_000, terms=LIMITED).tell(make.returned()).wait(7 * make.DAY)
    agree(agree(found, "support-1"), "support-2")
    assert found.case.approved == 400_000
    assert agree(found, "support-1").last == ()
    assert found.case.agreement is None


def test_one_who_changes_their_mind_begins_anew() -> None:
    found = agree(agree(waiting(), "support-1"), "support-1", "reject")
    assert found.published == ["audit.operatorActed"]
    assert agree(found, "support-2").published == ["audit.operatorActed"]
    assert spendable(agree(agree(found, "support-2", "reject"), "support-1", "reject"))


def test_a_refund_up_to_the_limit_takes_one_person() -> None:
    assert agree(waiting(400_000), "support-1").published == ["refund.resolved", "refund.completed"]
    assert agree(waiting(400_001), "support-1").published == ["audit.operatorActed"]


def test_without_a_limit_one_person_decides() -> None:
    found = spent(100_000).tell(make.refunded())
    assert agree(found, "support-1").status == Status.REFUNDED


def test_money_in_another_currency_counts_as_the_price() -> None:
    found = spent(100_000, terms=LIMITED).tell(make.refunded(1, currency="EUR"))
    assert agree(found, "support-1", amount=1).published == ["audit.operatorActed"]


def test_an_agreement_about_less_money_is_none_about_more() -> None:
    found = agree(waiting(410_000), "support-1").tell(make.refunded(50_000, to={"2": 50_000}))
    assert found.published == ["refund.pendingDetails"]
    assert agree(found, "support-2").published == ["audit.operatorActed"]


def test_an_agreement_stands_while_nothing_about_the_case_changes() -> None:
    found = agree(waiting(), "support-1").tell(make.authorized()).wait(3 * make.DAY)
    assert agree(found, "support-2").status == Status.REFUNDED
