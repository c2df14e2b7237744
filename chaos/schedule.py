"""When which fault strikes: drawn from a seed, so that a run can be repeated."""

from collections.abc import Iterator, Sequence
from random import Random

SHORTEST_PAUSE, LONGEST_PAUSE = 2.0, 6.0


def rounds_of(names: Sequence[str], random: Random) -> Iterator[tuple[str, float]]:
    """Yield round after round of all faults, each round in another order, with the seconds of calm before each."""
    while True:
        for name in random.sample(names, len(names)):
            yield name, random.uniform(SHORTEST_PAUSE, LONGEST_PAUSE)
