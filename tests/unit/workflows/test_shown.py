"""What support reads of a certificate in the Web UI."""

from giftcert.domain.deadlines import next_deadline
from tests.unit.domain import factories as make
from tests.unit.domain.certificates import Certificate, issued, sold
from workflows.shown import details


def read(found: Certificate) -> str:
    deadline = next_deadline(found.state, found.terms.policy)
    return details(found.state, deadline.at if deadline else None)


def test_an_order_waits_for_its_payment() -> None:
    assert "is **ordered**. It waits for payment of the order." in read(sold())


def test_an_issued_certificate_waits_for_the_end_of_its_validity() -> None:
    assert "is **issued**. It waits for the end of validity." in read(issued())


def test_a_refund_that_needs_a_person_says_so_with_its_reason() -> None:
    found = issued().tell(make.refunded(700_000, to={"2": 700_000}))
    text = read(found)
    assert f"It waits for a person to decide refund case {found.case.refund_case_id}." in text
    assert "is **pendingDetails**, exceedsCaptured" in text


def test_a_refunded_certificate_waits_for_nothing() -> None:
    found = issued().tell(make.refunded(to={"2": 500_000}))
    assert "is **refunded**. It waits for nothing." in read(found)


def test_amounts_are_told_with_their_unit() -> None:
    assert "minor units of RUB" in read(sold())
