"""How long things took."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

from simulators.stream import Event


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile: the least value that so many percent of all do not exceed.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no values, no percentile")
    ordered = sorted(values)
    return ordered[max(0, ceil(percent / 100 * len(ordered)) - 1)]


@dataclass(slots=True)
class NotificationTimes:
    """From writing the capture that pays an order to seeing ``notification.requested`` on the stream, in seconds."""

    seconds: list[float] = field(default_factory=list)
    _captured: dict[str, float] = field(default_factory=dict)

    def captured(self, order_id: str, at: float) -> None:
        """Start the clock of an order that lacks nothing but this money."""
        self._captured[order_id] = at

    def published(self, event: Event, at: float) -> None:
        """Stop the clock if the event is the one."""
        if event.event_type != "notification.requested":
            return
        began = self._captured.pop(event.text("orderId") or "", None)
        if began is not None:
            self.seconds.append(at - began)
