"""Orders as they come in life: many lines, payments in parts and by several tenders, changes, weeks of delay."""

from collections import Counter

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.state import RefundState, Status
from giftcert.domain.order import messages as o
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, issued, reserved, sold, spendable
from tests.unit.domain.certificate.certificates_of_one_order import Together
from tests.unit.domain.certificate.world import World

GIFTS = tuple(make.gift(f"{nth:03}") for nth in range(60))
GOODS = tuple(make.goods(f"{nth:03}", 1_000) for nth in range(60, 100))
HUNDRED = (*GIFTS, *GOODS)
TOTAL = sum(line.amount for line in HUNDRED)
BOTH = (make.goods(), make.gift())
WEEKS = 21 * make.DAY


def statuses(order: Together) -> Counter[Status]:
    return Counter(found.status for found in order.on.values())


def test_a_hundred_lines_are_issued_as_they_are_paid() -> None:
    order = Together(*HUNDRED)
    first = {line.line_id: line.amount for line in GIFTS[:20]}
    order.tell(make.captured(sum(first.values()), "P-1", to=first))
    assert statuses(order) == {Status.ISSUED: 20, Status.ORDERED: 40}
    order.tell(make.captured(TOTAL - sum(first.values()) - 1, "P-2"))
    assert statuses(order) == {Status.ISSUED: 20, Status.ORDERED: 40}
    order.tell(make.captured(1, "P-3"))
    assert statuses(order) == {Status.ISSUED: 60}
    assert all(len(found.all(e.NotificationRequested)) == 1 for found in order.on.values())


def test_one_line_of_a_hundred_comes_back_and_the_others_work_on() -> None:
    order = Together(*HUNDRED).paid().tell(make.returned("007", at=make.NOON + make.MINUTE))
    order.tell(make.refunded(500_000, at=make.NOON + 2 * make.MINUTE))
    assert statuses(order) == {Status.ISSUED: 59, Status.REFUNDED: 1}
    assert order.on["007"].status == Status.REFUNDED
    assert all(spendable(found) for line_id, found in order.on.items() if line_id != "007")


def test_a_hundred_lines_cancelled_unpaid_are_all_free_again() -> None:
    assert statuses(Together(*HUNDRED).tell(make.cancelled())) == {Status.AVAILABLE: 60}


def test_parts_without_allocation_issue_nothing_before_the_total() -> None:
    order = Together(make.goods(), make.gift("2"), make.gift("3"))
    for nth in range(4):
        order.tell(make.captured(250_000, f"P-{nth}"))
        assert statuses(order) == {Status.ORDERED: 2}
    assert statuses(order.tell(make.captured(250_000, "P-4"))) == {Status.ISSUED: 2}


def test_parts_with_and_without_allocation_add_up() -> None:
    order = Together(make.goods(), make.gift("2"), make.gift("3"))
    order.tell(
        make.captured(300_000, "P-1", to={"2": 200_000}), make.captured(300_000, "P-2", to={"2": 300_000})
    )
    assert [order.on[line].status for line in ("2", "3")] == [Status.ISSUED, Status.ORDERED]
    assert statuses(order.tell(make.captured(650_000, "P-3"))) == {Status.ISSUED: 2}


def test_several_payments_and_tenders_pay_one_order() -> None:
    order = Together(make.goods(), make.gift("2"), make.gift("3"))
    order.tell(
        make.captured(250_000, "P-1", tender="giftCertificate"),
        make.captured(400_000, "P-2", tender="card"),
        make.captured(599_999, "P-3", tender="bonus"),
    )
    assert statuses(order) == {Status.ORDERED: 2}
    order.tell(make.captured(1, "P-4", tender="cash"))
    assert statuses(order) == {Status.ISSUED: 2}
    assert order.on["2"].all(e.Issued)[0].payment_ids == ("P-1", "P-2", "P-3", "P-4")


def test_a_payment_voided_and_tried_again_issues_once() -> None:
    found = sold().tell(make.authorized(payment_id="P-1"), make.voided("P-1"))
    assert found.status == Status.ORDERED
    found.tell(make.authorized(payment_id="P-2"), make.captured(payment_id="P-2"), make.voided("P-1"))
    assert (found.status, len(found.all(e.Issued))) == (Status.ISSUED, 1)
    assert found.all(e.Issued)[0].payment_ids == ("P-2",)


def test_a_certificate_added_after_payment_waits_for_its_own_money() -> None:
    lines = (*BOTH, make.gift("3"))
    first = issued(*BOTH).tell(make.ordered(*lines, version=2))
    added = reserved().tell(make.ordered(*BOTH, own=None), make.captured(750_000))
    added.tell(make.ordered(*lines, own="3", version=2))
    assert (first.status, added.status) == (Status.ISSUED, Status.ORDERED)
    assert (
        first.tell(make.captured(500_000, "P-2")).published,
        added.tell(make.captured(500_000, "P-2")).status,
    ) == (
        [],
        Status.ISSUED,
    )


def test_a_version_may_add_remove_replace_and_reprice_at_once() -> None:
    """Line 1 goes, 2 gets another certificate, 3 costs less, 4 is new; the money of the order stays with its lines."""
    names = ("old", "repriced", "new", "added")
    before = (make.goods("1"), gift("2", "old"), gift("3", "repriced"))
    after = (gift("2", "new"), gift("3", "repriced", 450_000), gift("4", "added"))
    world = World()
    of = {name: Certificate(world=world, name=name).tell(make.reserve(f"R-{name}")) for name in names}
    of["old"].tell(make.ordered(*before, own=None), make.captured(1_000_000))
    of["old"].tell(make.ordered(*after, own=None, version=2))
    assert (of["old"].status, of["old"].published) == (Status.AVAILABLE, ["issue.released"])
    assert [of[name].status for name in names[1:]] == [Status.ORDERED] * 3
    of["new"].tell(make.captured(450_000, "P-2"))
    assert [of[name].status for name in names[1:]] == [Status.ISSUED] * 3
    assert of["repriced"].sale.amount == 450_000


def gift(line_id: str, name: str, amount: int = make.PRICE) -> o.OrderLine:
    return make.gift(line_id, amount, name, reservation_id=f"R-{name}")


def test_a_cancellation_after_capture_waits_for_its_refund_and_ends() -> None:
    order = Together(*BOTH, make.gift("3")).paid().tell(make.cancelled())
    assert not any(spendable(found) for found in order.on.values())
    order.tell(make.refunded(1_250_000))
    assert statuses(order) == {Status.REFUNDED: 2}


# Weeks late ---------------------------------------------------------------------------------------


def test_an_order_that_comes_weeks_after_its_payment_is_issued() -> None:
    found = reserved().tell(make.captured())
    found.clock += WEEKS
    found.tell(make.lapsed(), make.ordered())
    assert (found.status, found.all(e.Ordered)[0].reclaimed) == (Status.ISSUED, True)


def test_an_order_that_comes_weeks_after_its_reservation_ran_out_reclaims_it() -> None:
    found = reserved()
    found.clock += make.HOUR
    found.tell(make.lapsed())
    found.clock += WEEKS
    found.tell(make.ordered(), make.captured())
    assert (found.status, found.all(e.Ordered)[0].reclaimed) == (Status.ISSUED, True)


def test_a_capture_that_comes_weeks_after_the_order_was_given_up_is_issued_or_told() -> None:
    free = sold().wait(3 * make.DAY)
    sold_on = sold().wait(3 * make.DAY)
    sold_on.tell(make.reserve("R-2"), make.ordered(order_id="IM-2", reservation_id="R-2"))
    for found in (free, sold_on):
        found.clock += WEEKS
        found.tell(make.captured())
    assert free.status == Status.ISSUED
    assert sold_on.published == ["alert.paymentWithoutCertificate"]


def test_a_return_and_its_refund_that_come_weeks_late_are_carried_out() -> None:
    found = issued(*BOTH)
    found.wait(WEEKS).tell(make.refunded(500_000, to={"2": 500_000}))
    assert found.status == Status.REFUNDED
    found.wait(WEEKS).tell(make.returned())
    assert (found.status, found.published, found.state.refund_state) == (
        Status.REFUNDED,
        [],
        RefundState.COMPLETED,
    )


def test_a_day_that_is_sent_again_weeks_later_changes_nothing() -> None:
    order = Together(*BOTH, make.gift("3"))
    day = (make.authorized(), make.captured(1_250_000), make.returned("3"), make.refunded(500_000))
    order.tell(*day)
    before = {line_id: (found.state, found.events) for line_id, found in order.on.items()}
    for found in order.on.values():
        found.wait(WEEKS)
    order.tell(make.ordered(*order.lines, own=None), *day)
    assert {line_id: (found.state, found.events) for line_id, found in order.on.items()} == before
