"""How many wrong guesses at a CVC are borne. Rule of ``POST /certificates/verify`` and ``POST /redemptions``."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Guesses:
    """Guesses within the window: how many, and the instant of the first."""

    count: int = 0
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class GuessLimit:
    """So many guesses may fail within a window that moves with the time."""

    count: int
    window: timedelta

    def is_reached(self, guesses: Guesses) -> bool:
        """Return whether no further guess may fail now."""
        return guesses.count >= self.count

    def allowed_again(self, guesses: Guesses, now: datetime) -> timedelta:
        """Return after how long the first guess has left the window."""
        return (guesses.since or now) + self.window - now


@dataclass(frozen=True, slots=True)
class GuessPolicy:
    """What one number and one caller may get wrong, and for how long a number is then locked."""

    per_number: GuessLimit
    per_caller: GuessLimit
    lock: timedelta

    @property
    def longest_window(self) -> timedelta:
        """How long a wrong guess may count for something."""
        return max(self.per_number.window, self.per_caller.window)

    def locks(self, before: Guesses) -> bool:
        """Return whether one more wrong guess locks the number."""
        return before.count + 1 >= self.per_number.count
