from datetime import UTC, datetime, timedelta

import pytest

from giftcert.domain.guessing import GuessPolicy, NumberLock
from giftcert.domain.rate_limits import Counted, RateLimit

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
POLICY = GuessPolicy(
    per_number=RateLimit(5, DAY),
    per_caller=RateLimit(100, HOUR),
    per_end_user=RateLimit(10, HOUR),
    lock=15 * MINUTE,
    longest_lock=DAY,
)


@pytest.mark.parametrize(("wrong_before", "locks"), [(0, False), (3, False), (4, True), (5, True)])
def test_the_fifth_wrong_pair_locks_the_number(wrong_before: int, locks: bool) -> None:
    lock = POLICY.lock_after(Counted(wrong_before, NOON), None, NOON)

    assert (lock is not None) == locks
    assert lock is None or lock == NumberLock(NOON + 15 * MINUTE, 1)


def test_each_further_lock_lasts_twice_as_long_up_to_the_longest() -> None:
    lock, now = None, NOON
    lengths = []
    for _ in range(9):
        lock = POLICY.lock_after(Counted(4, now), lock, now)
        assert lock is not None
        lengths.append(lock.locked_until - now)
        now = lock.locked_until

    assert lengths == [15 * MINUTE * 2**nth for nth in range(7)] + [DAY, DAY]


def test_doubling_has_no_greatest_count() -> None:
    lock = POLICY.lock_after(Counted(4, NOON), NumberLock(NOON, 10_000), NOON)

    assert lock == NumberLock(NOON + DAY, 10_001)


@pytest.mark.parametrize(("rest", "in_a_row"), [(DAY - MINUTE, 4), (DAY, 1)])
def test_a_number_that_was_left_alone_for_the_longest_lock_begins_anew(
    rest: timedelta, in_a_row: int
) -> None:
    lock = POLICY.lock_after(Counted(4, NOON), NumberLock(NOON, 3), NOON + rest)

    assert lock is not None
    assert lock.in_a_row == in_a_row


@pytest.mark.parametrize(
    ("lock", "of_guesser", "is_end_user", "wait"),
    [
        (None, Counted(), False, None),
        (None, Counted(99, NOON), False, None),
        (None, Counted(100, NOON - 20 * MINUTE), False, 40 * MINUTE),
        (None, Counted(9, NOON), True, None),
        (None, Counted(10, NOON - 50 * MINUTE), True, 10 * MINUTE),
        (NumberLock(NOON + 5 * MINUTE), Counted(), False, 5 * MINUTE),
        (NumberLock(NOON), Counted(), False, None),
        (NumberLock(NOON + 5 * MINUTE), Counted(10, NOON - MINUTE), True, 59 * MINUTE),
    ],
)
def test_whoever_is_stopped_hears_when_all_that_stops_it_is_over(
    lock: NumberLock | None, of_guesser: Counted, is_end_user: bool, wait: timedelta | None
) -> None:
    assert POLICY.retry_after(lock, of_guesser, NOON, is_end_user=is_end_user) == wait


def test_what_is_wrong_is_remembered_as_long_as_anything_counts_it() -> None:
    assert POLICY.remembered == DAY
