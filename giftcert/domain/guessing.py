"""How many wrong pairs of number and CVC are allowed: per number, ours or not, and per guesser ("Guessing").

The guesser is the end user that a channel names, else the caller: so one buyer who guesses never stops a whole shop.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from giftcert.domain.rate_limits import Counted, RateLimit


@dataclass(frozen=True, slots=True)
class NumberLock:
    """The last lock of a number, over or not."""

    locked_until: datetime
    in_a_row: int = 1  # locks that followed one another


@dataclass(frozen=True, slots=True, kw_only=True)
class GuessPolicy:
    """What may be wrong, and how long a number is locked: at first ``lock``, each further time twice as long."""

    per_number: RateLimit
    per_caller: RateLimit
    per_end_user: RateLimit
    lock: timedelta
    longest_lock: timedelta

    @property
    def remembered(self) -> timedelta:
        """How long a wrong pair, or a lock that is over, may count for something."""
        windows = (self.per_number.window, self.per_caller.window, self.per_end_user.window)
        return max(*windows, self.longest_lock)

    def retry_after(
        self, lock: NumberLock | None, of_guesser: Counted, now: datetime, *, is_end_user: bool
    ) -> timedelta | None:
        """Return how long this guesser has to wait before the number is checked again, right or wrong."""
        waits = [self.of_guesser(is_end_user=is_end_user).retry_after(of_guesser, now)]
        if lock is not None and now < lock.locked_until:
            waits.append(lock.locked_until - now)
        return max((wait for wait in waits if wait is not None), default=None)

    def of_guesser(self, *, is_end_user: bool) -> RateLimit:
        """Return the limit of an end user, or of a caller that names none."""
        return self.per_end_user if is_end_user else self.per_caller

    def lock_after(self, of_number: Counted, last: NumberLock | None, now: datetime) -> NumberLock | None:
        """Return the lock that one more wrong pair brings, if any, after those since the last lock."""
        if of_number.count + 1 < self.per_number.count:
            return None
        goes_on = last is not None and now < last.locked_until + self.longest_lock
        in_a_row = last.in_a_row + 1 if last and goes_on else 1
        doublings = min(in_a_row - 1, 32)  # far beyond any longest lock
        return NumberLock(now + min(self.lock * (1 << doublings), self.longest_lock), in_a_row)
