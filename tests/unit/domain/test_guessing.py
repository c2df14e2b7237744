from datetime import UTC, datetime, timedelta

import pytest

from giftcert.domain.guessing import Guesses, GuessLimit, GuessPolicy

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
THREE_AN_HOUR = GuessLimit(3, timedelta(hours=1))
POLICY = GuessPolicy(THREE_AN_HOUR, GuessLimit(100, timedelta(hours=1)), timedelta(hours=24))


@pytest.mark.parametrize(("wrong_before", "locks"), [(0, False), (1, False), (2, True), (3, True)])
def test_the_wrong_guess_that_reaches_the_limit_locks_the_number(wrong_before: int, locks: bool) -> None:
    assert POLICY.locks(Guesses(wrong_before, NOON)) == locks


@pytest.mark.parametrize(("wrong", "reached"), [(2, False), (3, True), (4, True)])
def test_a_caller_may_be_wrong_up_to_the_limit(wrong: int, reached: bool) -> None:
    assert THREE_AN_HOUR.is_reached(Guesses(wrong, NOON)) == reached


def test_a_caller_may_go_on_when_its_first_wrong_guess_has_left_the_window() -> None:
    wrong = Guesses(3, NOON)
    assert THREE_AN_HOUR.allowed_again(wrong, NOON + timedelta(minutes=20)) == timedelta(minutes=40)


def test_without_a_guess_the_whole_window_is_to_come() -> None:
    assert THREE_AN_HOUR.allowed_again(Guesses(), NOON) == timedelta(hours=1)


def test_a_wrong_guess_is_remembered_as_long_as_any_limit_counts_it() -> None:
    longer = GuessPolicy(THREE_AN_HOUR, GuessLimit(100, timedelta(hours=2)), timedelta(hours=24))
    assert longer.longest_window == timedelta(hours=2)
