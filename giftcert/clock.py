"""The one place that reads the wall clock, so that everything else takes time as an argument."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present instant, in UTC and aware of it."""
    return datetime.now(UTC)  # noqa: TID251 - the one place
