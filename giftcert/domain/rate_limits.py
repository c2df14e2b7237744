"""How often something may happen within a time, and when so many disclosures of CVCs are unusual."""

from dataclasses import dataclass
from datetime import datetime, timedelta

UNUSUAL_TIMES = 3
"""So many times the busiest hour of the week before."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What happened so often within a window."""

    count: int = 0
    since: datetime | None = None  # of the first


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How often something may happen within a window that moves with the time."""

    count: int
    window: timedelta

    def retry_after(self, counted: Counted, now: datetime) -> timedelta | None:
        """Return how long to wait until the first no longer counts; ``None``: no need to wait."""
        return (counted.since or now) + self.window - now if counted.count >= self.count else None


def is_unusual(this_hour: int, busiest_hour: int, never_unusual: int) -> bool:
    """Return whether a caller got far more CVCs in an hour than in any hour of the seven days before."""
    return this_hour > max(never_unusual, UNUSUAL_TIMES * busiest_hour)
