"""When a pool is low, and when it will be empty at the rate of its recent sales."""

from datetime import datetime, timedelta

RECOVERED = 1.2
"""A low pool counts as refilled at so many times its threshold, lest each certificate that comes back alerts again."""
_SHORTEST = timedelta(hours=1)


def is_low(available: int, threshold: int, *, was_low: bool) -> bool:
    """Return whether fewer certificates are left than the threshold, or were and the pool has not recovered."""
    return available < threshold * (RECOVERED if was_low else 1)


def empty_at(available: int, sold: int, since: datetime | None, now: datetime) -> datetime | None:
    """Return when a pool is empty if it goes on as it ``sold`` since an instant; ``None`` where nothing was sold."""
    if since is None or sold <= 0:
        return None
    return now + available * max(now - since, _SHORTEST) / sold
