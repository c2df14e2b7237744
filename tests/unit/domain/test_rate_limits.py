import pytest

from giftcert.domain.rate_limits import is_unusual


@pytest.mark.parametrize(
    ("this_hour", "busiest_hour", "unusual"),
    [(100, 0, False), (101, 0, True), (101, 33, True), (101, 34, False), (300, 100, False), (301, 100, True)],
)
def test_three_times_the_busiest_hour_and_what_is_never_unusual_are_borne(
    this_hour: int, busiest_hour: int, unusual: bool
) -> None:
    assert is_unusual(this_hour, busiest_hour, never_unusual=100) == unusual
