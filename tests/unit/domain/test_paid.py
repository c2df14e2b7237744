"""The rule "Paid": live, no refund means it, and captures reach the line's amount or the order's total."""

from giftcert.domain import events as e
from giftcert.domain.state import Status
from tests.unit.domain import factories as make
from tests.unit.domain.certificates import reserved, sold

BOTH = (make.goods(), make.gift())


def test_a_paid_certificate_is_issued_and_announced() -> None:
    found = sold(*BOTH).tell(make.captured(750_000))
    assert found.told == ["issue.completed", "notification.requested"]
    done = found.only(e.Issued)
    assert (done.order_id, done.line_id, done.amount) == (make.ORDER, "2", 500_000)
    assert done.payment_ids == ("P-1",)
    assert done.valid_until == make.NOON + make.FIXED.validity
    assert (found.status, found.state.balance, found.state.held) == (Status.ISSUED, 500_000, 0)


def test_an_authorisation_alone_issues_nothing() -> None:
    assert sold().tell(make.authorized()).told == []


def test_allocated_captures_pay_a_line_before_the_order_is_paid() -> None:
    found = sold(*BOTH).tell(make.captured(300_000, "P-1", to={"2": 300_000}))
    assert found.status == Status.ORDERED
    found.tell(make.captured(200_000, "P-2", to={"2": 200_000}))
    assert found.status == Status.ISSUED
    assert found.only(e.Issued).payment_ids == ("P-1", "P-2")


def test_what_is_allocated_to_other_lines_does_not_pay_this_one() -> None:
    found = sold(*BOTH).tell(make.captured(500_000, to={"1": 250_000}))
    assert found.status == Status.ORDERED
    assert found.tell(make.captured(250_000)).status == Status.ISSUED


def test_what_is_allocated_to_a_line_the_order_does_not_have_counts_for_nothing() -> None:
    assert sold().tell(make.captured(500_000, to={"9": 500_000})).status == Status.ORDERED


def test_several_captures_reach_the_total_together() -> None:
    found = sold(*BOTH).tell(make.captured(250_000, "P-1"), make.captured(499_999, "P-2"))
    assert found.status == Status.ORDERED
    found.tell(make.captured(1, "P-3"), make.captured(100, "P-4"))
    assert found.all(e.Issued)[0].payment_ids == ("P-1", "P-2", "P-3")


def test_a_certificate_does_not_buy_a_certificate() -> None:
    found = sold().tell(make.captured(tender="giftCertificate"))
    assert found.status == Status.ORDERED
    assert found.wait(3 * make.DAY).only(e.UnpaidAlerted).reason == "tenderNotAllowed"


def test_a_certificate_may_buy_the_goods_beside_a_certificate() -> None:
    found = sold(*BOTH).tell(make.captured(250_000, "P-1", tender="giftCertificate"))
    assert found.tell(make.captured(500_000, "P-2")).status == Status.ISSUED


def test_a_certificate_allocated_to_a_certificate_line_does_not_pay_it() -> None:
    found = sold().tell(make.captured(to={"2": 500_000}, tender="giftCertificate"))
    assert found.status == Status.ORDERED


def test_certificates_buy_certificates_where_the_setting_lets_them() -> None:
    found = sold(terms=make.terms(certificates_buy_certificates=True))
    assert found.tell(make.captured(tender="giftCertificate")).status == Status.ISSUED


def test_amount_0_is_paid_when_ordered() -> None:
    found = reserved().tell(make.ordered(make.gift(amount=0)))
    assert found.told == ["issue.ordered", "issue.completed", "notification.requested"]
    assert found.only(e.Issued).payment_ids == ()


def test_payments_that_came_before_the_order_pay_it() -> None:
    found = reserved().tell(make.captured(), make.ordered())
    assert found.told == ["issue.ordered", "issue.completed", "notification.requested"]


def test_money_in_another_currency_pays_nothing() -> None:
    assert sold().tell(make.captured(currency="EUR")).status == Status.ORDERED


def test_a_refund_that_means_the_line_keeps_it_from_being_issued() -> None:
    found = sold().tell(make.captured(400_000), make.refunded(100_000, to={"2": 100_000}))
    assert found.tell(make.captured(100_000)).status == Status.ORDERED
    assert found.all(e.NotificationRequested) == []


def test_certificates_of_one_order_are_paid_each_by_its_own_allocation() -> None:
    two = (make.gift("2"), make.gift("3"))
    first = sold(*two).tell(make.captured(to={"2": 500_000}))
    second = reserved().tell(make.ordered(*two, own="3"), make.captured(to={"2": 500_000}))
    assert (first.status, second.status) == (Status.ISSUED, Status.ORDERED)
