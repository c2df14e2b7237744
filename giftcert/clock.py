"""The one place that reads the wall clock, so that everything else takes time as an argument."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]  # the wall clock, or that of a test environment which skips time


def utc_now() -> datetime:
    """Return the present instant, in UTC and aware of it."""
    return datetime.now(UTC)  # noqa: TID251 - the one place
