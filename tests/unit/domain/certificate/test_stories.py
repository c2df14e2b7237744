"""What users of such systems report, and must not happen here: the stories that the rules alone can answer."""

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate.decide import StatusRefusal
from giftcert.domain.certificate.state import Status
from giftcert.domain.certificate.words import RefundReason
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import issued, reserved, sold, spendable, spent

BOTH = (make.goods(), make.gift())


def test_a_paid_order_does_not_run_out() -> None:
    found = reserved().tell(make.captured())
    found.clock += make.HOUR  # the reservation is over, and its order comes only now
    found.tell(make.lapsed(), make.ordered(at=make.NOON + make.MINUTE))
    assert found.status == Status.ISSUED
    found.wait(30 * make.DAY)
    assert found.status == Status.ISSUED


def test_a_code_that_was_sent_does_not_go_back_to_the_pool() -> None:
    for message in (make.cancelled(), make.returned(), make.refunded(), make.voided(), make.given_back()):
        found = issued().tell(message).wait(400 * make.DAY)
        assert found.status not in {Status.AVAILABLE, Status.RESERVED}
        found.tell(make.reserve("R-2"))
        assert (found.last, found.decision.refusal) == ((), StatusRefusal.STATUS_DOES_NOT_ALLOW)


def test_one_is_issued_when_authorisation_and_capture_coincide() -> None:
    both = (make.authorized(), make.captured())
    for first, second in (both, both[::-1]):
        found = reserved().tell(first, second, make.ordered())
        assert len(found.all(e.Issued)) == 1
        found = sold().tell(first, second)
        assert len(found.all(e.Issued)) == 1


def test_nothing_is_issued_before_it_is_paid() -> None:
    found = sold(*BOTH).tell(make.authorized(750_000), make.captured(749_999))
    assert (found.status, found.all(e.NotificationRequested)) == (Status.ORDERED, [])


def test_a_part_of_the_order_back_does_not_remove_every_card_of_it() -> None:
    lines = (make.goods(), make.gift("2"), make.gift("3"))
    kept = issued(*lines)
    given_back = reserved().tell(make.ordered(*lines, own="3"), make.captured(1_250_000))
    for found in (kept, given_back):
        found.tell(make.returned("3"), make.refunded(500_000, at=make.NOON + make.MINUTE))
    assert (kept.status, spendable(kept)) == (Status.ISSUED, True)
    assert given_back.status == Status.REFUNDED


def test_a_till_that_sends_its_day_again_doubles_nothing() -> None:
    day = (make.ordered(*BOTH), make.captured(750_000), make.returned("1"), make.refunded(250_000, "r-1"))
    found = reserved().tell(*day)
    state, published = found.state, len(found.events)
    found.tell(*day).tell(*day)
    assert (found.state, len(found.events)) == (state, published)


def test_a_payment_that_came_before_its_order_is_not_lost() -> None:
    found = reserved().tell(make.captured(750_000), make.ordered(*BOTH))
    assert found.status == Status.ISSUED


def test_a_stale_save_does_not_overwrite_paid() -> None:
    found = issued(*BOTH).tell(make.ordered(*BOTH, version=3))
    for stale in (make.ordered(make.goods(), own=None, version=2), make.cancelled(version=2)):
        found.tell(stale)
        assert (found.status, found.last) == (Status.ISSUED, ())


def test_a_wrong_currency_is_not_accepted() -> None:
    found = sold().tell(make.captured(currency="KZT"))
    assert found.status == Status.ORDERED
    assert reserved().tell(make.ordered(currency="KZT")).published == ["error.orderConflict"]


def test_a_purchased_card_already_spent_is_not_refunded_by_itself() -> None:
    found = spent(100_000).tell(make.returned(), make.refunded())
    assert found.status == Status.PARTIALLY_REDEEMED
    assert found.only(e.RefundPendingDetails).reason == RefundReason.CERTIFICATE_REDEEMED


def test_an_expired_card_is_not_announced_or_refunded_by_itself() -> None:
    found = issued().wait(366 * make.DAY)
    found.tell(make.refunded())
    assert (found.status, found.state.balance) == (Status.EXPIRED, 0)
    assert found.only(e.RefundPendingDetails).reason == RefundReason.CERTIFICATE_EXPIRED


def test_two_checkouts_do_not_spend_one_balance() -> None:
    found = issued().tell(make.hold(300_000, "D-1"), make.hold(300_000, "D-2", order_id="POS-6"))
    assert found.published == ["redemption.rejected"]
    found.tell(make.spending(amount=300_000, redemption_id="D-1"))
    found.tell(make.spending(amount=300_000, redemption_id="D-2", payment_id="P-6", order_id="POS-6"))
    assert found.published == ["redemption.rejected", "alert.redemptionUncovered"]
    assert (found.state.balance, len(found.all(e.RedemptionCaptured))) == (200_000, 1)


def test_a_refund_racing_a_redemption_has_one_outcome() -> None:
    refund_first = issued().tell(make.refunded(), make.hold())
    assert refund_first.status == Status.REFUNDED
    assert refund_first.published == ["redemption.rejected"]
    hold_first = issued().tell(make.hold(), make.refunded())
    assert hold_first.only(e.RefundPendingDetails).reason == RefundReason.REDEMPTION_IN_PROGRESS
    spent_first = issued().tell(make.hold(), make.refunded(), make.spending())
    assert spent_first.published == ["redemption.captured", "refund.pendingDetails"]
    assert spent_first.only(e.RefundPendingDetails).reason == RefundReason.CERTIFICATE_REDEEMED


def test_the_balance_is_restored_on_a_cancelled_spend() -> None:
    for cancelled in (
        issued().tell(make.hold(), make.unhold()),
        issued().tell(make.hold(), make.spending("voided")),
        issued().tell(make.hold()).wait(make.HOUR),
        spent(100_000).tell(make.spending("refunded")),
    ):
        assert (cancelled.status, cancelled.state.balance, cancelled.state.held) == (
            Status.ISSUED,
            500_000,
            0,
        )


def test_an_expired_card_does_not_pay() -> None:
    found = issued()
    found.clock += 365 * make.DAY  # its deadline is not told yet
    assert found.tell(make.hold()).published == ["redemption.rejected"]
    found.wait(make.HOUR).tell(make.spending())
    assert found.published == ["redemption.rejected", "alert.redemptionUncovered"]
    assert found.all(e.RedemptionCaptured) == []


def test_a_card_does_not_pay_in_a_wrong_currency() -> None:
    found = issued().tell(make.hold(currency="KZT"), make.hold(), make.spending(currency="KZT"))
    assert found.all(e.RedemptionCaptured) == []
    assert (found.state.balance, found.state.held) == (400_000, 100_000)
