"""Every scenario of the demo has a stored history of the certificate it is about, so that none is left unreplayed."""

import pytest
from workflow_support import HISTORIES

from simulators.demo.scenarios import SCENARIOS

ORDINARY = "an_order_and_its_payment_issue_the_certificate"
HISTORIES_OF = {
    "Sold online": (ORDINARY, "an_ordinary_sale_takes_12_events_6_actions_and_one_timer"),
    "Sold at a till": (ORDINARY,),
    "Sold at a discount among goods": ("a_price_changed_before_payment_is_what_has_to_be_paid",),
    "Three in one order": ("a_refund_without_a_line_is_given_to_one_of_two_certificates_once",),
    "Given away": ("a_line_that_costs_nothing_is_issued_when_it_is_ordered",),
    "Reservation asked for again": (ORDINARY,),
    "An order of 100 lines": (ORDINARY,),
    "Line replaced when partly paid": (
        "a_certificate_waits_until_another_leaves_the_order_line",
        "a_line_whose_certificate_is_issued_takes_no_other",
    ),
    "Added to a paid order": ("a_payment_before_its_order_issues_when_the_order_comes",),
    "Added to paid goods": ("a_payment_before_its_order_issues_when_the_order_comes",),
    "One of two returned": ("a_returned_certificate_ends_with_its_money",),
    "Paid before ordered": ("a_payment_before_its_order_issues_when_the_order_comes",),
    "Delivered twice": ("a_message_told_twice_is_applied_once",),
    "Sent again under new ids": ("a_message_told_twice_is_applied_once",),
    "Cancelled before payment": ("a_cancelled_unpaid_order_lets_the_certificate_go",),
    "Paid after cancellation": (
        "money_that_comes_after_the_cancellation_never_issues_and_is_missed_until_it_is_back",
    ),
    "Cancelled when partly paid": ("a_line_paid_in_part_and_cancelled_is_free_once_its_money_is_back",),
    "Cancelled after payment": ("a_return_without_its_money_asks_a_person_after_seven_days",),
    "Returned and refunded": ("a_returned_certificate_ends_with_its_money",),
    "Refunded without a word": ("a_full_refund_ends_the_certificate_and_its_run",),
    "Refund over what was captured": ("a_refund_that_is_not_as_captured_waits_for_a_person",),
    "Refund in another currency": ("a_refund_in_another_currency_waits_for_a_person",),
    "Returned, money never back": ("a_return_without_its_money_asks_a_person_after_seven_days",),
    "Refunded in part": (
        "a_refund_in_part_asks_a_person_after_a_week_who_leaves_the_certificate_to_its_holder",
    ),
    "Spent in part": ("a_hold_lowers_the_balance_and_its_capture_spends_it",),
    "Spent in both channels": ("a_redeemed_certificate_ends_its_run_and_says_why_it_pays_no_more",),
    "Less captured than held": ("less_captured_than_held_frees_the_rest",),
    "Redemption asked for again": ("a_refused_hold_may_be_asked_for_again",),
    "Purchases given up": ("a_purchase_given_up_or_taken_back_restores_the_balance",),
    "Hold lapses": ("a_hold_lapses_at_its_time_once_the_run_was_woken",),
    "Captured after the hold": ("a_capture_after_the_hold_lapsed_spends_what_is_there",),
    "Captured when all is spent": ("a_capture_after_the_hold_lapsed_is_uncovered_when_all_is_spent",),
    "More captured than held": ("more_captured_than_held_leaves_the_hold_until_it_is_given_back",),
    "Spent and taken back": ("a_purchase_given_up_or_taken_back_restores_the_balance",),
    "Two tills at once": ("two_tills_that_spend_one_balance_at_the_same_moment_get_one_yes",),
    "More than is left": ("a_refused_hold_may_be_asked_for_again",),
    "Wrong CVC": ("a_hold_lowers_the_balance_and_its_capture_spends_it",),
    "Spent without a hold": ("a_channel_that_has_to_hold_first_and_did_not_gets_nothing",),
    "Spent, refund approved": ("support_resolves_the_refund_of_a_spent_certificate",),
    "Spent, refund rejected": (
        "a_refund_in_part_asks_a_person_after_a_week_who_leaves_the_certificate_to_its_holder",
    ),
    "Blocked for a while": ("a_block_stops_spending_until_it_is_lifted", "the_client_is_written_to_again"),
    "Ordered after that": ("an_order_that_comes_after_its_reservation_ran_out_takes_the_certificate_back",),
    "Never paid": ("an_order_unpaid_for_72_hours_goes_back_to_the_pool",),
    "Paid late": ("a_capture_after_the_unpaid_deadline_takes_the_certificate_back",),
    "Validity ends": ("what_is_left_when_validity_ends_is_breakage",),
    "Somebody else's certificate": ("somebody_elses_order_gets_no_reserved_certificate",),
    "The day sent again by POS": ("a_message_told_twice_is_applied_once",),
}
WITHOUT_WORKFLOW = {
    "Reservation expires",
    "Given back by the channel",
    "Unknown certificate",
    "Malformed bytes",
    "Emptied pool",
}
"""Nothing is ordered that is ours, so nothing is told to any workflow."""


@pytest.mark.parametrize("scenario", [one.name for one in SCENARIOS if one.name not in WITHOUT_WORKFLOW])
def test_a_scenario_of_the_demo_has_a_stored_history(scenario: str) -> None:
    for name in HISTORIES_OF[scenario]:
        assert HISTORIES.joinpath(f"{name}.json").is_file(), name


def test_no_scenario_is_named_that_the_demo_does_not_play() -> None:
    assert HISTORIES_OF.keys() | WITHOUT_WORKFLOW == {one.name for one in SCENARIOS}
