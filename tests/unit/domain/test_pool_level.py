from datetime import UTC, datetime, timedelta

import pytest

from giftcert.domain.pool_level import empty_at, is_low

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("available", "was_low", "low"),
    [
        (1_000, False, False),
        (999, False, True),
        (1_199, True, True),
        (1_200, True, False),
        (1_199, False, False),
    ],
)
def test_a_pool_that_was_low_recovers_a_fifth_above_its_threshold(
    available: int, was_low: bool, low: bool
) -> None:
    assert is_low(available, 1_000, was_low=was_low) is low


def test_without_a_threshold_no_pool_is_low() -> None:
    assert not is_low(0, 0, was_low=False)
    assert not is_low(0, 0, was_low=True)


@pytest.mark.parametrize(
    ("sold", "since", "hours"), [(12, NOW - 24 * HOUR, 20), (10, NOW - 5 * HOUR, 5), (20, NOW, 0.5)]
)
def test_the_forecast_goes_on_as_it_was_sold_lately(sold: int, since: datetime, hours: float) -> None:
    assert empty_at(10, sold, since, NOW) == NOW + hours * HOUR


def test_where_nothing_was_sold_nothing_is_foretold() -> None:
    assert empty_at(10, 0, None, NOW) is None
    assert empty_at(0, 5, NOW - HOUR, NOW) == NOW
