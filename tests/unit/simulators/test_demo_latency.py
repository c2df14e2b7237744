from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.demo.latency import NotificationTimes, percentile
from simulators.stream import read_event
from simulators.topics import Record


def test_percentiles_of_a_hundred_are_their_ranks() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert [percentile(values, at) for at in (1, 50, 99, 100)] == [1, 50, 99, 100]


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 100))
def test_so_many_percent_of_all_do_not_exceed_a_percentile(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values) - 1e-6


def test_of_nothing_there_is_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_the_clock_runs_from_the_capture_to_the_notification_of_the_same_order(
    event_record: Callable[..., Record],
) -> None:
    times = NotificationTimes()
    times.captured("IM-1", 10.0)
    for number, (event_type, order) in enumerate(
        [("issue.completed", "IM-1"), ("notification.requested", "IM-2"), ("notification.requested", "IM-1")]
    ):
        times.published(read_event(event_record(event_type, payload={"orderId": order})), 10.5 + number)
    assert times.seconds == [2.5]


def test_a_second_notification_of_an_order_is_not_measured(event_record: Callable[..., Record]) -> None:
    times = NotificationTimes()
    times.captured("IM-1", 1.0)
    for at in (2.0, 9.0):
        times.published(read_event(event_record("notification.requested", payload={"orderId": "IM-1"})), at)
    assert times.seconds == [1.0]
