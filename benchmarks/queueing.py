"""Queues in a row: who comes waits for the first free server of a station, is served, and goes to the next station.

Stations serve in the order of arrival and nobody comes back, so each is computed whole, one after the other (Lindley's
recursion, for several servers); a calendar of events would give the same.
"""

import heapq
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Seconds = Mapping[str, float]
"""By kind of work; what a station does not do is left out, and passes by."""


@dataclass(frozen=True, slots=True)
class Station:
    """Servers that work alike, and how long each kind of work takes one of them on average."""

    name: str
    servers: int
    seconds: Seconds

    def utilization(self, rates: Mapping[str, float]) -> float:
        """Return the share of its time that each server works; from 1 on, whoever comes waits ever longer."""
        return sum(rate * self.seconds.get(kind, 0.0) for kind, rate in rates.items()) / self.servers


def response_times(
    stations: Sequence[Station], rates: Mapping[str, float], kind: str, *, count: int, seed: int = 1
) -> list[float]:
    """Return how many seconds each piece of one kind of work took through all stations.

    Args:
        stations: in the order in which work passes.
        rates: pieces of each kind of work a second; each comes by itself, a Poisson process.
        kind: whose times are wanted.
        count: how many pieces of all kinds come.
        seed: of the chance by which they come and are served, exponentially around the mean.
    """
    chance = random.Random(seed)
    total, kinds, weights = sum(rates.values()), list(rates), list(rates.values())
    came, now = [], 0.0
    for _ in range(count):
        now += chance.expovariate(total)
        came.append((now, chance.choices(kinds, weights)[0]))
    left = [instant for instant, _ in came]
    for station in stations:
        free = [0.0] * station.servers
        for nth in sorted(range(count), key=left.__getitem__):
            mean = station.seconds.get(came[nth][1])
            if mean:
                begins = max(left[nth], heapq.heappop(free))
                left[nth] = begins + chance.expovariate(1 / mean)
                heapq.heappush(free, left[nth])
    return [gone - instant for gone, (instant, what) in zip(left, came, strict=True) if what == kind]


def quantile(found: Sequence[float], part: float) -> float:
    """Return the value below which so large a part lies."""
    return sorted(found)[min(len(found) - 1, int(part * len(found)))]
