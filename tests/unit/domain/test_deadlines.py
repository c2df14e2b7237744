"""Each deadline is told once: its key says what it is about, whose, and when."""

from giftcert.domain.deadlines import deadlines
from tests.unit.domain import factories as make
from tests.unit.domain.certificates import Certificate, issued, sold


def keys(found: Certificate) -> list[str]:
    return sorted(deadline.message.key for deadline in deadlines(found.state, found.terms.policy))


def test_the_unpaid_deadline_of_an_order() -> None:
    assert keys(sold()) == ["deadline:unpaid:IM-1001:2026-11-26T12:00:00+00:00"]


def test_the_end_of_the_validity() -> None:
    assert keys(issued()) == ["deadline:validity:IM-1001:2027-11-23T12:00:00+00:00"]


def test_the_end_of_each_hold() -> None:
    found = issued().tell(make.hold(redemption_id="D-1"), make.hold(redemption_id="D-2"))
    assert keys(found)[:2] == [
        "deadline:hold:D-1:2026-11-23T12:30:00+00:00",
        "deadline:hold:D-2:2026-11-23T12:30:00+00:00",
    ]


def test_the_deadline_of_a_refund_case() -> None:
    found = issued().tell(make.cancelled())
    assert keys(found)[0] == f"deadline:refund:{found.case.refund_case_id}:2026-11-30T12:00:00+00:00"
