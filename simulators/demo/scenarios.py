"""Which stories are played, in which channels, and how often."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice

from simulators.demo.play import Story
from simulators.demo.stories import (
    arrival,
    cancellations,
    changes,
    closing,
    deadlines,
    not_paid,
    people,
    refunds,
    refusals,
    sales,
    spending,
)

FULL_SALES = 300
"""The number of sales for which the counts below are given."""
BOTH = ("im", "pos")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story, how often it is played among 300 sales, and how many certificates one playing sells.

    ``fills`` marks those that share what the others leave; ``waits`` those that mostly wait for a deadline, which
    are begun first and hold nobody up; ``ends_the_day`` those that begin when all others have ended.
    """

    name: str
    story: Story
    times: int = 0
    channels: tuple[str, ...] = BOTH
    sales: int = 1
    fills: bool = False
    waits: bool = False
    ends_the_day: bool = False

    def times_among(self, sales: int) -> int:
        """Return how often it is played among so many sales, at least once."""
        return max(1, round(self.times * sales / FULL_SALES))


SCENARIOS = (
    Scenario("Sold online", sales.sold_online, channels=("im",), fills=True),
    Scenario("Sold at a till", sales.sold_at_a_till, channels=("pos",), fills=True),
    Scenario("Sold at a discount among goods", sales.sold_among_goods, fills=True),
    Scenario("Three in one order", sales.sold_three_at_once, times=10, sales=3),
    Scenario("Given away", sales.given_away, times=4),
    Scenario("Reservation asked for again", sales.reserved_again_under_its_key, times=4),
    Scenario("An order of 100 lines", changes.hundred_lines, times=1, channels=("im",), sales=30),
    Scenario("Line replaced when partly paid", changes.line_replaced, times=4),
    Scenario("Added to a paid order", changes.added_to_what_is_paid, times=4, sales=2),
    Scenario("Added to paid goods", changes.added_to_goods, times=4),
    Scenario("One of two returned", changes.one_of_two_returned, times=4, sales=2),
    Scenario("Paid before ordered", arrival.paid_before_ordered, times=30),
    Scenario("Delivered twice", arrival.delivered_twice, times=15),
    Scenario("Sent again under new ids", arrival.day_sent_again, times=15, channels=("pos",)),
    Scenario("Cancelled before payment", cancellations.cancelled_before_payment, times=12, sales=0),
    Scenario("Paid after cancellation", cancellations.paid_after_cancellation, times=4, sales=0),
    Scenario(
        "Cancelled when partly paid",
        cancellations.cancelled_when_partly_paid,
        times=4,
        channels=("im",),
        sales=0,
    ),
    Scenario("Cancelled after payment", cancellations.cancelled_after_payment, times=6),
    Scenario("Returned and refunded", refunds.returned_and_refunded, times=6),
    Scenario("Refunded without a word", refunds.refunded_alone, times=4),
    Scenario("Refund over what was captured", refunds.refunded_more_than_captured, times=2),
    Scenario("Refund in another currency", refunds.refunded_in_another_currency, times=2),
    Scenario("Returned, money never back", refunds.returned_and_never_refunded, times=2, waits=True),
    Scenario("Refunded in part", refunds.refunded_in_part, times=2, waits=True),
    Scenario("Spent in part", spending.spent_in_part, times=4),
    Scenario("Spent in both channels", spending.spent_in_both_channels, times=4),
    Scenario("Less captured than held", spending.less_captured_than_held, times=2),
    Scenario("Redemption asked for again", spending.answer_lost, times=2),
    Scenario("Purchases given up", spending.given_up, times=2),
    Scenario("Hold lapses", spending.hold_lapses, times=2, waits=True),
    Scenario("Captured after the hold", spending.captured_after_the_hold, times=2, waits=True),
    Scenario("Captured when all is spent", not_paid.captured_when_all_is_spent, times=2, waits=True),
    Scenario("More captured than held", not_paid.more_captured_than_held, times=2),
    Scenario("Spent and taken back", spending.taken_back, times=2),
    Scenario("Two tills at once", not_paid.two_tills_at_once, times=4),
    Scenario("More than is left", not_paid.more_than_is_left, times=2),
    Scenario("Wrong CVC", not_paid.wrong_cvc, times=2),
    Scenario("Spent without a hold", not_paid.spent_without_a_hold, times=2),
    Scenario("Spent, refund approved", people.spent_and_refunded_approved, times=2),
    Scenario("Spent, refund rejected", people.spent_and_refunded_rejected, times=2),
    Scenario("Blocked for a while", people.blocked_for_a_while, times=2),
    Scenario("Reservation expires", deadlines.reservation_runs_out, times=10, sales=0, waits=True),
    Scenario("Ordered after that", deadlines.ordered_after_reservation_ran_out, times=4, waits=True),
    Scenario("Given back by the channel", deadlines.given_back_by_the_channel, times=4, sales=0),
    Scenario("Never paid", deadlines.never_paid, times=4, sales=0, waits=True),
    Scenario("Paid late", deadlines.paid_late, times=4, channels=("im",), waits=True),
    Scenario("Validity ends", deadlines.validity_ends, times=2, waits=True),
    Scenario("Somebody else's certificate", refusals.somebody_elses_certificate, times=4),
    Scenario("Unknown certificate", refusals.unknown_certificate, times=4, sales=0),
    Scenario("Malformed bytes", refusals.malformed_bytes, times=2, sales=0),
    Scenario("Emptied pool", refusals.emptied_pool, channels=("im",), sales=0),
    Scenario(
        "The day sent again by POS",
        closing.whole_day_sent_again,
        channels=("pos",),
        sales=0,
        ends_the_day=True,
    ),
)


def programme(sales: int, scenarios: tuple[Scenario, ...] = SCENARIOS) -> dict[Scenario, int]:
    """Return how often each scenario is played so that there are at least so many sales."""
    fixed = {one: one.times_among(sales) for one in scenarios if not one.fills}
    filling = [one for one in scenarios if one.fills]
    left = max(len(filling), sales - sum(one.sales * times for one, times in fixed.items()))
    shares = {one: left // len(filling) + (at < left % len(filling)) for at, one in enumerate(filling)}
    return {one: shares[one] if one.fills else fixed[one] for one in scenarios}


def channels_of(scenario: Scenario, times: int) -> Iterator[str]:
    """Yield the channel of each playing, by turns."""
    return islice(cycle(scenario.channels), times)
