"""Spending: payments with the certificate as their tender hold nothing; they spend, give back and restore."""

import pytest

from giftcert.domain.certificate import events as e
from giftcert.domain.certificate import messages as m
from giftcert.domain.certificate.state import RedemptionState, Status
from giftcert.domain.certificate.words import RefundReason, RejectionReason
from tests.unit.domain.certificate import factories as make
from tests.unit.domain.certificate.certificates import Certificate, issued, reserved, sold, spent

DIRECT = make.terms(direct_spend_channels=("pos",), direct_spend_cap=200_000)
UNCOVERED = ["redemption.rejected", "alert.redemptionUncovered"]


def money(found: Certificate) -> tuple[int, int]:
    return found.state.balance, found.state.held


def uncovered(found: Certificate) -> RejectionReason:
    """The goods have left and the certificate does not pay: why."""
    assert found.published == UNCOVERED
    rejected, alert = found.only(e.RedemptionRejected), found.only(e.RedemptionUncoveredAlerted)
    assert alert.reason == rejected.reason.value
    same = ("redemption_id", "amount", "order_id", "payment_id", "foreign_currency")
    assert [getattr(alert, name) for name in same] == [getattr(rejected, name) for name in same]
    assert rejected.payment_id == "P-5"
    assert alert.web_url == "http://web/certificate"
    return rejected.reason


# Captured -----------------------------------------------------------------------------------------


def test_a_capture_spends_the_hold() -> None:
    found = issued().tell(make.hold(), make.spending())
    event = found.only(e.RedemptionCaptured)
    assert (event.redemption_id, event.amount) == ("D-1", 100_000)
    assert (event.order_id, event.payment_id) == ("POS-5", "P-5")
    assert found.published == ["redemption.captured"]
    assert (found.status, money(found)) == (Status.PARTIALLY_REDEEMED, (400_000, 0))


def test_a_capture_below_the_hold_frees_the_rest() -> None:
    found = issued().tell(make.hold(), make.spending(amount=60_000))
    assert (found.published, money(found)) == (["redemption.captured"], (440_000, 0))


def test_a_capture_above_the_hold_is_rejected_and_the_hold_stays_until_it_lapses() -> None:
    found = issued().tell(make.hold(), make.spending(amount=100_001))
    assert (uncovered(found), money(found)) == (RejectionReason.EXCEEDS_HOLD, (400_000, 100_000))
    assert found.wait(make.HOUR).published == ["redemption.voided"]
    assert money(found) == (500_000, 0)


def test_a_capture_is_a_fact_even_when_blocked_or_a_refund_is_open() -> None:
    for message in (make.block(), make.refunded(currency="EUR"), make.returned()):
        found = issued().tell(make.hold(), message, make.spending())
        assert "redemption.captured" in found.published
        assert money(found) == (400_000, 0)


def test_a_capture_after_the_hold_lapsed_spends_what_the_balance_allows() -> None:
    found = issued().tell(make.hold()).wait(make.HOUR)
    found.tell(make.spending(redemption_id="D-1"))
    assert (found.published, money(found)) == (["redemption.captured"], (400_000, 0))
    assert found.only(e.RedemptionCaptured).redemption_id == "D-1"


def test_a_capture_after_the_hold_lapsed_that_the_balance_does_not_allow_is_told_to_a_person() -> None:
    found = issued().tell(make.hold()).wait(make.HOUR)
    found.tell(make.hold(450_000, "D-2"), make.spending(redemption_id="D-1"))
    assert uncovered(found) == RejectionReason.INSUFFICIENT_BALANCE
    assert found.only(e.RedemptionRejected).redemption_id == "D-1"


def test_a_capture_after_the_hold_lapsed_is_refused_as_a_hold_would_be() -> None:
    lapsed = issued().tell(make.hold()).wait(make.HOUR)
    assert uncovered(lapsed.tell(make.block(), make.spending(redemption_id="D-1"))) == RejectionReason.BLOCKED


def test_a_capture_in_another_currency_is_rejected() -> None:
    found = issued().tell(make.hold(), make.spending(currency="EUR"))
    assert (uncovered(found), money(found)) == (RejectionReason.CURRENCY_MISMATCH, (400_000, 100_000))
    assert found.only(e.RedemptionRejected).foreign_currency == "EUR"


# A hold is used up --------------------------------------------------------------------------------


def test_a_hold_is_spent_once_and_a_further_capture_has_none() -> None:
    found = issued().tell(make.hold(), make.spending(amount=40_000, redemption_id="D-1"))
    assert uncovered(found.tell(make.spending(amount=60_000, redemption_id="D-1"))) == (
        RejectionReason.HOLD_REQUIRED
    )
    assert money(found) == (460_000, 0)


@pytest.mark.parametrize(
    "void", [make.unhold(), make.spending("voided"), make.spending("voided", redemption_id="D-1")]
)
def test_a_hold_that_was_given_back_is_used_up(void: m.Message) -> None:
    found = issued().tell(make.hold(), void, make.spending(redemption_id="D-1"))
    assert (uncovered(found), money(found)) == (RejectionReason.HOLD_REQUIRED, (500_000, 0))


def test_a_used_hold_is_for_a_channel_that_needs_none_like_a_purchase_without_one() -> None:
    found = issued(terms=DIRECT).tell(make.hold(150_000), make.spending(amount=150_000, redemption_id="D-1"))
    found.tell(make.spending(amount=200_000, redemption_id="D-1"))
    assert (found.published, money(found)) == (["redemption.captured"], (150_000, 0))
    assert (
        uncovered(found.tell(make.spending(amount=1, redemption_id="D-1"))) == RejectionReason.HOLD_REQUIRED
    )
    assert found.tell(make.spending("refunded", 350_000, "D-1")).published == ["redemption.restored"]
    assert money(found) == (500_000, 0)


def test_a_lapsed_hold_is_spent_once_and_up_to_what_was_held() -> None:
    found = issued().tell(make.hold()).wait(make.HOUR)
    assert uncovered(found.tell(make.spending(amount=100_001, redemption_id="D-1"))) == (
        RejectionReason.EXCEEDS_HOLD
    )
    assert found.tell(make.spending(amount=60_000, redemption_id="D-1")).published == ["redemption.captured"]
    assert uncovered(found.tell(make.spending(amount=40_000, redemption_id="D-1"))) == (
        RejectionReason.HOLD_REQUIRED
    )
    assert money(found) == (440_000, 0)


def test_a_channel_that_needs_no_hold_may_not_spend_more_than_was_held_either() -> None:
    found = issued(terms=DIRECT).tell(make.hold()).wait(make.HOUR)
    assert uncovered(found.tell(make.spending(amount=150_000, redemption_id="D-1"))) == (
        RejectionReason.EXCEEDS_HOLD
    )


# Whose a hold is ----------------------------------------------------------------------------------

OF_ANOTHER = [
    {"channel": "im"},
    {"order_id": "POS-6"},
    {"channel": "im", "order_id": "IM-6"},
]


@pytest.mark.parametrize("other", OF_ANOTHER)
def test_another_channel_or_order_cannot_spend_a_hold(other: dict[str, str]) -> None:
    found = issued(terms=DIRECT).tell(make.hold(), make.spending(redemption_id="D-1", **other))
    assert (uncovered(found), money(found)) == (RejectionReason.NOT_THE_HOLDER, (400_000, 100_000))
    assert found.tell(make.spending(redemption_id="D-1")).published == ["redemption.captured"]


@pytest.mark.parametrize("other", OF_ANOTHER)
@pytest.mark.parametrize("begin", ["held", "lapsed", "captured", "voided"])
def test_what_became_of_a_hold_stays_its_holder_s(begin: str, other: dict[str, str]) -> None:
    found = issued(terms=DIRECT).tell(make.hold())
    if begin == "lapsed":
        found.wait(make.HOUR)
    elif begin != "held":
        found.tell(make.spending(begin))
    before = money(found)
    assert (
        uncovered(found.tell(make.spending(redemption_id="D-1", **other))) == RejectionReason.NOT_THE_HOLDER
    )
    assert money(found) == before


def test_another_channel_with_the_order_s_number_cannot_spend_its_hold_unnamed_either() -> None:
    found = issued().tell(make.hold(), make.spending(channel="im"))
    assert uncovered(found) == RejectionReason.NOT_THE_HOLDER


@pytest.mark.parametrize("other", OF_ANOTHER)
@pytest.mark.parametrize("kind", ["voided", "refunded"])
def test_another_channel_or_order_gives_nothing_back(kind: str, other: dict[str, str]) -> None:
    held = issued().tell(make.hold())
    for found in (held, spent(100_000)):
        before = found.state
        found.tell(make.spending(kind, redemption_id="D-1", **other))
        assert found.published == ["error.unexpectedEvent"]
        assert found.only(e.UnexpectedMessage).reason == "notTheHolder"
        assert found.state == before


@pytest.mark.parametrize("other", OF_ANOTHER)
def test_an_authorisation_of_another_is_refused_and_nobody_is_woken(other: dict[str, str]) -> None:
    found = issued().tell(make.hold(), make.spending("authorized", redemption_id="D-1", **other))
    assert found.published == ["redemption.rejected"]
    assert found.only(e.RedemptionRejected).reason == RejectionReason.NOT_THE_HOLDER
    assert found.state.redemptions[0].payment_id is None


def test_of_two_channels_that_use_one_order_number_each_spends_its_own() -> None:
    found = issued().tell(make.hold(), make.hold(50_000, "D-2", channel="im"))
    found.tell(make.spending(amount=50_000, channel="im", payment_id="P-6"))
    assert found.only(e.RedemptionCaptured).redemption_id == "D-2"


# Without a hold -----------------------------------------------------------------------------------


@pytest.mark.parametrize("begin", [Certificate, reserved, sold, issued])
def test_a_capture_without_a_hold_is_rejected(begin: type[Certificate]) -> None:
    assert uncovered(begin().tell(make.spending())) == RejectionReason.HOLD_REQUIRED


def test_a_capture_under_an_unknown_redemption_is_one_without_a_hold() -> None:
    found = issued().tell(make.hold(), make.spending(redemption_id="D-9"))
    assert (uncovered(found), money(found)) == (RejectionReason.HOLD_REQUIRED, (400_000, 100_000))


def test_a_configured_channel_spends_without_a_hold_up_to_its_cap() -> None:
    found = issued(terms=DIRECT).tell(make.spending(amount=200_000))
    assert (found.published, money(found)) == (["redemption.captured"], (300_000, 0))
    assert found.state.redemptions[0].redemption_id == found.only(e.RedemptionCaptured).redemption_id
    assert uncovered(found.tell(make.spending(amount=200_001))) == RejectionReason.HOLD_REQUIRED


def test_a_purchase_without_a_hold_that_is_captured_in_parts_is_capped_as_a_whole() -> None:
    found = issued(terms=DIRECT).tell(make.spending(amount=150_000))
    assert uncovered(found.tell(make.spending(amount=50_001))) == RejectionReason.HOLD_REQUIRED
    assert found.tell(make.spending(amount=50_000)).published == ["redemption.captured"]
    assert uncovered(found.tell(make.spending(amount=1))) == RejectionReason.HOLD_REQUIRED
    found.tell(make.spending("refunded", 60_000))
    assert found.tell(make.spending(amount=60_000)).published == ["redemption.captured"]
    assert money(found) == (300_000, 0)


def test_a_purchase_without_a_hold_is_its_channels_own() -> None:
    found = issued(terms=DIRECT).tell(make.spending(redemption_id="D-7"))
    assert found.state.redemptions[0].channel == "pos"
    found.tell(make.spending("refunded", redemption_id="D-7", channel="im"))
    assert found.only(e.UnexpectedMessage).reason == "notTheHolder"


def test_another_channel_does_not_spend_without_a_hold() -> None:
    found = issued(terms=DIRECT).tell(make.spending(channel="im"))
    assert uncovered(found) == RejectionReason.HOLD_REQUIRED


def test_direct_spending_keeps_the_redemption_that_the_channel_names() -> None:
    found = issued(terms=DIRECT).tell(make.spending(redemption_id="D-7"))
    assert found.only(e.RedemptionCaptured).redemption_id == "D-7"
    assert found.tell(make.spending("refunded", redemption_id="D-7")).published == ["redemption.restored"]


def test_direct_spending_is_refused_as_a_hold_would_be() -> None:
    found = issued(terms=DIRECT).tell(make.hold(450_000))
    assert uncovered(found.tell(make.spending(payment_id="P-5", order_id="POS-5", redemption_id="D-7"))) == (
        RejectionReason.INSUFFICIENT_BALANCE
    )
    assert uncovered(sold(terms=DIRECT).tell(make.spending())) == RejectionReason.NOT_ACTIVE


# Which purchase -----------------------------------------------------------------------------------


def test_the_only_hold_of_an_order_is_meant_by_a_payment_of_the_order() -> None:
    found = issued().tell(make.hold(order_id="POS-6"), make.hold(50_000, "D-2"), make.spending(amount=50_000))
    assert found.only(e.RedemptionCaptured).redemption_id == "D-2"


def test_the_only_hold_of_an_order_is_meant_also_after_it_lapsed() -> None:
    found = issued().tell(make.hold()).wait(make.HOUR).tell(make.spending())
    assert found.only(e.RedemptionCaptured).redemption_id == "D-1"
    assert money(found) == (400_000, 0)
    other = issued().tell(make.hold(order_id="POS-6")).wait(make.HOUR).tell(make.spending())
    assert uncovered(other) == RejectionReason.HOLD_REQUIRED
    newer = issued().tell(make.hold()).wait(make.HOUR)
    newer.tell(make.hold(100_000, "D-2"), make.spending())
    assert newer.only(e.RedemptionCaptured).redemption_id == "D-2"


def test_a_hold_that_was_given_back_is_not_meant_by_a_payment_of_the_order() -> None:
    found = issued().tell(make.hold(), make.unhold(), make.spending())
    assert uncovered(found) == RejectionReason.HOLD_REQUIRED


def test_of_two_holds_of_an_order_a_payment_has_to_name_one() -> None:
    found = issued().tell(make.hold(), make.hold(100_000, "D-2"))
    assert uncovered(found.tell(make.spending())) == RejectionReason.HOLD_REQUIRED
    assert found.tell(make.spending(redemption_id="D-2")).published == ["redemption.captured"]


def test_a_payment_is_known_again_by_its_id() -> None:
    found = issued().tell(make.hold(), make.hold(100_000, "D-2"))
    found.tell(make.spending("authorized", redemption_id="D-2"))
    found.tell(make.spending())
    assert found.only(e.RedemptionCaptured).redemption_id == "D-2"
    found.tell(make.spending("refunded"))
    assert found.only(e.RedemptionRestored).redemption_id == "D-2"


def test_a_payment_that_gave_a_hold_back_is_known_again_by_its_id() -> None:
    found = issued().tell(make.hold(), make.spending("voided"), make.hold(100_000, "D-2"), make.spending())
    assert (uncovered(found), money(found)) == (RejectionReason.HOLD_REQUIRED, (400_000, 100_000))


def test_a_payment_under_which_it_was_spent_again_gives_the_latest_back() -> None:
    found = issued(terms=DIRECT).tell(make.spending(redemption_id="D-1"), make.spending(redemption_id="D-2"))
    assert found.tell(make.spending("refunded")).only(e.RedemptionRestored).redemption_id == "D-2"


# Authorised and voided ----------------------------------------------------------------------------


def test_an_authorisation_refers_to_a_hold_and_changes_nothing() -> None:
    found = issued().tell(make.hold(), make.spending("authorized"))
    assert (found.published, money(found)) == ([], (400_000, 100_000))
    assert found.state.redemptions[0].payment_id == "P-5"


def test_an_authorisation_never_makes_a_hold() -> None:
    found = issued().tell(make.spending("authorized"))
    assert (found.published, money(found)) == (["redemption.rejected"], (500_000, 0))
    assert found.only(e.RedemptionRejected).reason == RejectionReason.HOLD_REQUIRED
    assert issued(terms=DIRECT).tell(make.spending("authorized")).published == []


def test_a_void_gives_the_hold_back() -> None:
    found = issued().tell(make.hold(), make.spending("voided"))
    event = found.only(e.RedemptionVoided)
    assert (event.reason, event.amount, event.payment_id) == ("paymentVoided", 100_000, "P-5")
    assert (found.published, money(found)) == (["redemption.voided"], (500_000, 0))


def test_a_void_of_what_has_ended_or_never_was_changes_nothing() -> None:
    for found in (
        issued(),
        issued().tell(make.hold(), make.unhold()),
        issued().tell(make.hold()).wait(make.HOUR),
    ):
        found.tell(make.spending("voided", redemption_id="D-1"))
        assert (found.published, money(found)) == ([], (500_000, 0))


def test_support_reads_in_words_why_a_payment_was_unexpected() -> None:
    held, bought = issued().tell(make.hold()), spent(100_000)
    for found, message, detail in (
        (
            held,
            make.spending("voided", redemption_id="D-1", channel="im"),
            "the redemption belongs to another channel or another order",
        ),
        (bought, make.spending("voided"), "a captured redemption is refunded, not voided"),
        (bought, make.spending("refunded", currency="EUR"), "the certificate is in another currency"),
        (
            bought,
            make.spending("refunded", 100_001),
            "more would be restored than the redemption spent",
        ),
    ):
        assert found.tell(message).only(e.UnexpectedMessage).detail == detail


def test_what_was_captured_is_refunded_and_not_voided() -> None:
    found = spent(100_000).tell(make.spending("voided"))
    assert found.published == ["error.unexpectedEvent"]
    assert found.only(e.UnexpectedMessage).reason == "redemptionCaptured"
    assert money(found) == (400_000, 0)


# Restored -----------------------------------------------------------------------------------------


def test_a_refund_of_the_purchase_restores_the_balance() -> None:
    found = spent(100_000).tell(make.spending("refunded", 40_000))
    event = found.only(e.RedemptionRestored)
    assert (event.redemption_id, event.amount, event.payment_id) == ("D-1", 40_000, "P-5")
    assert (found.published, money(found)) == (["redemption.restored"], (440_000, 0))


def test_never_more_is_restored_than_the_redemption_spent() -> None:
    found = issued().tell(make.hold(), make.spending())
    found.tell(make.hold(100_000, "D-2", order_id="POS-6"))
    found.tell(make.spending(redemption_id="D-2", payment_id="P-6", order_id="POS-6"))
    found.tell(make.spending("refunded", 60_000, "D-1"))
    for amount, redemption, order_id in (
        (40_001, "D-1", "POS-5"),
        (100_001, "D-2", "POS-6"),
        (1, "D-9", "POS-5"),
    ):
        found.tell(make.spending("refunded", amount, redemption, order_id=order_id))
        assert found.published == ["error.unexpectedEvent"]
        assert found.only(e.UnexpectedMessage).reason == "restoreExceedsSpent"
    assert money(found) == (360_000, 0)
    assert found.tell(make.spending("refunded", 40_000, "D-1")).published == ["redemption.restored"]


def test_a_hold_that_was_not_spent_is_not_restored() -> None:
    found = issued().tell(make.hold(), make.spending("refunded"))
    assert found.published == ["error.unexpectedEvent"]


def test_a_restore_in_another_currency_is_unexpected() -> None:
    found = spent(100_000).tell(make.spending("refunded", currency="EUR"))
    assert found.only(e.UnexpectedMessage).reason == "currencyMismatch"


def test_a_restore_onto_a_blocked_certificate_is_a_fact() -> None:
    found = spent(100_000).tell(make.block(), make.spending("refunded"))
    assert (found.published, money(found)) == (["redemption.restored"], (500_000, 0))


def refunded_by_a_person() -> Certificate:
    found = spent(100_000).tell(make.refunded())
    return found.tell(make.resolve(found.case.refund_case_id))


def spent_whole_and_past_validity() -> Certificate:
    return spent(500_000).wait(365 * make.DAY)


@pytest.mark.parametrize(
    ("begin", "reason"),
    [
        (refunded_by_a_person, "certificateRefunded"),
        (lambda: spent(100_000).wait(365 * make.DAY), "certificateExpired"),
        (spent_whole_and_past_validity, "certificateExpired"),
    ],
)
def test_a_restore_onto_a_refunded_or_expired_certificate_is_a_case_for_support(
    begin: type[Certificate], reason: str
) -> None:
    found = begin()
    before = found.status, money(found)
    found.tell(make.spending("refunded"))
    assert found.published == ["alert.redemptionUncovered"]
    alert = found.only(e.RedemptionUncoveredAlerted)
    assert (alert.reason, alert.redemption_id, alert.amount) == (reason, "D-1", 100_000)
    assert (found.status, money(found)) == before


# Status follows the money -------------------------------------------------------------------------


def test_status_follows_the_money() -> None:
    found = issued().tell(make.hold(200_000), make.spending(amount=200_000))
    assert found.status == Status.PARTIALLY_REDEEMED
    found.tell(make.hold(300_000, "D-2", order_id="POS-6"))
    assert (found.status, money(found)) == (Status.PARTIALLY_REDEEMED, (0, 300_000))
    found.tell(make.spending(amount=300_000, redemption_id="D-2", payment_id="P-6", order_id="POS-6"))
    assert (found.status, money(found)) == (Status.REDEEMED, (0, 0))
    found.tell(make.spending("refunded", 300_000, "D-2", order_id="POS-6"))
    assert found.status == Status.PARTIALLY_REDEEMED
    found.tell(make.spending("refunded", 200_000, "D-1"))
    assert (found.status, money(found)) == (Status.ISSUED, (500_000, 0))
    assert [one.state for one in found.state.redemptions] == [RedemptionState.CAPTURED] * 2


@pytest.mark.parametrize("end", [make.unhold(), make.spending("voided"), make.hold_lapsed()])
def test_a_refund_that_waited_for_a_hold_is_carried_out_when_that_ends(end: m.Message) -> None:
    found = issued().tell(make.hold(), make.refunded())
    assert found.only(e.RefundPendingDetails).reason == RefundReason.REDEMPTION_IN_PROGRESS
    found.clock += make.HOUR
    found.tell(end)
    assert found.published == ["redemption.voided", "refund.completed"]
    assert (found.status, money(found)) == (Status.REFUNDED, (0, 0))


def test_a_refund_that_waited_for_a_hold_asks_a_person_once_that_is_spent() -> None:
    found = issued().tell(make.hold(), make.refunded(), make.spending())
    assert found.published == ["redemption.captured", "refund.pendingDetails"]
    assert found.only(e.RefundPendingDetails).reason == RefundReason.CERTIFICATE_REDEEMED


def test_a_refund_of_what_was_spent_is_carried_out_once_all_of_it_is_restored() -> None:
    found = spent(100_000).tell(make.refunded())
    assert found.tell(make.spending("refunded", 40_000)).published == ["redemption.restored"]
    assert found.tell(make.spending("refunded", 60_000)).published == [
        "redemption.restored",
        "refund.completed",
    ]
    assert found.status == Status.REFUNDED
